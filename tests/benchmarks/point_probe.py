"""What frozen maps hold of an outline: a small head gets one point of an object and draws it.

    python tests/benchmarks/point_probe.py --data data/miniref [--steps 3000] \\
      [--set training.precision=bfloat16 training.compile=true]

Localisation is given, so what is missed is missing in the maps (or in the head, which is why it
trains until its loss is flat). Trained on the referents of unc+ train, measured on those of val.
Each run adds a line to probes.jsonl beside this file.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from timing import say
from torch import Tensor, nn
from tqdm import trange

from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.images import placement
from tvnet.devices import one_thread
from tvnet.evaluation.evaluate import clean
from tvnet.evaluation.metrics import THRESHOLDS
from tvnet.model.blocks import conv, upsample
from tvnet.rows import row_settings
from tvnet.settings import TrainingSettings, settings
from tvnet.settings_checks import changed
from tvnet.training.loop import compiled
from tvnet.training.setup import Prepared, prepare

# A truth that is fitted on 40 x 40 cells reaches 97.7 and 82.5.
CELLS = "limit 98 and 83: the cells"
BATCH, WIDTH, HEADS = 16, 64, 8
FOUND = Path(__file__).with_name("probes.jsonl")
TARGETS = {0.8: 50, 0.9: 10}  # Prec@X in per cent


def deepest_point(mask: Tensor) -> tuple[int, int]:
    """Row and column of the pixel of (S, S) that is farthest from the mask's border."""
    depth = distance_transform_edt(np.pad(mask.numpy(), 1))[1:-1, 1:-1]
    return np.unravel_index(depth.argmax(), depth.shape)


class Outliner(nn.Module):
    """V2..V5 and a point -> mask logits at V2's cells, upsampled to the picture's square."""

    def __init__(self, channels: dict[str, int]):
        super().__init__()
        self.fine = conv(channels["V2"], WIDTH)
        self.coarse = conv(sum(channels[name] for name in ("V3", "V4", "V5")), WIDTH)
        self.key, self.query = conv(2 * WIDTH, WIDTH), conv(2 * WIDTH, WIDTH)
        self.enter = conv(2 * WIDTH + HEADS + 4, WIDTH)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(WIDTH, WIDTH, 3, padding=d, dilation=d), nn.GroupNorm(8, WIDTH), nn.ReLU()
            )
            for d in (1, 2, 4, 1, 1)
        )
        self.score = conv(WIDTH, 1, 3)

    def forward(self, maps: dict[str, Tensor], points: Tensor, size: int) -> Tensor:
        fine = maps["V2"]
        n, _, cells, _ = fine.shape
        coarse = torch.cat([maps["V3"], maps["V4"], maps["V5"]], 1)
        x = torch.cat([self.fine(fine), upsample(self.coarse(coarse), cells)], 1).relu()
        stride = size / cells
        row, column = (points / stride).round().long().clamp(max=cells - 1).T
        there = x[torch.arange(n), :, row, column][..., None, None]
        alike = (self.key(x) * self.query(there)).view(n, HEADS, -1, cells, cells).mean(2)
        at = torch.arange(cells)
        dy = (at[None, :] - row[:, None])[:, :, None].expand(-1, -1, cells) / cells
        dx = (at[None, :] - column[:, None])[:, None].expand(-1, cells, -1) / cells
        far = dy**2 + dx**2
        place = torch.stack([dy, dx, (-far * 50).exp(), (-far * 800).exp()], 1)
        x = self.enter(torch.cat([x, alike, place], 1))
        for block in self.body:
            x = x + block(x)
        return upsample(self.score(x), size)


def referents(dataset: ReferDataset) -> list[int]:
    """The position of one sentence of each referent."""
    first = {sample.ref_id: i for i, sample in reversed(list(enumerate(dataset.samples)))}
    return list(first.values())


def with_points(dataset: ReferDataset, positions: list[int]) -> tuple[Batch, Tensor]:
    batch = collate([dataset[i] for i in positions])
    points = [deepest_point(mask[0]) for mask in batch.mask]
    return batch, torch.tensor(np.array(points))


def train(ready: Prepared, dataset: ReferDataset, steps: int, budget: TrainingSettings) -> Outliner:
    torch.manual_seed(0)
    shapes = ready.features.shapes
    head = Outliner({name: shape[0] for name, shape in shapes.items()})
    forward = compiled(head) if budget.compile else head
    low = budget.precision == "bfloat16"
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=1e-2)
    positions, dice = referents(dataset), np.random.default_rng(0)
    for step in (bar := trange(steps, unit="step")):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, step / 100) * (1 + math.cos(math.pi * step / steps)) / 2
        batch, points = with_points(dataset, dice.choice(positions, BATCH).tolist())
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits = forward(ready.features(batch)[0], points, dataset.cache.size).float()
        loss = F.binary_cross_entropy_with_logits(logits, batch.mask.float(), reduction="sum")
        optimiser.zero_grad()
        (loss / BATCH / 1000).backward()
        optimiser.step()
        bar.set_postfix_str(f"loss {loss.item() / BATCH:.0f}")
    return head.eval()


@torch.no_grad()
def measure(head: Outliner, ready: Prepared, dataset: ReferDataset) -> np.ndarray:
    """IoU (N,) of every referent at its picture's own size."""
    found, positions = [], referents(dataset)
    for start in range(0, len(positions), BATCH):
        some = positions[start : start + BATCH]
        batch, points = with_points(dataset, some)
        logits = head(ready.features(batch)[0], points, dataset.cache.size)
        for k, i in enumerate(some):
            sample = dataset.samples[i]
            picture = dataset.data.pictures[sample.image_id]
            truth = dataset.masks.mask(sample.ann_id)
            place = placement(picture.height, picture.width, dataset.cache.size)
            mask = clean(logits[k : k + 1], place)
            found.append((mask & truth).sum() / (mask | truth).sum())
    return np.array(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--set", nargs="+", default=[], metavar="part.name=value")
    options = parser.parse_args()
    one_thread()
    chosen = row_settings(changed(settings("laptop"), options.set), "Baseline")
    ready = prepare(chosen, options.data, options.out)
    head = train(ready, ready.dataset(chosen, "train"), options.steps, chosen.training)
    line = {"steps": options.steps, "changes": options.set, "backbone": chosen.backbone.weights}
    for split in ("train", "val"):
        iou = measure(head, ready, ready.dataset(chosen, split))
        line[split] = {"referents": len(iou), "mean_iou": round(100 * iou.mean(), 1)}
        line[split] |= {f"prec_{x}": round(100 * (iou > x).mean(), 1) for x in THRESHOLDS}
    print(json.dumps(line))
    for x, target in TARGETS.items():
        say(f"Prec@{x} of the point probe", line["val"][f"prec_{x}"], target, CELLS, "%")
    with open(FOUND, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
