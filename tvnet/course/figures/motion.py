"""Two moving pictures: where each cell of a referent looks in the neighbour, and how masks grow
while a network learns two sentences by heart.

    python -m tvnet.course.figures.motion --out notebooks/figures

writes attention.gif and learning.gif, each with one of its frames as a PNG. Of the shipped examples
that the full model finds, the first shows the one whose referent fills most cells.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tvnet.course.explorer.view import View, attention_row
from tvnet.course.figures.marks import CELL, MAP, below, outline, said, show
from tvnet.course.figures.results import overlay
from tvnet.course.figures.stages import attention_panels, grid, title
from tvnet.course.figures.trained import (
    example_views,
    found_ones,
    referent_cells,
    with_and_without_amf,
)
from tvnet.data.dataset import collate
from tvnet.data.images import open_square
from tvnet.data.records import Sample
from tvnet.files import replacing
from tvnet.model.method import Method
from tvnet.prediction import iou
from tvnet.predictor import POOL
from tvnet.rows import row_settings
from tvnet.settings import settings
from tvnet.training import loop
from tvnet.training.setup import prepare

LEVEL, FRAMES, PAUSE = 5, 20, 500  # level of A, frames at most, milliseconds of one
STEPS, EVERY = 60, 2  # of learning by heart; from one frame to the next
FILLED = 0.5  # a cell counts when the referent fills it half as much as its fullest one


def path_of(view: View, frames: int = FRAMES) -> list[tuple[int, int]]:
    """Cells of the referent line by line, every second line backwards, evenly thinned out."""
    cells = sorted(referent_cells(view, FILLED), key=lambda c: (c[0], c[1] if c[0] % 2 else -c[1]))
    steps = np.linspace(0, len(cells) - 1, min(frames, len(cells))).round().astype(int)
    return [cells[k] for k in steps]


def largest(views: list[View]) -> View:
    """Of the found ones the one whose referent fills most cells."""
    return max(found_ones(views), key=lambda view: len(referent_cells(view, FILLED)))


def frames_of(view: View, frames: int = FRAMES) -> list[Image.Image]:
    """One frame for each cell of the path: the ring on the picture, its attention beside it."""
    path = path_of(view, frames)
    top = max(float(attention_row(view.prediction, LEVEL, cell).max()) for cell in path)
    return [_attention_frame(view, cell, top) for cell in path]


def _attention_frame(view: View, cell: tuple[int, int], top: float) -> Image.Image:
    figure, axes = grid(1, 3, 2.7, 3.1)
    attention_panels(view, LEVEL, cell, axes[0])
    axes[0, 2].images[0].set_clim(0, top)  # one scale for all frames
    title(axes[0], (said(view.expression), "the neighbour", "weight of each cell"))
    return _drawn(figure)


def first_pair(samples: list[Sample]) -> tuple[Sample, Sample]:
    """The first two sentences that mean different things of one category in one picture, so that
    only their words tell them apart."""
    return next(
        (a, b)
        for a, b in combinations(samples, 2)
        if (a.image_id, a.category_id) == (b.image_id, b.category_id) and a.ann_id != b.ann_id
    )


def learning_frames(steps: int = STEPS) -> list[Image.Image]:
    """The Baseline learns two sentences of the package's pool by heart; a frame every EVERY steps
    shows its masks."""
    laptop = row_settings(settings("laptop"), "Baseline")
    budget = replace(laptop.training, steps=steps, batch=2, eval_every=EVERY)
    chosen = replace(laptop, training=budget)
    frames: list[Image.Image] = []
    losses: list[float] = []
    with TemporaryDirectory() as folder:
        ready = prepare(chosen, POOL, Path(folder))
        two = ready.dataset(chosen, "train")
        two.samples = first_pair(two.samples)
        batch = collate([two[0], two[1]])
        texts = [sample.text for sample in two.samples]
        square = open_square(ready.data, two.samples[0].image_id, chosen.data.size)
        truths = batch.mask[:, 0].numpy()

        def draw(model: Method) -> float:
            with torch.no_grad():
                masks = loop.logits_of(model, ready.features, batch)[:, 0].numpy() > 0
            frames.append(
                _learning_frame(losses, steps, square, [*zip(texts, masks, truths, strict=True)])
            )
            return 0.0  # what `train` takes as the score of a validation

        loop.train(
            chosen, two, ready.features, 0, report=lambda _, x: losses.append(x), validate=draw
        )
    return frames


def _learning_frame(
    losses: list[float], steps: int, square: np.ndarray, found: list[tuple]
) -> Image.Image:
    """found: (sentence, mask, truth) on one picture; the loss so far stands on the right."""
    figure, axes = grid(1, len(found) + 1, 2.7, 3.3)
    for ax, (text, mask, truth) in zip(axes[0], found, strict=False):
        show(ax, overlay(square, mask), said(text))
        outline(ax, truth)
        below(ax, f"IoU {iou(mask, truth):.2f}")
    axes[0, -1].semilogy(losses)
    axes[0, -1].set(xlim=(0, steps), ylim=(500, 3e4), xlabel="step")
    axes[0, -1].set_title(f"loss after {len(losses)} steps")
    return _drawn(figure)


def _drawn(figure: Figure) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return Image.open(file).convert("RGB")


def palette_of(frame: Image.Image) -> Image.Image:
    """256 colours for all frames, so that only what moves is stored: 192 of the first frame, and
    those of maps and cells."""
    few = np.vstack([colormaps[MAP](np.linspace(0, 1, 63))[:, :3], to_rgb(CELL)])
    colours = frame.quantize(192).getpalette()[: 3 * 192]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + (255 * few).astype(np.uint8).ravel().tolist())
    return palette


def write(frames: list[Image.Image], still: int, path: Path) -> None:
    """The frames as path.gif, and one of them, which stands still, as path.png."""
    with replacing(path.with_suffix(".png")) as part:
        frames[still].save(part, "PNG", optimize=True)
    palette = palette_of(frames[still])
    few = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    with replacing(path.with_suffix(".gif")) as part:
        few[0].save(
            part, "GIF", save_all=True, append_images=few[1:], duration=PAUSE, loop=0, optimize=True
        )
    print(f"{path}.gif has {len(frames)} frames; {path}.png is one of them.")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("notebooks/figures"))
    folder = parser.parse_args(arguments).out
    write(frames_of(largest(example_views(with_and_without_amf()))), 0, folder / "attention")
    write(learning_frames(), -1, folder / "learning")


if __name__ == "__main__":
    main()
