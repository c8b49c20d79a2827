"""Enrichment, the second half of RES: the retrieved image enriches the input image (Fig. 3)."""

import torch
from torch import Tensor, nn

from tvnet.model.blocks import conv, linear
from tvnet.model.trace import LEVELS, Trace
from tvnet.settings import ModelSettings


class Enrichment(nn.Module):
    """Gated cross-image attention of one level l (Eq. 1, Eq. 2).

    V_in, V_sim (B, d_l, h, w) -> V' (B, d_l, h, w).
    """

    def __init__(self, d_l: int, model: ModelSettings):
        super().__init__()
        self.scaled = model.scale_attention
        inner = d_l // 2 if model.inner == "half" else d_l  # D3: as non-local networks do
        self.W1 = linear(d_l, inner)
        self.W2 = linear(d_l, inner)
        if model.W3 == "bottleneck":
            self.W3 = nn.Sequential(linear(d_l, inner), linear(inner, d_l))
        else:
            self.W3 = linear(d_l, d_l)
        if model.W3 != "glorot":
            # D4: training starts at the baseline.
            nn.init.zeros_([m for m in self.W3.modules() if isinstance(m, nn.Linear)][-1].weight)
        self.gate = conv(d_l, d_l if model.gate == "channel" else 1)  # D1

    def forward(
        self,
        V_in: Tensor,
        V_sim: Tensor,
        valid: Tensor | None = None,
        trace: Trace | None = None,
        level: int = 0,
    ) -> Tensor:
        """valid: (B, h, w) bool, False where the retrieved square is padding (D6).

        A given trace is filled under `level`.
        """
        h, w = V_in.shape[-2:]
        v_in = V_in.flatten(2).transpose(1, 2)  # (B, hw, d_l)
        v_sim = V_sim.flatten(2).transpose(1, 2)

        Q, K = self.W1(v_in), self.W2(v_sim)  # (B, hw, inner)
        if self.scaled:
            Q = Q / Q.shape[-1] ** 0.5  # D2: without this the softmax starts saturated
        padding = Q.new_zeros(Q.shape[0], 1, h * w)
        if valid is not None:
            padding.masked_fill_(~valid.flatten(1)[:, None], float("-inf"))
        similarity = torch.baddbmm(padding, Q, K.transpose(1, 2))  # Q K^T + padding, (B, hw, hw)
        A = similarity.softmax(dim=-1).to(Q.dtype)  # (B, hw, hw); in float32 inside (D37)
        v_sim_prime = A @ self.W3(v_sim)  # (B, hw, d_l)

        V_sim_prime = v_sim_prime.transpose(1, 2).unflatten(2, (h, w))
        gate = self.gate(V_in).sigmoid()
        V_prime = V_in + gate * V_sim_prime
        if trace is not None:
            trace.A[level], trace.gate[level] = A, gate
            trace.V_sim_prime[level] = V_sim_prime
        return V_prime


class RES(nn.Module):
    """Enrichment of the levels 3, 4, 5, each with its own weights, or with shared ones (D5).

    V_in, V_sim {"V3", "V4", "V5": (B, d_l, h, w)} -> V' {3, 4, 5: (B, d_l, h, w)}. Shared weights
    need one width: a projection of each level to d_m channels stands before them.
    """

    def __init__(self, widths: dict[int, int], model: ModelSettings):
        super().__init__()
        self.project = nn.ModuleDict()
        if model.shared_enrichment:
            self.project.update({str(n): conv(d_l, model.d_m) for n, d_l in widths.items()})
            self.shared = Enrichment(model.d_m, model)
        else:
            self.level = nn.ModuleDict({str(n): Enrichment(d, model) for n, d in widths.items()})

    def forward(
        self,
        V_in: dict[str, Tensor],
        V_sim: dict[str, Tensor] | None,
        valid: Tensor | None = None,
        trace: Trace | None = None,
    ) -> dict[int, Tensor]:
        """Without V_sim nothing is added: V' = V_in. No network is trained this way."""
        V_prime = {}
        for n in LEVELS:
            both = [V[f"V{n}"] for V in (V_in, V_sim) if V is not None]
            if self.project:
                both = [self.project[str(n)](V) for V in both]
            block = self.shared if self.project else self.level[str(n)]
            V_prime[n] = both[0] if V_sim is None else block(*both, valid, trace, n)
        return V_prime
