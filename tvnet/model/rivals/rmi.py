"""RMI (Liu et al. 2017), top to bottom as in its figure.

A second LSTM runs in every cell and reads the sentence word by word, each beside what the cell
shows: the mask takes shape while the sentence is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import (
    WordLoop,
    concat,
    conv,
    l2_normalize,
    linear,
    to_float32,
    unless_pad,
    upsample,
)
from tvnet.model.expression import Words
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import Symbols
from tvnet.settings import Settings


@dataclass
class RMITrace(Symbols):
    """The tensors of one pass."""

    w: Tensor | None = None  # the words' embeddings
    h: Tensor | None = None  # the sentence up to each word, unit length
    V5: Tensor | None = None  # as wide as the sentence, unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    m: dict[int, Tensor] = field(default_factory=dict)  # the cells' states after word 1, 2, ...
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels and sentences padded to `words`."""
    model, n = settings.model, -(-size // 8)
    table: dict[str, tuple[int, ...]] = {
        "w": (batch, words, model.d_words),
        "h": (batch, words, model.d_s),
        "V5": (batch, model.d_s, n, n),
        "O": (1, 8, n, n),
        "score": (batch, 1, n, n),
        "logits": (batch, 1, size, size),
    }
    return table | {f"m[{t + 1}]": (batch, model.d_m, n, n) for t in range(words)}


class CellLSTM(WordLoop):
    """The multimodal LSTM: one plain LSTM in every cell, with the same weights in all of them.

    cells (B, d_x, h, w), words (B, T, d_y), pad (B, T) -> its last state m (B, d, h, w). A given
    list collects the states. Its input is [cell; word; m], but what does not change is multiplied
    once: the cells for all words, the words for all cells.
    """

    def __init__(self, d_x: int, d_y: int, d: int):
        super().__init__()
        self.of_cell = conv(d_x, 4 * d)
        self.of_word = linear(d_y, 4 * d)
        self.of_state = conv(d, 4 * d, bias=False)
        bound = (6 / (d_x + d_y + d + 4 * d)) ** 0.5  # Glorot over [cell; word; state]
        for part in (self.of_cell, self.of_word, self.of_state):
            nn.init.uniform_(part.weight, -bound, bound)
        self.of_word.bias = None  # of_cell has it

    def forward(
        self, cells: Tensor, words: Tensor, pad: Tensor, states: list[Tensor] | None = None
    ) -> Tensor:
        of_cell, of_words = self.of_cell(cells), self.of_word(words)
        m = c = to_float32(torch.zeros_like(of_cell[:, : of_cell.shape[1] // 4]))
        for t in range(words.shape[1]):
            m, c = self.step(of_cell, of_words[:, t], pad[:, t], m, c)
            if states is not None:
                states.append(m)
        return m

    def step(
        self, of_cell: Tensor, of_word: Tensor, pad: Tensor, m: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        """State and memory (B, d, h, w) after one more word; a pad changes neither."""
        gates = of_cell + of_word[:, :, None, None] + self.of_state(m)
        i, j, f, o = to_float32(gates).chunk(4, dim=1)
        c_next = (f + 1.0).sigmoid() * c + i.sigmoid() * j.tanh()
        m_next = o.sigmoid() * c_next.tanh()
        return unless_pad(m_next, m, pad), unless_pad(c_next, c, pad)


def inverse_tanh(m: Tensor) -> Tensor:
    """The inverse of tanh, kept finite at -1 and 1; in float32."""
    m = to_float32(m)
    return 0.5 * ((1.001 + m).log() - (1.001 - m).log())


class RMI(Method):
    """The last state of every cell is classified by itself.

    ending: what is done with it before: the public code undoes its tanh and takes the positive part
    ("unbounded"), or the state is scored as it is ("plain") (D71). Only V5 is read; V_sim and valid
    are ignored.
    """

    def __init__(self, settings: Settings, vocabulary_size: int, ending: str = "unbounded"):
        super().__init__(settings)
        model = settings.model
        self.ending = ending
        self.expression = Words(vocabulary_size, model)
        self.lateral = conv(settings.backbone.channels["V5"], model.d_s)
        self.conv_lstm = CellLSTM(model.d_s + 8, model.d_words + model.d_s, model.d_m)
        self.score = conv(model.d_m, 1)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: RMITrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        read = self.expression(words, lengths)
        V5 = l2_normalize(self.lateral(V_in["V5"]))
        O = coordinates(*V5.shape[-2:], like=V5)  # noqa: E741

        # Each word as it is, beside the sentence up to it.
        sentence = torch.cat([read.e, read.h], dim=-1)
        states: list[Tensor] | None = None if trace is None else []
        m = self.conv_lstm(concat(V5, O), sentence, read.pad, states)
        if self.ending == "unbounded":  # D71
            m = F.relu(inverse_tanh(m))
        score = self.score(m)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.w, trace.h, trace.V5, trace.O = read.e, read.h, V5, O
            trace.m = {t + 1: state for t, state in enumerate(states)}
            trace.score, trace.logits = score, logits
        return logits
