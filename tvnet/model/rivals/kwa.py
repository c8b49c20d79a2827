"""KWA (key-word-aware network, Shi et al. 2018): each region picks its key words, and these words
fetch the other regions that picked them, as context."""

from __future__ import annotations

from dataclasses import dataclass

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
from tvnet.model.expression import Words
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import Symbols
from tvnet.settings import Settings

REGIONS = 5  # a side; the public code has 6 on its map of 60 cells, blocks of 10


@dataclass
class KWATrace(Symbols):
    """The tensors of one pass, in the order of its figure; N regions."""

    h: Tensor | None = None  # the words
    V: Tensor | None = None  # the cells, unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    r: Tensor | None = None  # the regions
    a: Tensor | None = None  # (B, N, T), each region's weights of the words
    keep: Tensor | None = None  # (B, N, T), how much each is a key word
    q: Tensor | None = None  # the sentence as each cell reads it
    g: Tensor | None = None  # (B, T, d), what each word fetches
    context: Tensor | None = None
    hidden: Tensor | None = None
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    d, n, N = settings.model.d_s, -(-size // 8), REGIONS**2
    maps = {"V": d, "q": d, "context": d + 8, "hidden": settings.model.d_m, "score": 1}
    return {name: (batch, width, n, n) for name, width in maps.items()} | {
        "h": (batch, words, d),
        "O": (1, 8, n, n),
        "r": (batch, N, d),
        "a": (batch, N, words),
        "keep": (batch, N, words),
        "g": (batch, words, d),
        "logits": (batch, 1, size, size),
    }


class QueryAttention(nn.Module):
    """h (B, T, d), r (B, N, d) -> a (B, N, T): a network of two layers scores every pair."""

    def __init__(self, d: int):
        super().__init__()
        self.word, self.region = linear(d, d // 2), linear(d, d // 2)
        self.score = linear(d // 2, 1)

    def forward(self, h: Tensor, pad: Tensor, r: Tensor) -> Tensor:
        region = self.region(F.normalize(to_float32(r), dim=-1))
        pairs = F.relu(self.word(h)[:, None] + region[:, :, None])  # one layer on [h; r]
        return masked_softmax(self.score(pairs)[..., 0], pad[:, None])


class Context(nn.Module):
    """What the key words of a region bring to it from the regions that share them.

    keep (B, N, T) from 0 to 1, r (B, N, d), o (1, N, 8) -> c (B, N, d + 8) and g (B, T, d).
    """

    def __init__(self, d: int):
        super().__init__()
        self.fetch = linear(d, d)

    def forward(self, keep: Tensor, r: Tensor, o: Tensor) -> tuple[Tensor, Tensor]:
        share = keep / keep.sum(1, keepdim=True).clamp(min=1e-6)  # of each region in a word's mean
        g = F.relu(self.fetch(share.transpose(1, 2) @ r))
        place = share.transpose(1, 2) @ o.expand(len(keep), -1, -1)  # (B, T, 8)
        away = keep.sum(2, keepdim=True) * o - keep @ place  # sum over its words of (o - place)
        return torch.cat([keep @ g, away], dim=-1), g


class KWA(Method):
    """Regions pool V5; a word is a region's key word where it has more than its even share.

    V_sim and valid are ignored. keys: "hard" takes a word or not, so no gradient runs from the
    context into the attention; "soft" takes as much of it as it weighs (D82).
    """

    def __init__(self, settings: Settings, vocabulary_size: int, keys: str = "hard"):
        super().__init__(settings)
        model, d = settings.model, settings.model.d_s
        self.keys = keys
        self.expression = Words(vocabulary_size, model)
        self.lateral = conv(settings.backbone.channels["V5"], d)
        self.attention = QueryAttention(d)
        self.context = Context(d)
        self.classify = conv(3 * d + 16, model.d_m)
        self.score = conv(model.d_m, 1)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: KWATrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        read = self.expression(words, lengths)
        cells = self.lateral(V_in["V5"])
        V, O = l2_normalize(cells), coordinates(*cells.shape[-2:], like=cells)  # noqa: E741
        r, o = self.pooled(cells), self.pooled(O)

        a = self.attention(read.h, read.pad, r)
        even = 1 / lengths[:, None, None]
        keep = (a >= even).to(a.dtype) if self.keys == "hard" else a
        q = self.spread(a @ read.states, V)
        context, g = self.context(keep, r, o)
        context = self.spread(context, V)

        hidden = F.relu(self.classify(concat(q, V, O, context)))
        score = self.score(hidden)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)
        if trace is not None:
            trace.h, trace.V, trace.O, trace.r, trace.a = read.states, V, O, r, a
            trace.keep, trace.q, trace.g, trace.context = keep, q, g, context
            trace.hidden, trace.score, trace.logits = hidden, score, logits
        return logits

    def pooled(self, cells: Tensor) -> Tensor:
        """(B, d, h, w) -> (B, N, d): the mean of each region."""
        return F.adaptive_avg_pool2d(to_float32(cells), REGIONS).flatten(2).transpose(1, 2)

    def spread(self, regions: Tensor, like: Tensor) -> Tensor:
        """(B, N, d) -> (B, d, h, w), between the regions' centres, of length 1."""
        square = regions.transpose(1, 2).unflatten(2, (REGIONS, REGIONS))
        return l2_normalize(upsample(square, like.shape[-1], "half_pixel"))
