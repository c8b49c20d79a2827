"""Candidates for MAttNet: proposed masks, and boxes, regions and neighbours of any masks.

Places are shares of the square's side: cell or pixel i of m lies at i / m, as D38 has it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import concat, conv, l2_normalize, to_float32
from tvnet.model.method import Maps
from tvnet.model.trace import LEVELS
from tvnet.settings import Settings

SIDE = 5  # proposals: one for each of 5 x 5 regions
GRID = 3  # points a side at which a region is read; Mask R-CNN's has 7
NEIGHBOURS = 5


class Proposals(nn.Module):
    """Every region proposes one mask, without words (D86).

    V3, V4, V5 (B, d_l, h, w), O (1, 8, h, w) -> (B, J, h, w) from 0 to 1. A region's vector is the
    1x1 filter of its mask; it reads the cells' features and where they lie from the region.
    """

    def __init__(self, settings: Settings):
        super().__init__()
        d, widths = settings.model.d_m, settings.backbone.channels
        self.lateral = nn.ModuleDict({str(n): conv(widths[f"V{n}"] + 8, d) for n in LEVELS})
        self.cell = conv(d, d, 3)
        self.filter = conv(d, d + 4, 3)

    def forward(self, V_in: Maps, O: Tensor) -> Tensor:  # noqa: E741
        Z = sum(self.lateral[str(n)](concat(l2_normalize(V_in[f"V{n}"]), O)) for n in LEVELS).relu()
        regions = F.adaptive_avg_pool2d(to_float32(self.filter(Z)), SIDE).flatten(2)  # (B, d+4, J)
        of_cells, of_place = regions.split([Z.shape[1], 4], dim=1)
        cells = to_float32(self.cell(Z))
        away = O[:, 4:6] - F.adaptive_avg_pool2d(O[:, 4:6], SIDE).flatten(2)[0].T[..., None, None]
        away = torch.cat(
            [away, away.square().sum(1, keepdim=True), torch.ones_like(away[:, :1])], 1
        )
        # A mask begins as a disc around its region.
        disc = torch.tensor([0.0, 0.0, -8.0, 1.0], device=away.device, dtype=cells.dtype)
        of_place = of_place + disc[:, None]
        with torch.autocast(cells.device.type, enabled=False):
            masks = torch.einsum("bdj,bdhw->bjhw", of_cells, cells)
            return (masks + torch.einsum("bkj,jkhw->bjhw", of_place, away)).sigmoid()


def boxes(masks: Tensor) -> Tensor:
    """(B, J, m, m) from 0 to 1 -> (B, J, 4): left, top, right, bottom.

    The rectangle with the mask's mean and variance: for a rectangle, itself; for other shapes, and
    where a proposal is still a cloud, one that takes part of it.
    """
    m = masks.shape[-1]
    at = torch.arange(m, device=masks.device, dtype=masks.dtype) / m
    total = masks.sum((2, 3)).clamp(min=1e-6)
    sides = []
    for axis in (2, 3):  # the sum over rows leaves columns, and the other way round
        weight = masks.sum(axis) / total[..., None]
        mean = weight @ at
        variance = (weight * (at - mean[..., None]).square()).sum(2) + 1 / (12 * m * m)
        sides.append((mean, (3 * variance).sqrt()))
    (x, half_x), (y, half_y) = sides
    return torch.stack([x - half_x, y - half_y, x + half_x, y + half_y], dim=-1)


def read_regions(V: Tensor, box: Tensor) -> Tensor:
    """V (B, d, h, w), box (B, J, 4) -> (B, J, GRID * GRID, d), between the cells."""
    steps = (torch.arange(GRID, device=V.device, dtype=box.dtype) + 0.5) / GRID
    low, high = box[:, :, None, :2], box[:, :, None, 2:]
    points = low + (high - low) * steps[:, None]  # (B, J, GRID, 2): x and y of each step
    x, y = points[:, :, None, :, 0], points[:, :, :, None, 1]
    places = torch.stack(torch.broadcast_tensors(x, y), dim=-1).flatten(2, 3)
    cells = torch.tensor(V.shape[-1:-3:-1], device=V.device, dtype=box.dtype)
    places = 2 * places * cells / (cells - 1) - 1
    V = to_float32(V)
    found = F.grid_sample(V, places.to(V.dtype), padding_mode="border", align_corners=True)
    return found.permute(0, 2, 3, 1)


def nearest(box: Tensor, allowed: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
    """The NEIGHBOURS nearest objects of each: positions (B, J, 5), and which of them exist.

    allowed (B, J, J): who may be whose neighbour; later (B, J, J): who comes after all others.
    """
    centre = (box[..., :2] + box[..., 2:]) / 2
    distance = (centre[:, :, None] - centre[:, None]).norm(dim=-1) + 10.0 * later
    distance = distance.masked_fill(~allowed, float("inf"))
    found = distance.topk(NEIGHBOURS, dim=2, largest=False)
    return found.indices, found.values.isfinite()


def offsets(box: Tensor, chosen: Tensor, exist: Tensor) -> Tensor:
    """(B, J, 5, 5): for each neighbour its corners from one's own, over one's own width and height,
    and its area over one's own; 0 where there is none."""
    other = pick(box, chosen)
    own = box[:, :, None]
    extent = own[..., 2:] - own[..., :2]
    corners = (other - own) / torch.cat([extent, extent], dim=-1)
    area = (other[..., 2:] - other[..., :2]).prod(-1, keepdim=True) / extent.prod(-1, keepdim=True)
    return torch.cat([corners, area], dim=-1) * exist[..., None]


def pick(rows: Tensor, chosen: Tensor) -> Tensor:
    """rows (B, J, d), chosen (B, J, K) positions among J -> (B, J, K, d)."""
    batch = torch.arange(len(rows), device=rows.device)[:, None, None]
    return rows[batch, chosen]
