"""RRN (Li et al. 2018), top to bottom as in its figure.

Sentence and deepest map are fused once; then a ConvLSTM reads the backbone's levels from deep to
shallow, and corrects what it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import concat, conv, l2_normalize, to_float32, upsample
from tvnet.model.conv_lstm import conv_lstm
from tvnet.model.expression import Expression
from tvnet.model.fusion import coordinates
from tvnet.model.head import Head
from tvnet.model.method import Maps, Method
from tvnet.model.trace import Symbols
from tvnet.settings import Settings

DEEP_TO_SHALLOW = (5, 4, 3)


@dataclass
class RRNTrace(Symbols):
    """The tensors of one pass; with a level: {5: tensor, 4: tensor, 3: tensor}."""

    s: Tensor | None = None  # the sentence
    V5: Tensor | None = None  # as wide as the sentence, unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    m_0: Tensor | None = None  # sentence and deepest map, fused
    c: dict[int, Tensor] = field(default_factory=dict)  # what the ConvLSTM reads
    m: dict[int, Tensor] = field(default_factory=dict)  # its state after each level
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels, whatever the number of words."""
    model, n = settings.model, -(-size // 8)
    maps = {"V5": model.d_s, "m_0": model.d_m, "score": 1}
    maps |= {f"{name}[{level}]": model.d_m for name in "cm" for level in DEEP_TO_SHALLOW}
    table = {name: (batch, d, n, n) for name, d in maps.items()}
    return table | {
        "s": (batch, model.d_s),
        "O": (1, 8, n, n),
        "logits": (batch, 1, size, size),
    }


class RRN(Method):
    """The fused map is where a ConvLSTM over the levels 5, 4 and 3 starts.

    start: it is the ConvLSTM's state ("state") or its first input, before which there is none
    ("input"), as in the public code (D70). V_sim and valid are ignored.
    """

    def __init__(self, settings: Settings, vocabulary_size: int, start: str = "state"):
        super().__init__(settings)
        model, channels = settings.model, settings.backbone.channels
        self.start = start
        self.expression = Expression(vocabulary_size, model)
        self.lateral = conv(channels["V5"], model.d_s)
        self.fuse = conv(2 * model.d_s + 8, model.d_m)
        self.reduce = nn.ModuleDict(
            {str(n): conv(channels[f"V{n}"], model.d_m) for n in DEEP_TO_SHALLOW}
        )
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
        trace: RRNTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        s, _ = self.expression(words, lengths)
        V5 = l2_normalize(self.lateral(V_in["V5"]))
        O = coordinates(*V5.shape[-2:], like=V5)  # noqa: E741
        m_0 = F.relu(self.fuse(concat(V5, s[:, :, None, None], O)))

        # No words from here on: the levels are read as the backbone gives them.
        c = {n: F.relu(self.reduce[str(n)](V_in[f"V{n}"])) for n in DEEP_TO_SHALLOW}
        states: list[Tensor] = []
        if self.start == "state":
            m = self.conv_lstm(list(c.values()), m_0, states)
        else:  # D70
            m = self.conv_lstm([m_0, *c.values()], states=states)
        score = self.head(m)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.s, trace.V5, trace.O, trace.m_0, trace.c = s, V5, O, m_0, c
            trace.m = dict(zip(DEEP_TO_SHALLOW, states[-3:], strict=True))
            trace.score, trace.logits = score, logits
        return logits
