"""CMPC (Huang et al. 2020), Table 1's rival, top to bottom as in its figure.

First the entities that nouns and adjectives describe are perceived, then the relation words select
one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import (
    concat,
    conv,
    l2_normalize,
    linear,
    masked_softmax,
    to_float32,
    upsample,
)
from tvnet.model.conv_lstm import conv_lstm
from tvnet.model.expression import WordStates
from tvnet.model.fusion import Bilinear, GatedExchange, coordinates
from tvnet.model.head import Head
from tvnet.model.method import Maps, Method
from tvnet.model.trace import LEVELS, Symbols
from tvnet.settings import ModelSettings, Settings

TYPES = ("entity", "attribute", "relation", "unnecessary")


@dataclass
class CMPCTrace(Symbols):
    """The tensors of one pass; with a level: {3: tensor, 4: tensor, 5: tensor}."""

    h: Tensor | None = None  # the words
    types: Tensor | None = None  # (B, T, 4), the share of each of TYPES
    q: Tensor | None = None  # entity and attribute words
    O: Tensor | None = None  # noqa: E741  coordinates
    M: dict[int, Tensor] = field(default_factory=dict)  # perceived entities
    to_words: dict[int, Tensor] = field(default_factory=dict)  # adjacency = to_words @ to_cells
    to_cells: dict[int, Tensor] = field(default_factory=dict)
    G: dict[int, Tensor] = field(default_factory=dict)  # after the relation graph
    X: dict[int, Tensor] = field(default_factory=dict)  # fused
    t: Tensor | None = None  # all words but the unnecessary ones
    X_prime: dict[int, Tensor] = field(default_factory=dict)  # after the exchange
    M_fine: Tensor | None = None
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    model, n, T = settings.model, -(-size // 8), words
    d_s, d_m = model.d_s, model.d_m
    table: dict[str, tuple[int, ...]] = {
        "h": (batch, T, d_s),
        "types": (batch, T, len(TYPES)),
        "q": (batch, d_s),
        "t": (batch, d_s),
        "O": (1, 8, n, n),
        "M_fine": (batch, d_m, n, n),
        "score": (batch, 1, n, n),
        "logits": (batch, 1, size, size),
    }
    for level in LEVELS:
        table[f"M[{level}]"] = table[f"G[{level}]"] = (batch, d_s, n, n)
        table[f"X[{level}]"] = table[f"X_prime[{level}]"] = (batch, d_m, n, n)
        table[f"to_words[{level}]"] = (batch, n * n, T)
        table[f"to_cells[{level}]"] = (batch, T, n * n)
    return table


class WordParser(nn.Module):
    """Words h (B, T, d_s) -> their types (B, T, 4): they sum to 1 for a word, 0 for a pad."""

    def __init__(self, model: ModelSettings):
        super().__init__()
        self.hidden = linear(model.d_s, model.d_m)
        self.types = linear(model.d_m, len(TYPES))

    def forward(self, h: Tensor, pad: Tensor) -> Tensor:
        types = to_float32(self.types(F.relu(self.hidden(h)))).softmax(dim=-1)
        return types.masked_fill(pad[..., None], 0.0)


class Perception(nn.Module):
    """A level's entities: MUTAN of its cells with q, both as wide as the words.

    V (B, d_l, h, w), q (B, d_s), O (1, 8, h, w) -> M (B, d_s, h, w).
    """

    def __init__(self, d_l: int, model: ModelSettings):
        super().__init__()
        self.lateral = conv(d_l, model.d_s)
        self.mutan = Bilinear(model.d_s, replace(model, d_m=model.d_s), lateral=False)

    def forward(self, V: Tensor, q: Tensor, O: Tensor) -> Tensor:  # noqa: E741
        return self.mutan(self.lateral(V), q, O)


class RelationGraph(nn.Module):
    """One graph convolution over the cells, whose edges run through the relation words.

    M (B, d, h, w), h (B, T, d), R (B, T) -> G (B, d, h, w), to_words (B, hw, T), to_cells
    (B, T, hw). The adjacency, to_words @ to_cells with rows of sum 1, is never computed:
    cells attend to words, and words attend to cells.
    """

    def __init__(self, d: int):
        super().__init__()
        self.cell, self.word = conv(d, d), linear(d, d)
        self.gathered = nn.GroupNorm(1, d)
        self.update = conv(d, d)
        self.updated = nn.GroupNorm(1, d)

    def forward(
        self, M: Tensor, h: Tensor, R: Tensor, pad: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        cells = M.flatten(2).transpose(1, 2)  # (B, hw, d)
        keys = self.cell(M).flatten(2).transpose(1, 2)
        affinity = to_float32(keys @ self.word(h).transpose(1, 2)) / M.shape[1] ** 0.5
        affinity = affinity * R[:, None]  # (B, hw, T)
        to_words = masked_softmax(affinity, pad[:, None])
        to_cells = affinity.softmax(dim=1).transpose(1, 2)
        along = to_words @ (to_cells @ to_float32(cells))  # the adjacency times M
        along = along.transpose(1, 2).unflatten(2, M.shape[-2:])
        G = F.relu(M + self.gathered(along))
        return l2_normalize(F.relu(self.updated(self.update(G)))), to_words, to_cells


class CMPC(Method):
    """Progressive comprehension in three levels, then two rounds of exchange and a ConvLSTM.

    V_sim and valid are ignored: nothing is retrieved. The auxiliary losses are left out (D43).
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__(settings)
        model, d = settings.model, settings.model.d_s
        widths = {n: settings.backbone.channels[f"V{n}"] for n in LEVELS}
        self.expression = WordStates(vocabulary_size, model)
        self.parser = WordParser(model)
        self.perception = nn.ModuleDict({str(n): Perception(w, model) for n, w in widths.items()})
        self.relation = nn.ModuleDict({str(n): RelationGraph(d) for n in LEVELS})
        self.fuse = nn.ModuleDict({str(n): conv(3 * d + 8, model.d_m) for n in LEVELS})
        self.exchange = nn.ModuleList(GatedExchange(model) for _ in range(model.exchange_rounds))
        self.conv_lstm = conv_lstm(model, side=-(-settings.data.size // 8))
        self.head = Head(model)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: CMPCTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        h, pad = self.expression(words, lengths)
        types = self.parser(h, pad)
        E, A, R, U = types.unbind(dim=-1)  # each (B, T)
        q = F.normalize(torch.einsum("bt,btd->bd", E + A, h), dim=-1)
        t = F.normalize(torch.einsum("bt,btd->bd", 1 - U, h), dim=-1)

        O = coordinates(*V_in["V3"].shape[-2:], like=V_in["V3"])  # noqa: E741
        M, G, X, to_words, to_cells = {}, {}, {}, {}, {}
        for n in LEVELS:
            M[n] = self.perception[str(n)](V_in[f"V{n}"], q, O)
            G[n], to_words[n], to_cells[n] = self.relation[str(n)](M[n], h, R, pad)
            X[n] = F.relu(self.fuse[str(n)](concat(M[n], G[n], q[:, :, None, None], O)))

        X_prime = X
        for exchange in self.exchange:
            X_prime = exchange(X_prime, t)
        M_fine = self.conv_lstm([X_prime[n] for n in self.settings.model.level_order])
        score = self.head(M_fine)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.h, trace.types, trace.q, trace.t, trace.O = h, types, q, t, O
            trace.M, trace.to_words, trace.to_cells, trace.G = M, to_words, to_cells, G
            trace.X, trace.X_prime, trace.M_fine = X, X_prime, M_fine
            trace.score, trace.logits = score, logits
        return logits
