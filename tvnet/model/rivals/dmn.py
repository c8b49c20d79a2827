"""DMN (dynamic multimodal network, Margffoy-Tuay et al. 2018): every word makes filters; their
responses are gathered word by word in every cell; a decoder adds resolution."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tvnet.model.blocks import WordLoop, concat, conv, l2_normalize, linear, to_float32, upsample
from tvnet.model.expression import Words
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import Symbols
from tvnet.settings import Settings

FILTERS = 10  # a word
LAYERS = 3  # recurrent ones
DECODED = (5, 4, 3, 2)  # deep to shallow; this backbone shows no map at 1/2


@dataclass
class DMNTrace(Symbols):
    """The tensors of one pass, in the order of its figure; K filters a word."""

    e: Tensor | None = None  # the words' embeddings
    h: Tensor | None = None  # and states
    O: Tensor | None = None  # noqa: E741  coordinates
    I5: Tensor | None = None  # [V5; O], V5 of unit length
    f: Tensor | None = None  # (B, T, K, d_5 + 8), each word's filters
    R: Tensor | None = None  # (B, T, K, h, w), their responses
    q: Tensor | None = None  # (B, T, d_m, h, w), all that the recurrent net reads
    m: Tensor | None = None  # (B, T, d_m, h, w), its state after each word
    X: dict[int, Tensor] = field(default_factory=dict)  # decoded with V5, V4, V3, V2
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    model, n, n2 = settings.model, -(-size // 8), -(-size // 4)
    d_5, B, T = settings.backbone.channels["V5"] + 8, batch, words
    table: dict[str, tuple[int, ...]] = {
        "e": (B, T, model.d_words),
        "h": (B, T, model.d_s),
        "O": (1, 8, n, n),
        "I5": (B, d_5, n, n),
        "f": (B, T, FILTERS, d_5),
        "R": (B, T, FILTERS, n, n),
        "q": (B, T, model.d_m, n, n),
        "m": (B, T, model.d_m, n, n),
        "score": (B, 1, n2, n2),
        "logits": (B, 1, size, size),
    }
    for k, level in enumerate(DECODED):
        side = n2 if level == 2 else n
        table[f"X[{level}]"] = (B, model.d_m >> k, side, side)
    return table


class SRU(nn.Module):
    """A simple recurrent unit, whose gates read the input alone: x (B, T, d, h, w) -> as large.

    All T steps' products are computed at once; only the cell's state runs from step to step.
    """

    def __init__(self, d: int):
        super().__init__()
        self.mix = conv(d, 3 * d)
        self.over_words = SRUStates()

    def forward(self, x: Tensor) -> Tensor:
        mixed = to_float32(self.mix(x.flatten(0, 1))).unflatten(0, x.shape[:2])
        new, forget, reset = mixed.chunk(3, dim=2)
        forget, reset = forget.sigmoid(), reset.sigmoid()
        return reset * self.over_words(new, forget).tanh() + (1 - reset) * x


class SRUStates(WordLoop):
    """The cell's state after every word: new, forget (B, T, d, h, w) -> as large."""

    def forward(self, new: Tensor, forget: Tensor) -> Tensor:
        c, states = torch.zeros_like(new[:, 0]), []
        for t in range(new.shape[1]):
            c = forget[:, t] * c + (1 - forget[:, t]) * new[:, t]
            states.append(c)
        return torch.stack(states, dim=1)


class Responses(nn.Module):
    """Filters with weights between 0 and 1, from each word, and what they answer in each cell.

    e (B, T, d_words), h (B, T, d_s), I5 (B, d, h, w) -> f (B, T, K, d), R (B, T, K, h, w).
    """

    def __init__(self, d_word: int, d: int):
        super().__init__()
        self.make = linear(d_word, FILTERS * d)

    def forward(self, word: Tensor, I5: Tensor) -> tuple[Tensor, Tensor]:
        f = self.make(word).sigmoid().unflatten(2, (FILTERS, I5.shape[1]))
        return f, torch.einsum("btkd,bdhw->btkhw", f, I5.to(f.dtype))


class Decoder(nn.Module):
    """Adds the backbone's maps from deep to shallow, each with half as many channels.

    m (B, d, h, w) -> X {5, 4, 3: (B, ..., h, w), 2: (B, d / 8, 2h, 2w)}. As in the public code it
    has no activation, and it upsamples before it convolves (D83).
    """

    def __init__(self, channels: dict[str, int], d: int, grid: str):
        super().__init__()
        self.grid = grid
        before = [d] + [d >> k for k in range(len(DECODED) - 1)]
        self.add = nn.ModuleDict(
            {
                str(n): conv(d_in + channels[f"V{n}"], d >> k, 3)
                for k, (n, d_in) in enumerate(zip(DECODED, before, strict=True))
            }
        )

    def forward(self, m: Tensor, V_in: Maps) -> dict[int, Tensor]:
        X, x = {}, m
        for n in DECODED:
            V = V_in[f"V{n}"]
            if V.shape[-1] != x.shape[-1]:
                x = upsample(x, V.shape[-1], self.grid)
            x = X[n] = self.add[str(n)](concat(x, V))
        return X


class DMN(Method):
    """One filter bank a word, three recurrent layers over the words in every cell, a decoder.

    V_sim and valid are ignored. The words' recurrent net is the course's LSTM (D83). recurrence:
    "words" reads one sequence a cell, all words of the sentence; "cells" is the public code's
    indexing, one sequence through all words of a cell, then of the next cell (D84).
    """

    def __init__(self, settings: Settings, vocabulary_size: int, recurrence: str = "words"):
        super().__init__(settings)
        model, channels = settings.model, settings.backbone.channels
        self.recurrence = recurrence
        d_word, d_5 = model.d_words + model.d_s, channels["V5"] + 8
        self.expression = Words(vocabulary_size, model)
        self.responses = Responses(d_word, d_5)
        # One 1x1 convolution of [I5; e; h; R]: each part is multiplied once, where it is small.
        self.mix_image = conv(d_5, model.d_m)
        self.mix_word = linear(d_word, model.d_m)
        self.mix_responses = conv(FILTERS, model.d_m, bias=False)
        self.recurrent = nn.Sequential(*(SRU(model.d_m) for _ in range(LAYERS)))
        self.decoder = Decoder(channels, model.d_m, model.upsampling)
        self.score = conv(model.d_m >> len(DECODED) - 1, 1)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: DMNTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        e, h, _ = self.expression(words, lengths)
        word = torch.cat([e, h], dim=-1)
        V5 = l2_normalize(V_in["V5"])
        O = coordinates(*V5.shape[-2:], like=V5)  # noqa: E741
        I5 = concat(V5, O)

        f, R = self.responses(word, I5)
        q = self.mix_image(I5)[:, None] + self.mix_word(word)[..., None, None]
        q = q + self.mix_responses(R.flatten(0, 1)).unflatten(0, R.shape[:2])
        m = self.recurrent(q) if self.recurrence == "words" else self.through_cells(q, lengths)
        # A state does not depend on later words: the last word's is found where it stands.
        last = m[torch.arange(len(m), device=m.device), lengths - 1]
        X = self.decoder(last, V_in)
        score = self.score(X[2])
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)
        if trace is not None:
            trace.e, trace.h, trace.O, trace.I5, trace.f, trace.R = e, h, O, I5, f, R
            trace.q, trace.m, trace.X, trace.score, trace.logits = q, m, X, score, logits
        return logits

    def through_cells(self, q: Tensor, lengths: Tensor) -> Tensor:
        """The public code's one sequence over cells and words, whose last hw outputs are taken for
        the map (D84): q (B, T, d, h, w) -> as large, that map at every word."""
        h, w = q.shape[-2:]
        found = []
        for one, n in zip(q, lengths.tolist(), strict=True):
            sequence = one[:n].permute(2, 3, 0, 1).reshape(1, h * w * n, -1, 1, 1)
            outputs = self.recurrent(sequence)[0, -h * w :, :, 0, 0]
            found.append(outputs.T.unflatten(1, (h, w)))
        return torch.stack(found)[:, None].expand_as(q)
