"""Small operations that several parts of the model use."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, computed as one linear map at every position.

    (B, d_in, h, w) -> (B, d_out, h, w). With the channels last it is one matrix product without a
    copy; PyTorch's own convolution of this size takes a slow path on a CPU.
    """

    def __init__(self, d_in: int, d_out: int, bias: bool = True):
        super().__init__(d_in, d_out, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return at_every_position(x, self.weight[..., 0, 0], self.bias)


def at_every_position(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear map (d_out, d_in) of the channels: (B, d_in, h, w) -> (B, d_out, h, w)."""
    return F.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)


def conv(d_in: int, d_out: int, kernel: int = 1, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the map's size; Glorot-uniform kernel, zero bias."""
    if kernel == 1:
        layer = Pointwise(d_in, d_out, bias)
    else:
        layer = nn.Conv2d(d_in, d_out, kernel, padding=kernel // 2, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def pass_through(layer: nn.Conv2d) -> nn.Conv2d:
    """Initialise a convolution as the identity on its first channels, and zero on the others.

    D4: so the high-resolution parts start at the baseline, as enrichment does.
    """
    middle = layer.kernel_size[0] // 2
    nn.init.zeros_(layer.weight)
    layer.weight[:, :, middle, middle].diagonal().fill_(1)  # nn.init.dirac_ takes seconds at 500
    return layer


def linear(d_in: int, d_out: int) -> nn.Linear:
    """A linear map with a bias (D49), initialised as `conv`."""
    layer = nn.Linear(d_in, d_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def to_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32, in which softmax, norms and loss are computed (D37)."""
    return x.float() if x.element_size() == 2 else x


def masked_softmax(scores: Tensor, pad: Tensor, dim: int = -1) -> Tensor:
    """Softmax over the words in float32; a pad, True in `pad`, gets 0."""
    return to_float32(scores).masked_fill(pad, float("-inf")).softmax(dim)


def unless_pad(new: Tensor, old: Tensor, pad: Tensor) -> Tensor:
    """A recurrent state (B, d, h, w) after one word, or before it where it is a pad (B)."""
    return torch.where(pad[:, None, None, None], old, new)


def concat(first: Tensor, *others: Tensor) -> Tensor:
    """Concatenate over the channels; others of shape (1 or B, d, 1 or h, 1 or w) are repeated.

    All in the channels-last layout of the models' maps: mixed layouts slow down what follows.
    """
    whole = (other.expand(first.shape[0], -1, *first.shape[-2:]) for other in others)
    last = torch.channels_last
    return torch.cat([first, *(other.contiguous(memory_format=last) for other in whole)], dim=1)


def l2_normalize(x: Tensor) -> Tensor:
    """Divide each position's vector by its length over the channels (D7)."""
    return F.normalize(to_float32(x), dim=1)


def interpolation(n: int, size: int, grid: str, like: Tensor) -> Tensor:
    """(size, n): the weight of each of n cells in each of `size` pixels of one axis."""
    exact = torch.promote_types(like.dtype, torch.float32)
    pixels = torch.arange(size, device=like.device, dtype=exact)
    at = (pixels + 0.5) * n / size - 0.5 if grid == "half_pixel" else pixels / -(-size // n)
    cells = torch.arange(n, device=like.device)
    away = (at.clamp(0, n - 1)[:, None] - cells).abs()
    return (1 - away).clamp(min=0).to(like.dtype)


def upsample(x: Tensor, size: int, grid: str = "legacy") -> Tensor:
    """Bilinear upsampling of (B, C, h, w) to `size` x `size`: one matrix for each axis (D38).

    "legacy" is TF1's grid, out(y) samples the map at y * h / size: with symmetric padding the
    centre of cell i lies at pixel 8i, where this grid puts it, also where `size` is no multiple of
    8. "half_pixel" is torch's `align_corners=False`, which shifts every mask by half a cell.
    """
    rows, columns = (interpolation(n, size, grid, x) for n in x.shape[-2:])
    with torch.autocast(x.device.type, enabled=False):
        return (rows @ (x @ columns.T)).contiguous(memory_format=torch.channels_last)


class WordLoop(nn.Module):
    """Steps over an expression's words. Sentences differ in length: a compiler shall see one word
    and not every number of words, so training leaves this module's own loop to Python (D37)."""
