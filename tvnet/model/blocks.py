"""Small operations that several parts of the model share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(d_in: int, d_out: int, kernel: int = 1) -> nn.Conv2d:
    """A convolution that keeps the map's size; Glorot-uniform kernel, zero bias."""
    layer = nn.Conv2d(d_in, d_out, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def pass_through(layer: nn.Conv2d) -> nn.Conv2d:
    """Let a convolution start by passing its first channels on, unchanged and alone.

    D4: so the high-resolution parts start at the baseline, as enrichment does.
    """
    nn.init.dirac_(layer.weight)
    return layer


def linear(d_in: int, d_out: int) -> nn.Linear:
    """A linear map, initialised as `conv`."""
    layer = nn.Linear(d_in, d_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def wide(x: Tensor) -> Tensor:
    """Half precision up to float32, where softmax, norms and loss are taken (D37)."""
    return x.float() if x.element_size() == 2 else x


def l2c(x: Tensor) -> Tensor:
    """Divide each position's vector by its length over the channels (D7)."""
    return F.normalize(wide(x), dim=1)


def upsample(x: Tensor, size: int, grid: str = "legacy") -> Tensor:
    """Bilinear upsampling of (B, C, h, w) to `size` x `size` (D38).

    "legacy" is TF1's grid, out(y) samples the map at y * h / size: with symmetric padding the
    centre of cell i lies at pixel 8i, where this grid puts it. "half_pixel" is torch's
    `align_corners=False`, which shifts every mask by half a cell. Repeating the last row and
    column once makes torch's aligned grid the legacy one.
    """
    if grid == "half_pixel":
        return F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
    h, w = x.shape[-2:]
    padded = F.pad(x, (0, 1, 0, 1), mode="replicate")
    steps_y, steps_x = -(-size // h), -(-size // w)
    big = F.interpolate(
        padded, size=(h * steps_y + 1, w * steps_x + 1), mode="bilinear", align_corners=True
    )
    return big[..., :size, :size]
