"""Enrichment, the second half of RES: the retrieved image enriches the input image (Fig. 3)."""

from torch import Tensor, nn

from tvnet.model.blocks import conv, linear
from tvnet.model.trace import Trace


class Enrichment(nn.Module):
    """Gated cross-image attention of one level l (Eq. 1, Eq. 2).

    V_in, V_sim (B, d_l, h, w) -> V' (B, d_l, h, w). Every level has its own weights (D5).
    """

    def __init__(self, level: int, d_l: int):
        super().__init__()
        self.level = level
        inner = d_l // 2  # D3: the bottleneck of non-local networks
        self.W1 = linear(d_l, inner)
        self.W2 = linear(d_l, inner)
        self.W3 = linear(d_l, d_l)
        nn.init.zeros_(self.W3.weight)  # D4: training starts at the baseline
        self.gate = conv(d_l, d_l)  # D1: one gate per channel and position

    def forward(
        self, V_in: Tensor, V_sim: Tensor, valid: Tensor | None = None, trace: Trace | None = None
    ) -> Tensor:
        """valid: (B, h, w) bool, False where the retrieved square is padding (D6)."""
        h, w = V_in.shape[-2:]
        v_in = V_in.flatten(2).transpose(1, 2)  # (B, hw, d_l)
        v_sim = V_sim.flatten(2).transpose(1, 2)

        Q, K = self.W1(v_in), self.W2(v_sim)  # (B, hw, d_l/2)
        Q = Q / Q.shape[-1] ** 0.5  # D2: without this the softmax starts saturated
        similarity = Q @ K.transpose(1, 2)  # (B, hw, hw)
        if valid is not None:
            similarity.masked_fill_(~valid.flatten(1)[:, None], float("-inf"))
        A = similarity.float().softmax(dim=-1).to(v_in.dtype)  # (B, hw, hw)
        v_sim_prime = A @ self.W3(v_sim)  # (B, hw, d_l)

        V_sim_prime = v_sim_prime.transpose(1, 2).unflatten(2, (h, w))
        gate = self.gate(V_in).sigmoid()
        V_prime = V_in + gate * V_sim_prime
        if trace is not None:
            trace.A[self.level], trace.gate[self.level] = A, gate
            trace.V_sim_prime[self.level] = V_sim_prime
        return V_prime
