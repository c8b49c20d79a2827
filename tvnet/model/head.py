"""From the fused map to the mask's logits: the last upsampling and the score convolution."""

import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, upsample
from tvnet.settings import ModelSettings


class Head(nn.Module):
    """M_fine (B, d, h, w), or M_fine' at twice that size, -> a score map with one channel.

    Fig. 2 writes "x2 up, Conv" between M_fine' and the mask (D23). A map that no high-resolution
    part has touched is scored as it is, as in prior code.
    """

    def __init__(self, model: ModelSettings):
        super().__init__()
        high = model.high_resolution != "none"
        d = (model.d_fine or model.d_m) if high else model.d_m
        self.grid = model.upsampling
        self.doublings = model.head.count("x2") if high else 0
        self.refine = conv(d, d, 3) if self.doublings == 2 else None
        self.score = conv(d, 1, model.score_kernel)  # D22

    def forward(self, M: Tensor) -> Tensor:
        for k in range(self.doublings):
            M = upsample(M, 2 * M.shape[-1], self.grid)
            if k == 0 and self.refine is not None:
                M = F.relu(self.refine(M))
        return self.score(M)
