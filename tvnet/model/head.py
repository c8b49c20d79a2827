"""From the fused map to the mask's logits: the last upsampling and the score convolution."""

import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import at_every_position, conv, to_float32, upsample
from tvnet.settings import ModelSettings


class Head(nn.Module):
    """M_fine (B, d, h, w), or M_fine' at twice that size, -> a score map with one channel.

    Fig. 2 writes "x2 up, Conv" between M_fine' and the mask (D23). Without a
    high-resolution part the map is scored directly, as in prior code.
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
        if self.refine is not None:
            M = F.relu(self.refine(upsample(M, 2 * M.shape[-1], self.grid)))
        return score_of_upsampled(self.score, M, self.grid) if self.doublings else self.score(M)


def score_of_upsampled(score: nn.Conv2d, M: Tensor, grid: str) -> Tensor:
    """score(upsample(M)): (B, d, h, w) -> (B, 1, 2h, 2w), without d channels at that size.

    Upsampling acts on each channel separately, so the d channels can first be summed for each tap
    of the kernel: nine maps are upsampled, then shifted and added.
    """
    side = 2 * M.shape[-1]
    kernel = score.kernel_size[0]
    weight = score.weight[0].flip(1, 2).flatten(1).T  # (taps, d)
    taps = upsample(to_float32(at_every_position(M, weight)), side, grid).flatten(2)
    return F.fold(taps, side, kernel, padding=kernel // 2) + score.bias
