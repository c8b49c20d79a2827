"""Cross-modal fusion (section 3.2): words meet pixels, levels exchange, a ConvLSTM gathers them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, l2c, linear
from tvnet.model.trace import LEVELS


def coordinates(h: int, w: int, like: Tensor) -> Tensor:
    """The 8-D spatial feature O (1, 8, h, w): left, top, right, bottom, centre x, y of each cell
    in [-1, 1], and the cell's width and height as shares of the map."""
    left = torch.arange(w, device=like.device) * 2 / w - 1
    top = (torch.arange(h, device=like.device) * 2 / h - 1)[:, None]
    planes = [left, top, left + 2 / w, top + 2 / h, left + 1 / w, top + 1 / h]
    sizes = [torch.full((), 1 / w), torch.full((), 1 / h)]
    O = torch.stack([p.to(like.device).expand(h, w) for p in planes + sizes])  # noqa: E741
    return O[None].to(like.dtype)


class Bilinear(nn.Module):
    """M_raw = (W4 s) * (W5 Conv([V'; O])) for one level (Eq. 3, first line; rank 1, D8).

    V' (B, d_l, h, w), s (B, d_s), O (1, 8, h, w) -> M_raw (B, d_m, h, w).
    """

    def __init__(self, d_l: int, d_s: int, d_m: int):
        super().__init__()
        self.lateral = conv(d_l + 8, d_m)  # D10
        self.W4 = linear(d_s, d_m)
        self.W5 = conv(d_m, d_m)

    def forward(self, V_prime: Tensor, s: Tensor, O: Tensor) -> Tensor:  # noqa: E741
        O = O.expand(len(V_prime), -1, -1, -1)  # noqa: E741
        X = self.lateral(torch.cat([l2c(V_prime), O], dim=1))
        return l2c(self.W4(s)[:, :, None, None] * self.W5(X))


class Gate(nn.Module):
    """CMPC's language-guided gate into one receiving level (Eq. 3, second line).

    It returns M_l + sum over the senders k of Gate(M_k), divided by its length (D7).
    """

    def __init__(self, level: int, d_s: int, d_m: int):
        super().__init__()
        self.level = level
        self.senders = [k for k in LEVELS if k != level]
        self.key = conv(d_m, d_m)
        self.query = linear(d_s, d_m)
        self.summary = linear(d_m + d_s, d_m)
        self.value = nn.ModuleDict({str(k): conv(d_m, d_m) for k in self.senders})
        self.amount = nn.ModuleDict({str(k): linear(d_m, d_m) for k in self.senders})

    def forward(self, M: dict[int, Tensor], s: Tensor) -> Tensor:
        own = M[self.level]
        # What of the receiving level the sentence speaks of, as one vector g.
        match = (self.key(own) * self.query(s)[:, :, None, None]).sum(1) / own.shape[1] ** 0.5
        where = match.flatten(1).softmax(dim=-1)  # (B, hw)
        seen = torch.einsum("bcn,bn->bc", own.flatten(2), where)
        g = F.normalize(self.summary(torch.cat([seen, s], dim=-1)), dim=-1)  # (B, d_m)
        total = own
        for k in self.senders:
            amount = self.amount[str(k)](g).sigmoid()[:, :, None, None]
            total = total + F.relu(self.value[str(k)](M[k])) * amount
        return l2c(total)


class Exchange(nn.Module):
    """One round in which every level receives from the other two (D11)."""

    def __init__(self, d_s: int, d_m: int):
        super().__init__()
        self.gates = nn.ModuleList(Gate(level, d_s, d_m) for level in LEVELS)

    def forward(self, M: dict[int, Tensor], s: Tensor) -> dict[int, Tensor]:
        return {gate.level: gate(M, s) for gate in self.gates}


class ConvLSTM(nn.Module):
    """Reads the levels 3, 4, 5 as a sequence and returns its last state, M_fine (B, d_m, h, w).

    CMPC's cell (D13): 1x1 kernel, layer norm over position and channel
    (= GroupNorm(1, d)), peepholes as maps of the trained size, forget bias 1.
    """

    def __init__(self, d_m: int, side: int):
        super().__init__()
        self.mix = nn.Conv2d(2 * d_m, 4 * d_m, 1, bias=False)
        nn.init.xavier_uniform_(self.mix.weight)
        self.norms = nn.ModuleDict({name: nn.GroupNorm(1, d_m) for name in "jifoc"})
        self.peepholes = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(d_m, side, side)) for name in "ifo"}
        )

    def peephole(self, name: str, c: Tensor) -> Tensor:
        """The peephole map times c; at another size than the trained one it is resized (D14)."""
        weight = self.peepholes[name]
        if weight.shape[-2:] != c.shape[-2:]:
            weight = F.interpolate(weight[None], c.shape[-2:], mode="bilinear")[0]
        return weight * c

    def forward(self, levels: list[Tensor]) -> Tensor:
        h = c = torch.zeros_like(levels[0])
        for x in levels:
            j, i, f, o = self.mix(torch.cat([x, h], dim=1)).chunk(4, dim=1)
            i = self.norms["i"](i + self.peephole("i", c)).sigmoid()
            f = (self.norms["f"](f + self.peephole("f", c)) + 1.0).sigmoid()
            c = c * f + i * self.norms["j"](j).tanh()
            o = self.norms["o"](o + self.peephole("o", c)).sigmoid()
            c = self.norms["c"](c)
            h = o * c.tanh()
        return h
