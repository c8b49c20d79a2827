"""LSCM (Hui et al. 2020): each word gathers the cells it speaks of, the words exchange along the
sentence's dependency tree, and the result is distributed to the cells."""

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
from tvnet.model.expression import Words
from tvnet.model.fusion import Bilinear, coordinates
from tvnet.model.head import Head
from tvnet.model.method import Maps, Method
from tvnet.model.rivals.tree import neighbours
from tvnet.model.trace import Symbols
from tvnet.settings import ModelSettings, Settings

ALL_LEVELS = (2, 3, 4, 5)
DOWN_AND_UP = (5, 4, 3, 2, 3, 4, 5)
SUPPRESSED = 0.1  # what is left of an edge that the tree does not have, a word's to itself too


@dataclass
class LSCMTrace(Symbols):
    """The tensors of one pass; with a level: {2: tensor, 3: tensor, 4: tensor, 5: tensor}."""

    h: Tensor | None = None  # the words
    q: Tensor | None = None  # the sentence: the largest of the words' numbers
    D: Tensor | None = None  # (B, T, T), 1 along the tree, SUPPRESSED elsewhere
    O: Tensor | None = None  # noqa: E741  coordinates
    M: dict[int, Tensor] = field(default_factory=dict)  # words and pixels fused
    P: dict[int, Tensor] = field(default_factory=dict)  # (B, hw, T): where each word looks
    A: dict[int, Tensor] = field(default_factory=dict)  # (B, T, T): the suppressed word graph
    N: dict[int, Tensor] = field(default_factory=dict)  # (B, T, d): the words after the exchange
    G: dict[int, Tensor] = field(default_factory=dict)  # distributed to the cells
    X: dict[int, Tensor] = field(default_factory=dict)
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
        "q": (batch, d_s),
        "D": (batch, T, T),
        "O": (1, 8, n, n),
        "M_fine": (batch, d_m, n, n),
        "score": (batch, 1, n, n),
        "logits": (batch, 1, size, size),
    }
    for level in ALL_LEVELS:
        table[f"M[{level}]"] = table[f"G[{level}]"] = (batch, d_s, n, n)
        table[f"P[{level}]"], table[f"A[{level}]"] = (batch, n * n, T), (batch, T, T)
        table[f"N[{level}]"], table[f"X[{level}]"] = (batch, T, d_s), (batch, d_m, n, n)
    return table


class WordNorm(nn.Module):
    """Layer norm over a sentence's real words and their channels: x (B, T, d) -> as large."""

    def __init__(self, d: int):
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))

    def forward(self, x: Tensor, pad: Tensor) -> Tensor:
        x, real = to_float32(x), ~pad[..., None]
        count = real.sum((1, 2), keepdim=True) * x.shape[2]
        mean = (x * real).sum((1, 2), keepdim=True) / count
        variance = ((x - mean).square() * real).sum((1, 2), keepdim=True) / count
        return (x - mean) * (variance + 1e-5).rsqrt() * self.gain + self.offset


class WordGraph(nn.Module):
    """Gather, exchange, distribute, for one level.

    M (B, d, h, w), h (B, T, d), pad (B, T), D (B, T, T) -> G (B, d, h, w), P (B, hw, T),
    A (B, T, T), N (B, T, d).
    """

    def __init__(self, d: int):
        super().__init__()
        self.cell, self.word = conv(d, d), linear(d, d)
        self.query, self.key = linear(d, d), linear(d, d)
        self.exchanged, self.updated = WordNorm(d), WordNorm(d)
        self.update = linear(d, d)

    def forward(
        self, M: Tensor, h: Tensor, pad: Tensor, D: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        d, no_word = M.shape[1], pad[..., None]
        cells = to_float32(M).flatten(2).transpose(1, 2)  # (B, hw, d)
        keys = self.cell(M).flatten(2).transpose(1, 2)
        affinity = to_float32(keys @ self.word(h).transpose(1, 2)) / d**0.5
        P = affinity.softmax(dim=1).masked_fill(pad[:, None], 0.0)
        N = F.normalize(P.transpose(1, 2) @ cells, dim=-1)

        likeness = self.query(N) @ self.key(N).transpose(1, 2) / d**0.5
        A = masked_softmax(likeness, pad[:, None]) * D
        N = F.relu(N + self.exchanged(A @ N, pad))
        N = F.relu(self.updated(self.update(N), pad)).masked_fill(no_word, 0.0)
        G = (P @ N).transpose(1, 2).unflatten(2, M.shape[-2:])
        return l2_normalize(G), P, A, N


class LSCM(Method):
    """The word graph on four levels, then a ConvLSTM down to V2 and up again.

    V_sim and valid are ignored; the auxiliary losses are left out (D43). tree: "rules"
    (D81), "chain" links each word to the next, "all" suppresses nothing.
    """

    def __init__(self, settings: Settings, vocabulary_size: int, tree: str = "rules"):
        super().__init__(settings)
        model, d = settings.model, settings.model.d_s
        self.tree = tree
        widths = {n: settings.backbone.channels[f"V{n}"] for n in ALL_LEVELS}
        # What each word does in a sentence (data/word_kinds.py); saved with the weights.
        self.register_buffer("kinds", torch.zeros(vocabulary_size, dtype=torch.long))
        self.expression = Words(vocabulary_size, model)
        self.lateral = nn.ModuleDict({str(n): conv(w, d) for n, w in widths.items() if n > 2})
        self.lateral["2"] = conv(widths[2], d, 3)
        self.lateral["2"].stride = (2, 2)  # as many cells as the others
        self.mutan = nn.ModuleDict({str(n): mutan(model) for n in ALL_LEVELS})
        self.graph = nn.ModuleDict({str(n): WordGraph(d) for n in ALL_LEVELS})
        self.fuse = nn.ModuleDict({str(n): conv(3 * d + 8, model.d_m) for n in ALL_LEVELS})
        self.conv_lstm = conv_lstm(model, side=-(-settings.data.size // 8))
        self.head = Head(model)

    def take_kinds(self, kinds: list[int]) -> None:
        """The kind of every word of the vocabulary, before training."""
        self.kinds.copy_(torch.tensor(kinds))

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: LSCMTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        read = self.expression(words, lengths)
        h, pad = read.h, read.pad
        largest = read.states.masked_fill(pad[..., None], float("-inf")).amax(1)
        q = F.normalize(largest, dim=-1)
        D = neighbours(self.kinds[words], pad, self.tree).to(h.dtype)
        D = D + SUPPRESSED * (1 - D)

        O = coordinates(*V_in["V3"].shape[-2:], like=V_in["V3"])  # noqa: E741
        M, P, A, N, G, X = {}, {}, {}, {}, {}, {}
        for n in ALL_LEVELS:
            M[n] = self.mutan[str(n)](self.lateral[str(n)](V_in[f"V{n}"]), q, O)
            G[n], P[n], A[n], N[n] = self.graph[str(n)](M[n], h, pad, D)
            X[n] = F.relu(self.fuse[str(n)](concat(M[n], G[n], q[:, :, None, None], O)))
        M_fine = self.conv_lstm([X[n] for n in DOWN_AND_UP])
        score = self.head(M_fine)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.h, trace.q, trace.D, trace.O = h, q, D, O
            trace.M, trace.P, trace.A, trace.N = M, P, A, N
            trace.G, trace.X, trace.M_fine = G, X, M_fine
            trace.score, trace.logits = score, logits
        return logits


def mutan(model: ModelSettings) -> Bilinear:
    """MUTAN of a level's cells with q, both as wide as the words."""
    return Bilinear(model.d_s, replace(model, d_m=model.d_s), lateral=False)
