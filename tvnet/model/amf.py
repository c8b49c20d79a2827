"""The second stage: high-resolution detail comes back, adaptively (AMF) or plainly (Cct)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, pass_through, upsample
from tvnet.model.trace import Trace


class AMF(nn.Module):
    """Adaptive multi-resolution feature fusion (Eq. 4, Eq. 5).

    M_fine (B, d_m, h, w), V2 (B, d_2, 2h, 2w) -> M_fine' (B, d_m, 2h, 2w).
    """

    def __init__(self, d_m: int, d_2: int, d_hr: int, norm_groups: int):
        super().__init__()
        self.encode = conv(d_m, d_m, 3)  # D16: 3x3 throughout
        self.widen = conv(d_m, 4 * d_hr, 3)  # D15
        self.shuffle = nn.PixelShuffle(2)
        self.suppress = conv(d_hr + d_2, d_hr, 3)
        self.norm = nn.GroupNorm(norm_groups, d_hr)  # D17: batch norm fails at batch size 1
        self.gate = conv(d_hr + d_m, 1, 3)  # D19
        self.merge = pass_through(conv(d_m + d_hr, d_m, 3))  # D21

    def forward(self, M_fine: Tensor, V2: Tensor, trace: Trace | None = None) -> Tensor:
        side = V2.shape[-1]
        C_LR = self.widen(F.relu(self.encode(M_fine)))
        C_HR = self.shuffle(C_LR)[..., :side, :side]  # odd sizes: V2 is one cell short of 2h
        V2_prime = F.relu(self.norm(self.suppress(torch.cat([C_HR, V2], dim=1))))  # D20

        U = upsample(M_fine, side)  # D18: M_fine at V2's resolution before it is compared
        A2 = self.gate(torch.cat([V2_prime, U], dim=1)).sigmoid()
        M_fine_prime = self.merge(torch.cat([U, A2 * V2_prime], dim=1))
        if trace is not None:
            trace.C_LR, trace.C_HR, trace.V2_prime = C_LR, C_HR, V2_prime
            trace.U, trace.A2 = U, A2
        return M_fine_prime


class Cct(nn.Module):
    """Table 1's rival of AMF: V2 beside the upsampled M_fine, then one 1x1 convolution."""

    def __init__(self, d_m: int, d_2: int):
        super().__init__()
        self.merge = pass_through(conv(d_m + d_2, d_m))

    def forward(self, M_fine: Tensor, V2: Tensor, trace: Trace | None = None) -> Tensor:
        U = upsample(M_fine, V2.shape[-1])
        if trace is not None:
            trace.U = U
        return self.merge(torch.cat([U, V2], dim=1))
