"""LSTM-CNN (Hu et al. 2016), the first work on the task: one concatenation in every cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tvnet.model.blocks import conv, l2_normalize, to_float32, upsample
from tvnet.model.expression import Expression
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.trace import Symbols
from tvnet.settings import Settings


@dataclass
class LSTMCNNTrace(Symbols):
    """The tensors of one pass, in the order of its figure."""

    s: Tensor | None = None  # the sentence
    V5: Tensor | None = None  # unit length
    O: Tensor | None = None  # noqa: E741  coordinates
    hidden: Tensor | None = None
    score: Tensor | None = None
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes for squares of `size` pixels, whatever the number of words."""
    model, n = settings.model, -(-size // 8)
    maps = {"V5": settings.backbone.channels["V5"], "hidden": model.d_m, "score": 1}
    table = {name: (batch, d, n, n) for name, d in maps.items()}
    return table | {
        "s": (batch, model.d_s),
        "O": (1, 8, n, n),
        "logits": (batch, 1, size, size),
    }


class LSTMCNN(Method):
    """The sentence is concatenated with every cell's features and coordinates; two 1x1 convolutions
    classify it.

    Only V5 is read; V_sim and valid are ignored. On the backbone and at the size of the others
    (D44), as in the first re-implementation, which the later methods start from.
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__(settings)
        model = settings.model
        self.expression = Expression(vocabulary_size, model)
        self.classify = conv(model.d_s + settings.backbone.channels["V5"] + 8, model.d_m)
        self.score = conv(model.d_m, 1)

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: LSTMCNNTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        s, _ = self.expression(words, lengths)
        V5 = l2_normalize(V_in["V5"])
        h, w = V5.shape[-2:]
        O = coordinates(h, w, like=V5)  # noqa: E741
        everywhere = s[:, :, None, None].expand(-1, -1, h, w)
        joined = torch.cat([everywhere, V5, O.expand(len(V5), -1, -1, -1)], dim=1)
        hidden = F.relu(self.classify(joined))
        score = self.score(hidden)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)
        if trace is not None:
            trace.s, trace.V5, trace.O = s, V5, O
            trace.hidden, trace.score, trace.logits = hidden, score, logits
        return logits
