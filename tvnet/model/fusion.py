"""Cross-modal fusion (section 3.2): words and pixels are fused, then the levels exchange maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import concat, conv, l2_normalize, linear, to_float32
from tvnet.model.trace import LEVELS
from tvnet.settings import ModelSettings


def coordinates(h: int, w: int, like: Tensor) -> Tensor:
    """The 8-D spatial feature O (1, 8, h, w): left, top, right, bottom, centre x, y of each cell
    in [-1, 1], and the cell's width and height as shares of the map."""
    left = torch.arange(w, device=like.device) * 2 / w - 1
    top = (torch.arange(h, device=like.device) * 2 / h - 1)[:, None]
    planes = [left, top, left + 2 / w, top + 2 / h, left + 1 / w, top + 1 / h]
    planes += [torch.full((), 1 / n, device=like.device) for n in (w, h)]
    O = torch.stack([plane.expand(h, w) for plane in planes])  # noqa: E741
    return O[None].to(like.dtype)


class Bilinear(nn.Module):
    """M_raw = (W4 s) * (W5 Conv([V'; O])) for one level (Eq. 3, first line).

    V' (B, d_l, h, w), s (B, d_s), O (1, 8, h, w) -> M_raw (B, d_m, h, w). With a rank above one
    (D8) as many such products are summed; with `tanh` they are MUTAN's. Without `lateral`, W5
    reads [V'; O] itself, as in CMPC.
    """

    def __init__(self, d_l: int, model: ModelSettings, lateral: bool = True):
        super().__init__()
        d_s, d_m = model.d_s, model.d_m
        self.lateral = conv(d_l + 8, d_m, model.lateral_kernel) if lateral else nn.Identity()  # D10
        d_x = d_m if lateral else d_l + 8
        self.W4 = nn.ModuleList(linear(d_s, d_m) for _ in range(model.rank))
        self.W5 = nn.ModuleList(conv(d_x, d_m) for _ in range(model.rank))
        self.squash = nn.Tanh() if model.tanh else nn.Identity()
        self.unit = l2_normalize if model.unit_length else nn.Identity()  # D7

    def forward(self, V_prime: Tensor, s: Tensor, O: Tensor) -> Tensor:  # noqa: E741
        X = self.lateral(concat(self.unit(V_prime), O))
        M_raw = sum(
            self.squash(W4(s))[:, :, None, None] * self.squash(W5(X))
            for W4, W5 in zip(self.W4, self.W5, strict=True)
        )
        return self.unit(self.squash(M_raw))


class Gate(nn.Module):
    """CMPC's language-guided gate into one receiving level (Eq. 3, second line).

    M {3, 4, 5: (B, d_m, h, w)}, t (B, d_s) -> M_l + sum over the senders k of Gate(M_k).
    """

    def __init__(self, level: int, model: ModelSettings):
        super().__init__()
        d_s, d_m = model.d_s, model.d_m
        self.level = level
        self.senders = [k for k in LEVELS if k != level]
        self.key = conv(d_m, d_m)
        self.query = linear(d_s, d_m)
        self.summary = linear(d_m + d_s, d_m)
        self.value = nn.ModuleDict({str(k): conv(d_m, d_m) for k in self.senders})
        self.amount = nn.ModuleDict({str(k): linear(d_m, d_m) for k in self.senders})
        self.unit = l2_normalize if model.unit_length else nn.Identity()  # D7

    def forward(self, M: dict[int, Tensor], t: Tensor) -> Tensor:
        receiver = M[self.level]
        # g: what the sentence refers to in the receiving level, as one vector.
        match = (self.key(receiver) * self.query(t)[:, :, None, None]).sum(1)
        match = match / receiver.shape[1] ** 0.5
        where = to_float32(match).flatten(1).softmax(dim=-1).view_as(match)  # (B, h, w)
        attended = (receiver * where[:, None].to(receiver.dtype)).sum((2, 3))  # (B, d_m)
        summary = self.summary(torch.cat([attended, t], dim=-1))
        g = F.normalize(to_float32(summary), dim=-1)  # (B, d_m)
        total = receiver
        for k in self.senders:
            amount = self.amount[str(k)](g).sigmoid()[:, :, None, None]
            total = total + F.relu(self.value[str(k)](M[k])) * amount
        return self.unit(total)


class GatedExchange(nn.Module):
    """One round in which every level receives from the other two (D11)."""

    def __init__(self, model: ModelSettings):
        super().__init__()
        self.gates = nn.ModuleList(Gate(level, model) for level in LEVELS)

    def forward(self, M: dict[int, Tensor], t: Tensor) -> dict[int, Tensor]:
        return {gate.level: gate(M, t) for gate in self.gates}
