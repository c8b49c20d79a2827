"""The second stage: high-resolution detail, fused adaptively (AMF) or concatenated (Cct)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, l2_normalize, pass_through, to_float32, upsample
from tvnet.model.trace import Trace
from tvnet.settings import ModelSettings


def norm(d: int, model: ModelSettings) -> nn.Module:
    """The Norm of Eq. 4 (D17): batch norm fails at the paper's batch size of one."""
    if model.amf_norm == "group":
        return nn.GroupNorm(model.norm_groups, d)
    if model.amf_norm == "instance":
        return nn.GroupNorm(d, d)
    return nn.BatchNorm2d(d)


class AMF(nn.Module):
    """Adaptive multi-resolution feature fusion (Eq. 4, Eq. 5).

    M_fine (B, d_m, h, w), V2 (B, d_2, 2h, 2w) -> M_fine' (B, d_fine, 2h, 2w).
    """

    def __init__(self, d_2: int, model: ModelSettings):
        super().__init__()
        d_m, d_hr, kernel = model.d_m, model.d_hr, model.amf_kernel  # D16
        self.grid, self.compare_at = model.upsampling, model.compare_at
        self.V2_input = conv(d_2, d_hr) if model.V2_input == "reduced" else nn.Identity()
        d_2 = d_hr if model.V2_input == "reduced" else d_2
        self.unit = l2_normalize if model.V2_input == "unit" else nn.Identity()
        self.encode = conv(d_m, d_m, kernel)
        self.widen = conv(d_m, 4 * d_hr, kernel)  # D15
        self.shuffle = nn.PixelShuffle(2)
        self.suppress = conv(d_hr + d_2, d_hr, kernel)
        self.norm = norm(d_hr, model)
        self.gate = conv(d_hr + d_m, 1, kernel)  # D19
        if model.amf_gate == "stack":
            first = conv(d_hr + d_m, d_hr, kernel)
            self.gate = nn.Sequential(first, norm(d_hr, model), nn.ReLU(), conv(d_hr, 1, kernel))
        self.merge = pass_through(conv(d_m + d_hr, model.d_fine or d_m, kernel))  # D21

    def forward(self, M_fine: Tensor, V2: Tensor, trace: Trace | None = None) -> Tensor:
        side = V2.shape[-1]
        V2 = self.unit(self.V2_input(V2))  # D20
        C_LR = self.widen(F.relu(self.encode(M_fine)))
        C_HR = self.shuffle(C_LR)[..., :side, :side]  # odd sizes: V2 is one cell short of 2h
        suppressed = self.suppress(torch.cat([C_HR, V2], dim=1))
        V2_prime = F.relu(self.norm(to_float32(suppressed)))

        U = upsample(M_fine, side, self.grid)
        if self.compare_at == "high":  # D18: M_fine is upsampled before it is compared with V2'
            A2 = self.gate(torch.cat([V2_prime, U], dim=1)).sigmoid()
        else:
            below = F.interpolate(V2_prime, M_fine.shape[-2:], mode="area")
            A2 = self.gate(torch.cat([below, M_fine], dim=1)).sigmoid()
            A2 = upsample(A2, side, self.grid)
        M_fine_prime = self.merge(torch.cat([U, A2 * V2_prime], dim=1))
        if trace is not None:
            trace.C_LR, trace.C_HR, trace.V2_prime = C_LR, C_HR, V2_prime
            trace.U, trace.A2 = U, A2
        return M_fine_prime


class Cct(nn.Module):
    """Table 1's rival of AMF: V2 concatenated with the upsampled M_fine, then a 1x1 convolution."""

    def __init__(self, d_2: int, model: ModelSettings):
        super().__init__()
        self.grid = model.upsampling
        self.merge = pass_through(conv(model.d_m + d_2, model.d_fine or model.d_m))

    def forward(self, M_fine: Tensor, V2: Tensor, trace: Trace | None = None) -> Tensor:
        U = upsample(M_fine, V2.shape[-1], self.grid)
        if trace is not None:
            trace.U = U
        return self.merge(torch.cat([U, V2], dim=1))
