"""CMSA (Ye et al. 2019), top to bottom as in its figure.

Every word is paired with every cell, all pairs attend to all pairs, the words are averaged out, and
each level takes from the other two through gates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, l2_normalize, linear, masked_softmax, to_float32, upsample
from tvnet.model.expression import Embedding
from tvnet.model.fusion import coordinates
from tvnet.model.head import Head
from tvnet.model.method import Maps, Method
from tvnet.model.trace import LEVELS, Symbols
from tvnet.settings import ModelSettings, Settings


@dataclass
class CMSATrace(Symbols):
    """The tensors of one pass; with a level: {3: tensor, 4: tensor, 5: tensor}."""

    w: Tensor | None = None  # the words, unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    A: dict[int, Tensor] = field(default_factory=dict)  # a pair's weights of the pooled pairs
    F_hat: dict[int, Tensor] = field(default_factory=dict)  # the pairs after it, mean over words
    x: dict[int, Tensor] = field(default_factory=dict)  # as wide as one another
    f: dict[int, Tensor] = field(default_factory=dict)  # gates: from the other levels
    r: dict[int, Tensor] = field(default_factory=dict)  # gates: of the new beside the old
    x_prime: dict[int, Tensor] = field(default_factory=dict)  # after the gates
    score: Tensor | None = None
    logits: Tensor | None = None


def pair_widths(settings: Settings) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """The channels by level of a pair [V; w; O], of what attends, and of the attention inside.

    Prior code has 256 and 128 for levels 4 and 3, and 512, 128 and 64 inside: powers of two in the
    same ratio to d_m here.
    """
    model = settings.model
    unit = 2 ** (model.d_m.bit_length() - 1)  # 256 of 500
    maps = {n: settings.backbone.channels[f"V{n}"] for n in LEVELS} | {5: model.d_s}
    joined = {n: d + model.d_words + 8 for n, d in maps.items()}
    reduced = {3: unit // 2, 4: unit, 5: joined[5]}
    return joined, reduced, {3: unit // 4, 4: unit // 2, 5: 2 * unit}


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`, with the
    default pooling of pairs."""
    model, n, half = settings.model, -(-size // 8), -(-size // 16)
    table: dict[str, tuple[int, ...]] = {
        "w": (batch, words, model.d_words),
        "O": (1, 8, n, n),
        "score": (batch, 1, n, n),
        "logits": (batch, 1, size, size),
    }
    _, reduced, _ = pair_widths(settings)
    for level in LEVELS:
        table[f"A[{level}]"] = (batch, words * n * n, -(-words // 2) * half * half)
        table[f"F_hat[{level}]"] = (batch, reduced[level], n, n)
        for name in ("x", "f", "r", "x_prime"):
            table[f"{name}[{level}]"] = (batch, model.d_m, n, n)
    return table


class CrossModalSelfAttention(nn.Module):
    """All pairs of a word and a cell attend to all pairs, pooled in blocks of 2 x 2 cells.

    pairs (B, T, h, w, d), pad (B, T) -> what they gathered (B, T, h, w, d) and, with `whole`, each
    pair's weights (B, Thw, keys). pool: words in a block, 2 or 1; activation: "relu" or "none" on
    theta, phi, g and the output (D72). There is no factor on the similarity.
    """

    def __init__(self, d: int, d_inner: int, pool: int, activation: str):
        super().__init__()
        self.theta, self.phi, self.g = (linear(d, d_inner) for _ in range(3))
        self.out = linear(d_inner, d)
        self.pool = pool
        self.act = F.relu if activation == "relu" else nn.Identity()  # D72

    def pooled(self, keys: Tensor, pad: Tensor) -> Tensor:
        """The greatest of each block's real pairs: (B, keys, d), 0 for a block of pads alone."""
        keys = keys.masked_fill(pad[:, :, None, None, None], float("-inf")).movedim(-1, 1)
        block = (self.pool, 2, 2)
        keys = F.max_pool3d(keys, block, block, ceil_mode=True).flatten(2).transpose(1, 2)
        return keys.masked_fill(keys == float("-inf"), 0.0)

    def forward(
        self, pairs: Tensor, pad: Tensor, whole: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        queries = self.act(self.theta(pairs)).flatten(1, 3)
        keys, values = (self.pooled(self.act(f(pairs)), pad) for f in (self.phi, self.g))
        empty = pad[:, :: self.pool]  # pads come last: a block that begins with one has no word
        empty = empty.repeat_interleave(keys.shape[1] // empty.shape[1], dim=1)[:, None]
        A = None
        if whole:
            A = masked_softmax(queries @ keys.transpose(1, 2), empty)
            gathered = A.to(values.dtype) @ values
        else:  # the same, without A, which does not fit at the paper's size
            gathered = F.scaled_dot_product_attention(
                queries, keys, values, attn_mask=~empty, scale=1.0
            )
        return self.act(self.out(gathered)).unflatten(1, pairs.shape[1:4]), A


class GatedFusion(nn.Module):
    """What one level takes from the other two: x, second, third (B, d, h, w) -> x' and gates f, r.

    alpha weighs the second against the third; r decides how much of the result replaces x.
    """

    def __init__(self, d: int):
        super().__init__()
        self.gates = conv(d, 3 * d, 3)
        self.alpha = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, second: Tensor, third: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        i, f, r = to_float32(self.gates(x)).chunk(3, dim=1)
        f, r = (f + 1).sigmoid(), (r + 1).sigmoid()
        c = self.alpha * f * second + (1 - self.alpha) * f * third + (1 - f) * i
        return r * c.tanh() + (1 - r) * x, f, r


class CMSA(Method):
    """Self-attention over pairs in three levels, then gates between them; their sum is scored.

    No recurrent network reads the words. pool, activation: of the attention (D72). V_sim and valid
    are ignored.
    """

    def __init__(
        self, settings: Settings, vocabulary_size: int, pool: int = 2, activation: str = "relu"
    ):
        super().__init__(settings)
        model: ModelSettings = settings.model
        joined, reduced, inner = pair_widths(settings)
        self.expression = Embedding(vocabulary_size, model)
        self.lateral = conv(settings.backbone.channels["V5"], model.d_s)
        self.reduce = nn.ModuleDict({str(n): linear(joined[n], reduced[n]) for n in (3, 4)})
        self.attention = nn.ModuleDict(
            {
                str(n): CrossModalSelfAttention(reduced[n], inner[n], pool, activation)
                for n in LEVELS
            }
        )
        self.level = nn.ModuleDict({str(n): conv(reduced[n], model.d_m) for n in LEVELS})
        self.gated = nn.ModuleDict({str(n): GatedFusion(model.d_m) for n in LEVELS})
        self.head = Head(model)

    def pairs(self, n: int, V: Tensor, w: Tensor, O: Tensor) -> Tensor:  # noqa: E741
        """[V; w; O] for each word and cell, (B, T, h, w, d); in levels 3 and 4 mapped to fewer."""
        (B, T), (y, x) = w.shape[:2], V.shape[-2:]
        parts = (V.movedim(1, -1)[:, None], w[:, :, None, None], O.movedim(1, -1)[:, None])
        joined = torch.cat([part.expand(B, T, y, x, -1) for part in parts], dim=-1)
        return joined if n == 5 else F.relu(self.reduce[str(n)](joined))

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: CMSATrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        e, pad = self.expression(words, lengths)
        w = F.normalize(e, dim=-1)
        V = {n: V_in[f"V{n}"] for n in LEVELS}
        V = {n: l2_normalize(self.lateral(map_) if n == 5 else map_) for n, map_ in V.items()}
        O = coordinates(*V[5].shape[-2:], like=V[5])  # noqa: E741

        A, F_hat, x = {}, {}, {}
        for n in LEVELS:
            pairs = self.pairs(n, V[n], w, O)
            gathered, A[n] = self.attention[str(n)](pairs, pad, whole=trace is not None)
            real = (~pad).to(pairs.dtype)[:, :, None, None, None]
            mean = ((pairs + gathered) * real).sum(1) / lengths[:, None, None, None]
            F_hat[n] = mean.movedim(-1, 1)
            x[n] = F.relu(self.level[str(n)](F_hat[n]))

        x_prime, f, r = {}, {}, {}
        for n in LEVELS:
            second, third = (x[k] for k in reversed(LEVELS) if k != n)  # the deeper one first
            x_prime[n], f[n], r[n] = self.gated[str(n)](x[n], second, third)
        score = self.head(sum(x_prime.values()))
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.w, trace.O, trace.A, trace.F_hat, trace.x = w, O, A, F_hat, x
            trace.f, trace.r, trace.x_prime = f, r, x_prime
            trace.score, trace.logits = score, logits
        return logits
