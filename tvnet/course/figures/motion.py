"""A moving picture: where each cell of a referent looks in the neighbour.

    python -m tvnet.course.figures.motion --out notebooks/figures/attention

writes attention.gif and its first frame, attention.png. Of the shipped examples that the full model
finds it shows the one whose referent fills most cells.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image

from tvnet.course.explorer.view import View, attention_row
from tvnet.course.figures.marks import CELL, MAP, said
from tvnet.course.figures.stages import attention_panels, grid, title
from tvnet.course.figures.trained import (
    example_views,
    found_ones,
    referent_cells,
    with_and_without_amf,
)
from tvnet.files import replacing

LEVEL, FRAMES, PAUSE = 5, 20, 500  # level of A, frames at most, milliseconds of one
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
    return [_frame(view, cell, top) for cell in path]


def _frame(view: View, cell: tuple[int, int], top: float) -> Image.Image:
    figure, axes = grid(1, 3, 2.7, 3.1)
    attention_panels(view, LEVEL, cell, axes[0])
    axes[0, 2].images[0].set_clim(0, top)  # one scale for all frames
    title(axes[0], (said(view.expression), "the neighbour", "weight of each cell"))
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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("notebooks/figures/attention"))
    options = parser.parse_args(arguments)
    frames = frames_of(largest(example_views(with_and_without_amf())))
    with replacing(options.out.with_suffix(".png")) as part:
        frames[0].save(part, "PNG", optimize=True)
    palette = palette_of(frames[0])
    few = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    with replacing(options.out.with_suffix(".gif")) as part:
        few[0].save(
            part, "GIF", save_all=True, append_images=few[1:], duration=PAUSE, loop=0, optimize=True
        )
    print(f"{options.out}.gif has {len(frames)} frames; {options.out}.png is the first.")


if __name__ == "__main__":
    main()
