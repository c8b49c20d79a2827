"""Train MiniRef's small backbone on category segmentation, as the paper's DeepLab was on VOC.

    python -m tvnet.release.pretrain --data data/miniref

writes miniref_backbone.safetensors into tvnet/shipped/weights, and a .json with its sha256 and this
command. It never sees a picture that any of the data sets uses for validation or test.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import trange

from tvnet.data import refer
from tvnet.data.images import open_square, placement
from tvnet.data.masks import decode
from tvnet.data.world import require_world
from tvnet.files import sha256_of, write_json
from tvnet.model.backbone import DeepLab
from tvnet.model.blocks import conv, upsample
from tvnet.model.pretrained import PRETRAINED, SHIPPED_WEIGHTS
from tvnet.results import provenance
from tvnet.settings import Settings, as_dict, settings

SETS = ("unc", "unc+", "gref")


def train_pictures(root: Path) -> list[int]:
    """Ids of the pictures of "unc" that no split but train uses, in any of the three data sets."""
    sets = {name: refer.read(root, name) for name in SETS}
    used: dict[int, set[str]] = {}
    for data in sets.values():
        for referent in data.referents:
            used.setdefault(referent.image_id, set()).add(referent.split)
    return sorted(image_id for image_id in sets["unc"].pictures if used[image_id] == {"train"})


def examples(root: Path, size: int) -> tuple[Tensor, Tensor, list[str]]:
    """Squares uint8 (N, 3, S, S), category maps uint8 (N, S, S) with 0 = background, and names."""
    data = refer.read(root, "unc")
    annotations: dict[int, list[dict]] = {}
    index = json.loads((root / "refcoco" / "instances.json").read_text())
    for annotation in index["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    number = {category: k + 1 for k, category in enumerate(sorted(data.categories))}
    squares, maps = [], []
    for image_id in train_pictures(root):
        picture = data.pictures[image_id]
        labels = np.zeros((picture.height, picture.width), dtype=np.uint8)
        for annotation in annotations[image_id]:
            mask = decode(annotation["segmentation"], picture.height, picture.width)
            labels[mask] = number[annotation["category_id"]]
        place = placement(picture.height, picture.width, size)
        inner = torch.from_numpy(labels)[None, None].float()
        inner = F.interpolate(inner, (place.inner_height, place.inner_width), mode="nearest-exact")
        square = torch.zeros(size, size, dtype=torch.uint8)
        rows = slice(place.top, place.top + place.inner_height)
        square[rows, place.left : place.left + place.inner_width] = inner[0, 0].byte()
        squares.append(torch.from_numpy(open_square(data, image_id, size)).permute(2, 0, 1))
        maps.append(square)
    return torch.stack(squares), torch.stack(maps), [data.categories[c] for c in sorted(number)]


def varied(squares: Tensor, maps: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror and zoom a batch at random. Colours stay true: expressions will speak of them."""
    n, size = len(squares), squares.shape[-1]
    zoom = 0.6 + 0.5 * torch.rand(n, generator=generator)
    mirror = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * (1 - zoom).clamp(min=0)[:, None]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = zoom * mirror, zoom, shift
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    seen = F.grid_sample(squares.float(), grid, align_corners=False)
    labels = F.grid_sample(maps[:, None].float(), grid, mode="nearest", align_corners=False)
    return seen, labels[:, 0].long()


def category_iou(backbone: nn.Module, head: nn.Module, squares: Tensor, maps: Tensor) -> float:
    """Mean IoU over the categories that occur, in per cent."""
    together = torch.zeros(256, 256, dtype=torch.long)
    with torch.no_grad():
        for image, truth in zip(squares.split(32), maps.split(32), strict=True):
            guess = upsample(head(backbone(image)["V5"]), maps.shape[-1]).argmax(1)
            pairs = truth.flatten().long() * 256 + guess.flatten()
            together += torch.bincount(pairs, minlength=256 * 256).view(256, 256)
    both, either = together.diag(), together.sum(0) + together.sum(1) - together.diag()
    return 100 * (both / either.clamp(min=1))[together.sum(1) > 0].mean().item()


def pretrain(
    profile: Settings, root: Path, steps: int = 2000, batch: int = 16, seed: int = 0
) -> dict:
    """Train, hold every tenth picture out for the report, write the two files; the report."""
    require_world(root, profile.miniref_pictures)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    started, source = time.perf_counter(), provenance()  # before the new weights change the tree
    squares, maps, names = examples(root, profile.data.size)
    held_out = torch.arange(len(squares)) % 10 == 0
    image, truth = squares[~held_out], maps[~held_out]
    backbone = DeepLab(profile.backbone).to(memory_format=torch.channels_last)
    head = conv(profile.backbone.channels["V5"], len(names) + 1)
    weight = torch.ones(len(names) + 1)
    weight[0] = 0.3  # most pixels are background
    parameters = [*backbone.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, steps, pct_start=0.1)
    for _ in (bar := trange(steps, desc="pretrain", unit="step")):
        pick = torch.randint(0, len(image), (batch,), generator=generator)
        seen, labels = varied(image[pick], truth[pick], generator)
        # At a quarter of the size, where cell i lies at pixel 4i: 16 times cheaper than at full.
        scores = upsample(head(backbone(seen)["V5"]), profile.data.size // 4)
        loss = F.cross_entropy(scores, labels[:, ::4, ::4], weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}")
    backbone.freeze()
    path = SHIPPED_WEIGHTS / PRETRAINED["miniref"].file
    save_file({name: t.half().contiguous() for name, t in backbone.state_dict().items()}, path)
    report = {
        "command": f"python -m tvnet.release.pretrain --data {root}",
        "sha256": sha256_of(path),
        "backbone": as_dict(profile.backbone),
        "pictures": {"trained": len(image), "held out": int(held_out.sum())},
        "category mIoU held out": round(
            category_iou(backbone, head.eval(), squares[held_out], maps[held_out]), 2
        ),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "provenance": source,
    }
    write_json(path.with_suffix(".json"), report)
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    options = parser.parse_args(arguments)
    try:
        report = pretrain(settings("laptop"), options.data)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
