"""The ConvLSTM that fuses the levels into M_fine: CMPC's cell, or the plain one (D13)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import conv, to_float32
from tvnet.settings import ModelSettings


class ConvLSTM(nn.Module):
    """Reads levels (B, d_m, h, w) as a sequence and returns its last state, M_fine, of that shape.

    h: the state before the first level, by default 0. A given list collects the states.
    CMPC's cell: 1x1 kernel, layer norm over position and channel (= GroupNorm(1, d)), peepholes
    as maps of the trained size, forget bias 1.
    """

    def __init__(self, model: ModelSettings, side: int):
        super().__init__()
        d_m = model.d_m
        self.elsewhere = model.peephole_elsewhere
        self.mix = conv(2 * d_m, 4 * d_m, bias=False)
        self.norms = nn.ModuleDict({name: nn.GroupNorm(1, d_m) for name in "jifoc"})
        self.peepholes = nn.ParameterDict(
            # (d_m, side, side), with the channels last in memory, as the maps they multiply.
            {name: nn.Parameter(torch.zeros(side, side, d_m).permute(2, 0, 1)) for name in "ifo"}
        )

    def peephole(self, name: str, c: Tensor) -> Tensor:
        """The peephole map times c; at another size than the trained one, resized or off (D14)."""
        weight = self.peepholes[name]
        if weight.shape[-2:] != c.shape[-2:]:
            if self.elsewhere == "off":
                return torch.zeros_like(c)
            weight = F.interpolate(weight[None], c.shape[-2:], mode="bilinear")[0]
        return weight * c

    def forward(
        self, levels: list[Tensor], h: Tensor | None = None, states: list[Tensor] | None = None
    ) -> Tensor:
        c = torch.zeros_like(levels[0])
        h = c if h is None else h
        for x in levels:
            gates = to_float32(self.mix(torch.cat([x, h], dim=1)))
            j, i, f, o = gates.chunk(4, dim=1)
            i = self.norms["i"](i + self.peephole("i", c)).sigmoid()
            f = (self.norms["f"](f + self.peephole("f", c)) + 1.0).sigmoid()
            c = c * f + i * self.norms["j"](j).tanh()
            o = self.norms["o"](o + self.peephole("o", c)).sigmoid()
            c = self.norms["c"](c)
            h = o * c.tanh()
            if states is not None:
                states.append(h)
        return h


class PlainConvLSTM(nn.Module):
    """The original gates: 3x3 kernel with bias, forget bias 1, no peepholes, no norms."""

    def __init__(self, model: ModelSettings):
        super().__init__()
        self.mix = conv(2 * model.d_m, 4 * model.d_m, 3)
        with torch.no_grad():
            self.mix.bias[model.d_m : 2 * model.d_m] = 1.0

    def forward(
        self, levels: list[Tensor], h: Tensor | None = None, states: list[Tensor] | None = None
    ) -> Tensor:
        c = torch.zeros_like(levels[0])
        h = c if h is None else h
        for x in levels:
            i, f, o, g = self.mix(torch.cat([x, h], dim=1)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            if states is not None:
                states.append(h)
        return h


def conv_lstm(model: ModelSettings, side: int) -> nn.Module:
    """The cell of these settings, for maps of side x side cells."""
    return ConvLSTM(model, side) if model.conv_lstm == "cmpc" else PlainConvLSTM(model)
