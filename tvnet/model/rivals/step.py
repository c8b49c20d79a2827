"""STEP (See-Through-Text grouping, Chen et al. 2019), after its abstract: no code is public.

A map of where the sentence agrees with the image is refined from deep to shallow levels; the
refined map decides which words are looked at in the next round (D80).
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from tvnet.model.expression import WordStates
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import LEVELS, Symbols
from tvnet.settings import Settings

TOP_DOWN = (5, 4, 3)


@dataclass
class STEPTrace(Symbols):
    """The tensors of one pass; X by level {3: tensor, ...}, the later ones by round {1: ...}."""

    h: Tensor | None = None  # the words
    O: Tensor | None = None  # noqa: E741  coordinates
    X: dict[int, Tensor] = field(default_factory=dict)  # cells, as wide as e
    a: dict[int, Tensor] = field(default_factory=dict)  # each word's share
    e: dict[int, Tensor] = field(default_factory=dict)  # the sentence so read
    P: dict[int, Tensor] = field(default_factory=dict)  # STEP heat maps, deep to shallow
    R: dict[int, Tensor] = field(default_factory=dict)  # the refined map, logits
    v: dict[int, Tensor] = field(default_factory=dict)  # what the refined map shows
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    d, n = settings.model.d_m, -(-size // 8)
    table: dict[str, tuple[int, ...]] = {
        "h": (batch, words, settings.model.d_s),
        "O": (1, 8, n, n),
        "logits": (batch, 1, size, size),
    }
    table |= {f"X[{level}]": (batch, d, n, n) for level in LEVELS}
    for k in range(1, 6):
        table |= {f"a[{k}]": (batch, words), f"e[{k}]": (batch, d), f"v[{k}]": (batch, d)}
        table |= {f"P[{k}]": (batch, len(LEVELS), n, n), f"R[{k}]": (batch, 1, n, n)}
    return table


class ConvGRU(nn.Module):
    """Reads x = [P; X] (B, 1 + d, h, w) with 3x3 kernels; state (B, d, h, w) -> the next one.

    A level's cells X are the same in every round: `look` multiplies them once.
    """

    def __init__(self, d: int):
        super().__init__()
        self.look = conv(d, 3 * d, 3)
        self.heat = conv(1, 3 * d, 3, bias=False)
        self.gates = conv(d, 2 * d, 3, bias=False)
        self.candidate = conv(d, d, 3, bias=False)

    def forward(self, looked: Tensor, P: Tensor, state: Tensor) -> Tensor:
        d = state.shape[1]
        gates, candidate = (looked + self.heat(P)).split([2 * d, d], dim=1)
        update, reset = (gates + self.gates(state)).sigmoid().chunk(2, dim=1)
        candidate = (candidate + self.candidate(reset * state)).tanh()
        return update * state + (1 - update) * candidate


class STEP(Method):
    """Rounds of: words -> sentence -> heat maps -> refined map -> words.

    V_sim and valid are ignored. The loss sees the last round's map alone; five rounds are as many
    as the paper's row has (D80).
    """

    def __init__(self, settings: Settings, vocabulary_size: int, rounds: int = 5):
        super().__init__(settings)
        model, d = settings.model, settings.model.d_m
        self.rounds = rounds
        widths = {n: settings.backbone.channels[f"V{n}"] for n in LEVELS}
        self.expression = WordStates(vocabulary_size, model)
        self.lateral = nn.ModuleDict({str(n): conv(w + 8, d) for n, w in widths.items()})
        self.sentence = linear(model.d_s, d)
        self.conv_gru = ConvGRU(d)
        self.score = conv(d, 1, 3)
        self.word = linear(model.d_s, d)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: STEPTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        h, pad = self.expression(words, lengths)
        O = coordinates(*V_in["V3"].shape[-2:], like=V_in["V3"])  # noqa: E741
        X = {n: self.lateral[str(n)](concat(l2_normalize(V_in[f"V{n}"]), O)) for n in LEVELS}
        X = {n: l2_normalize(cells) for n, cells in X.items()}

        a, e, P, R, v = {}, {}, {}, {}, {}
        looked = {n: self.conv_gru.look(X[n]) for n in LEVELS}
        state = torch.zeros_like(X[3])
        for k in range(1, self.rounds + 1):
            fit = self.match(v[k - 1], h) if k > 1 else torch.zeros_like(h[..., 0])
            a[k] = masked_softmax(fit, pad)  # in the first round, all words count alike
            e[k] = self.sentence(torch.einsum("bt,btd->bd", a[k], h))
            e[k] = F.normalize(to_float32(e[k]), dim=-1)
            heat = {n: torch.einsum("bd,bdhw->bhw", e[k], X[n])[:, None] for n in TOP_DOWN}
            for n in TOP_DOWN:
                state = self.conv_gru(looked[n], heat[n], state)
            P[k], R[k] = torch.cat(list(heat.values()), dim=1), to_float32(self.score(state))
            v[k] = self.shown(R[k], X)
        logits = upsample(R[self.rounds], size, self.settings.model.upsampling)

        if trace is not None:
            trace.h, trace.O, trace.X, trace.a, trace.e = h, O, X, a, e
            trace.P, trace.R, trace.v, trace.logits = P, R, v, logits
        return logits

    def shown(self, R: Tensor, X: dict[int, Tensor]) -> Tensor:
        """(B, d): the mean of the levels' cells, each as much as the refined map keeps of it."""
        weight = R.sigmoid() / R.sigmoid().sum((2, 3), keepdim=True)
        return (weight * sum(X.values()) / len(X)).sum((2, 3))

    def match(self, v: Tensor, h: Tensor) -> Tensor:
        """(B, T): how well each word fits what is shown."""
        return torch.einsum("bd,btd->bt", v, self.word(h).to(v.dtype)) / v.shape[1] ** 0.5
