"""Train MiniRef's backbone on MiniVOC, as the paper's DeepLab was on PASCAL VOC.

    python -m data_setup minivoc
    python -m tvnet.release.pretrain --data data/minivoc

writes the backbone's weights into tvnet/shipped/weights, and a .json with their sha256 and this
command. The same command again resumes. No picture of MiniVOC is in any of the data sets.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import trange

from tvnet.devices import one_thread
from tvnet.files import replacing, sha256_of, write_json
from tvnet.model.backbone import DeepLab
from tvnet.model.blocks import conv, interpolation, upsample
from tvnet.model.pretrained import PRETRAINED, SHIPPED_WEIGHTS
from tvnet.provenance import provenance
from tvnet.release import minivoc
from tvnet.release.minivoc import STUFF, MiniVOC
from tvnet.settings import BackboneSettings, as_dict, settings
from tvnet.training.checkpoint import Checkpoints

STRIDES = {"V2": 4, "V3": 8, "V4": 8, "V5": 8}
EDGES = ("V2", "V3")  # the maps that must know where objects end
MEANING = ("V3", "V4", "V5")  # the maps that must know what expressions speak of
HELD_OUT = 500  # pictures, the last ones


class Heads(nn.Module):
    """What is asked of the maps while the backbone learns; none of it ships.

    The category of every pixel from V5 with V2's detail; from each map of MEANING the answer to
    every question at its cells; from each map of EDGES every pixel of the objects' outlines.
    """

    def __init__(self, channels: dict[str, int], classes: dict[str, tuple[str, ...]]):
        super().__init__()
        self.sizes = [len(names) for names in classes.values()]
        self.questions = list(classes)
        self.coarse = conv(channels["V5"], self.sizes[0])
        self.fine = conv(channels["V2"], self.sizes[0])
        self.meaning = nn.ModuleDict({m: conv(channels[m], sum(self.sizes)) for m in MEANING})
        self.edges = nn.ModuleDict({m: conv(channels[m], STRIDES[m] ** 2) for m in EDGES})

    def category(self, maps: dict[str, Tensor]) -> Tensor:
        """Scores (B, categories, S / 4, S / 4)."""
        return upsample(self.coarse(maps["V5"]), maps["V2"].shape[-1]) + self.fine(maps["V2"])

    def loss(
        self, maps: dict[str, Tensor], objects: Tensor, labels: dict[str, Tensor], seed: int
    ) -> Tensor:
        """The sum of all three, each a mean over pixels or cells.

        The category is asked at full size, but of every second pixel of every second row: the first
        of them follows from `seed`, and a step costs a sixth of what all of them would.
        """
        weight = torch.ones(self.sizes[0])
        weight[0] = 0.3  # most pixels are stuff
        scores, size = self.category(maps), objects.shape[-1]
        at = interpolation(scores.shape[-1], size, "legacy", scores)
        i, j = seed % 2, seed // 2 % 2
        some = at[i::2] @ (scores @ at[j::2].T)
        total = F.cross_entropy(some, labels["category"][:, i::2, j::2], weight)
        for name, head in self.meaning.items():
            step = STRIDES[name]
            answers = head(maps[name]).split(self.sizes, dim=1)
            for question, answer in zip(self.questions, answers, strict=True):
                truth = labels[question][:, ::step, ::step]  # cell i lies at pixel step * i
                chosen = weight if question == "category" else None
                loss = F.cross_entropy(answer, truth, chosen, ignore_index=STUFF)
                total = total + loss / len(self.sizes)
        edge = outlines(objects).float()
        for name, head in self.edges.items():
            drawn = F.pixel_shuffle(head(maps[name]), STRIDES[name])
            half = STRIDES[name] // 2  # cell i draws the pixels around its own
            truth = F.pad(edge, (half, 0, half, 0))[:, : edge.shape[1], : edge.shape[2]]
            total = total + F.binary_cross_entropy_with_logits(drawn[:, 0], truth)
        return total


def outlines(objects: Tensor) -> Tensor:
    """(B, S, S) bool: pixels whose right or lower neighbour belongs to another object."""
    edge = torch.zeros_like(objects, dtype=torch.bool)
    edge[:, :, :-1] |= objects[:, :, 1:] != objects[:, :, :-1]
    edge[:, :-1] |= objects[:, 1:] != objects[:, :-1]
    return edge


def augmented(
    squares: Tensor, objects: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mirror and zoom a batch at random. Colours stay true: expressions will speak of them."""
    n, size = len(squares), squares.shape[-1]
    zoom = 0.6 + 0.5 * torch.rand(n, generator=generator)
    mirror = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * (1 - zoom).clamp(min=0)[:, None]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = zoom * mirror, zoom, shift
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    seen = F.grid_sample(squares.float(), grid, align_corners=False)
    moved = F.grid_sample(objects[:, None].float(), grid, mode="nearest", align_corners=False)
    return seen, moved[:, 0].to(torch.uint8)


def schedule(done: float) -> float:
    """The learning rate's share of its highest, when this share of the steps is done."""
    return done / 0.1 if done < 0.1 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.1) / 0.9)


@torch.no_grad()
def category_iou(backbone: nn.Module, heads: Heads, data: MiniVOC, which: Tensor) -> float:
    """Mean IoU over the categories that occur, in per cent."""
    n = heads.sizes[0]
    together = torch.zeros(n * n, dtype=torch.long)
    for some in which.split(32):
        truth = data.labels(some, data.objects[some])["category"]
        scores = heads.category(backbone(data.squares[some]))
        guess = upsample(scores, truth.shape[-1]).argmax(1)
        together += torch.bincount((truth * n + guess).flatten(), minlength=n * n)
    pairs = together.view(n, n)
    both, either = pairs.diag(), pairs.sum(0) + pairs.sum(1) - pairs.diag()
    return 100 * (both / either.clamp(min=1))[pairs.sum(1) > 0].mean().item()


def pretrain(
    chosen: BackboneSettings,
    data: MiniVOC,
    out: Path,
    steps: int,
    precision: str,
    batch: int = 16,
    seed: int = 0,
) -> tuple[DeepLab, dict]:
    """Train, or resume; the frozen backbone and what it reached on the pictures held out."""
    torch.manual_seed(seed)
    backbone = DeepLab(chosen).to(memory_format=torch.channels_last)
    heads = Heads(chosen.channels, data.classes)
    learning = nn.ModuleList([backbone, heads])
    optimiser = torch.optim.AdamW(learning.parameters(), lr=3e-3, weight_decay=1e-2)
    size = data.squares.shape[-1]
    trained = len(data.squares) - HELD_OUT
    about = {"backbone": as_dict(chosen), "size": size, "pictures": len(data.squares)}
    about |= {"steps": steps, "batch": batch, "seed": seed, "precision": precision}
    with Checkpoints(out, about, every=250).writing() as checkpoints:
        first = checkpoints.restore(learning, optimiser) or 0
        bar = trange(first, steps, desc="pretrain", unit="step", initial=first, total=steps)
        for step in bar:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * schedule(step / steps)
            which = torch.randint(0, trained, (batch,), generator=generator)
            seen, objects = augmented(data.squares[which], data.objects[which], generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                maps = backbone(seen)
            maps = {name: V.float() for name, V in maps.items()}
            loss = heads.loss(maps, objects, data.labels(which, objects), step)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            checkpoints.log(step, loss.item())
            checkpoints.after(step + 1, steps, learning, optimiser)
            bar.set_postfix_str(f"loss {loss.item():.3f}")
        minutes = round(checkpoints.seconds / 60, 1)
    backbone.freeze()
    which = torch.arange(trained, len(data.squares))
    miou = category_iou(backbone, heads.eval(), data, which)
    return backbone, about | {"category mIoU held out": round(miou, 2), "minutes": minutes}


def half_precision(backbone: DeepLab) -> dict[str, Tensor]:
    """Its tensors, kernels in half precision; a variance of pixels may exceed what half holds."""
    tensors = backbone.state_dict().items()
    return {name: (t.half() if t.dim() == 4 else t).contiguous() for name, t in tensors}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/minivoc"))
    parser.add_argument("--out", type=Path, default=Path("out/backbone"))
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args(arguments)
    one_thread()
    source = provenance()  # before the new weights change the tree
    laptop = settings("laptop")
    try:
        data = minivoc.read(options.data, laptop.data.size)
        backbone, reached = pretrain(
            laptop.backbone, data, options.out, options.steps, options.precision
        )
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    path = SHIPPED_WEIGHTS / PRETRAINED["minivoc"].file
    with replacing(path) as part:
        save_file(half_precision(backbone), part)
    given = f"--data {options.data} --steps {options.steps} --precision {options.precision}"
    report = {"command": f"python -m tvnet.release.pretrain {given}"}
    report |= {"sha256": sha256_of(path), **reached, "provenance": source}
    write_json(path.with_suffix(".json"), report)
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
