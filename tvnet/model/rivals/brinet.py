"""BRINet (Hu et al. 2020), top to bottom as in its figure.

Every cell collects the words that matter to it; cells so described attend to other cells; then
gates fuse the levels in descending and in ascending order at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import concat, conv, l2_normalize, masked_softmax, to_float32, upsample
from tvnet.model.expression import Words
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import LEVELS, Symbols
from tvnet.settings import Settings

RATES = (1, 3, 5, 7)
GATES = ("54", "43", "54+43", "34", "45", "34+45")


@dataclass
class BRINetTrace(Symbols):
    """The tensors of one pass; with a level: {3: tensor, 4: tensor, 5: tensor}."""

    h: Tensor | None = None  # the words' states, not normalised
    q: Tensor | None = None  # the last of them
    V: dict[int, Tensor] = field(default_factory=dict)  # as wide as the words, unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    a: dict[int, Tensor] = field(default_factory=dict)  # a cell's weights of the words
    k: dict[int, Tensor] = field(default_factory=dict)  # the words so weighted
    R: dict[int, Tensor] = field(default_factory=dict)  # (B, j, i): receiving cell j, attended i
    u: dict[int, Tensor] = field(default_factory=dict)  # the cells so weighted
    B: dict[int, Tensor] = field(default_factory=dict)  # the level after both attentions
    gate: dict[str, Tensor] = field(default_factory=dict)  # how far each of GATES is open
    left: Tensor | None = None  # fused from deep to shallow
    right: Tensor | None = None  # fused from shallow to deep
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    d, n = settings.model.d_s, -(-size // 8)
    table: dict[str, tuple[int, ...]] = {
        "h": (batch, words, d),
        "q": (batch, d),
        "O": (1, 8, n, n),
        "score": (batch, 1, n, n),
        "logits": (batch, 1, size, size),
    }
    maps = [f"{name}[{level}]" for name in "VkuB" for level in LEVELS]
    maps += [f"gate[{name}]" for name in GATES]
    table |= dict.fromkeys([*maps, "left", "right"], (batch, d, n, n))
    for level in LEVELS:
        table[f"a[{level}]"] = (batch, n * n, words)
        table[f"R[{level}]"] = (batch, n * n, n * n)
    return table


class LanguageAttention(nn.Module):
    """Vision-guided: v1 (B, d, h, w), words h (B, T, d) -> k (B, d, h, w), a (B, hw, T)."""

    def forward(self, v1: Tensor, h: Tensor, pad: Tensor) -> tuple[Tensor, Tensor]:
        cells = v1.flatten(2).transpose(1, 2)
        a = masked_softmax(cells @ h.transpose(1, 2).to(cells.dtype), pad[:, None])
        return (a @ h).transpose(1, 2).unflatten(2, v1.shape[-2:]), a


class VisualAttention(nn.Module):
    """Language-guided: v2, v3, k (B, d, h, w) -> u (B, d, h, w), R (B, hw, hw).

    A cell's weights of all positions are read from its own words and content; what stands at a
    position does not enter, so W_a is a map of the trained size, resized at others (D74). over:
    what the weights sum to 1 over, the "attended" positions or, as in the public code, the
    "receiving" cells (D73).
    """

    def __init__(self, d: int, side: int, over: str):
        super().__init__()
        self.of_words, self.of_cell = conv(d, d // 2, bias=False), conv(d, d // 2, bias=False)
        bound = (6 / (d // 2 + side * side)) ** 0.5  # Glorot
        self.W_a = nn.Parameter(torch.empty(d // 2, side, side).uniform_(-bound, bound))
        self.over = over

    def forward(self, v2: Tensor, v3: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        A = (self.of_words(k) + self.of_cell(v2)).tanh()
        W_a = self.W_a
        if W_a.shape[-2:] != A.shape[-2:]:
            W_a = F.interpolate(W_a[None], A.shape[-2:], mode="bilinear")[0]  # D74
        L = to_float32(A.flatten(2).transpose(1, 2) @ W_a.flatten(1).to(A.dtype))
        R = L.softmax(dim=2 if self.over == "attended" else 1)  # D73
        u = R @ to_float32(v3).flatten(2).transpose(1, 2)
        return u.transpose(1, 2).unflatten(2, v3.shape[-2:]), R


class BidirectionalAttention(nn.Module):
    """A level V (B, d, h, w), its words and place -> B (B, d, h, w), and a, k, R, u.

    Both attentions, then a small pyramid of dilated convolutions.
    """

    def __init__(self, d: int, side: int, over: str):
        super().__init__()
        self.project = conv(2 * d + 8, 4 * d)
        self.language = LanguageAttention()
        self.visual = VisualAttention(d, side, over)
        self.join = conv(2 * d, d)
        narrow = 2 ** round(log2(d / 2))  # 512 of 1000, as in prior code
        self.pyramid = nn.ModuleList(conv(d, narrow, 3) for _ in RATES)
        for layer, rate in zip(self.pyramid, RATES, strict=True):
            layer.dilation = layer.padding = (rate, rate)
        self.out = conv(d + len(RATES) * narrow, d)

    def forward(
        self,
        V: Tensor,
        q: Tensor,
        h: Tensor,
        pad: Tensor,
        O: Tensor,  # noqa: E741
    ) -> tuple[Tensor, ...]:
        v = concat(V, q[:, :, None, None].to(V.dtype), O)
        v1, v2, v3, v4 = F.relu(self.project(v)).chunk(4, dim=1)
        k, a = self.language(v1, h, pad)
        u, R = self.visual(v2, v3, k)
        f = F.relu(self.join(concat(u, k))) + v4
        B = F.relu(self.out(concat(f, *(layer(f) for layer in self.pyramid))))
        return B, a, k, R, u


class Gate(nn.Module):
    """gate * first + second: how much of the first (B, d, h, w) joins the second."""

    def __init__(self, d: int):
        super().__init__()
        self.squeeze, self.open = conv(2 * d, d), conv(d, d, 3)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        gate = to_float32(self.open(F.relu(self.squeeze(concat(first, second))))).sigmoid()
        return gate * first + second, gate


class BRINet(Method):
    """Attention both ways in three levels, then six gates, three for each order of the levels.

    over: of the visual attention (D73). V_sim and valid are ignored.
    """

    def __init__(self, settings: Settings, vocabulary_size: int, over: str = "attended"):
        super().__init__(settings)
        d, side = settings.model.d_s, -(-settings.data.size // 8)
        widths = {n: settings.backbone.channels[f"V{n}"] for n in LEVELS}
        self.expression = Words(vocabulary_size, settings.model)
        self.lateral = nn.ModuleDict({str(n): conv(w, d) for n, w in widths.items()})
        self.attention = nn.ModuleDict(
            {str(n): BidirectionalAttention(d, side, over) for n in LEVELS}
        )
        self.gates = nn.ModuleDict({name: Gate(d) for name in GATES})
        self.fuse = conv(d, d, 3)
        self.score = conv(d, 1)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: BRINetTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        _, h, pad = self.expression(words, lengths)
        q = h[torch.arange(len(h), device=h.device), lengths - 1]
        O = coordinates(*V_in["V5"].shape[-2:], like=V_in["V5"])  # noqa: E741

        V, B, a, k, R, u = {}, {}, {}, {}, {}, {}
        for n in LEVELS:
            V[n] = l2_normalize(self.lateral[str(n)](V_in[f"V{n}"]))
            B[n], a[n], k[n], R[n], u[n] = self.attention[str(n)](V[n], q, h, pad, O)

        joined, gate = {str(n): map_ for n, map_ in B.items()}, {}
        for name in GATES:
            first, second = name.split("+") if "+" in name else name
            joined[name], gate[name] = self.gates[name](joined[first], joined[second])
        left, right = joined["54+43"], joined["34+45"]
        score = self.score(F.relu(self.fuse(left + right)))
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.h, trace.q, trace.V, trace.O = h, q, V, O
            trace.a, trace.k, trace.R, trace.u, trace.B = a, k, R, u, B
            trace.gate, trace.left, trace.right = gate, left, right
            trace.score, trace.logits = score, logits
        return logits
