"""What all pictures of the course share: how a referent, a cell, a map and a sentence are shown."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from tvnet.course.explorer.canvas import cell_at
from tvnet.retrieval.online import EncodedImage

MAP, SIGNED = "cividis", "PuOr"  # colours of shares and strengths; of scores around zero
CELL = "cyan"  # the cell of a map that a picture speaks of
DPI, FONT = 100, 13  # so that words can be read when a picture is shown at half its size


def show(ax: Axes, picture: np.ndarray, title: str = "", **how: object) -> AxesImage:
    """A picture (H, W, 3) or a map (H, W) in its colours, under a title in plain words."""
    shown = ax.imshow(picture, cmap=how.pop("cmap", MAP), interpolation="nearest", **how)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, picture.shape[1] - 0.5))
    ax.set(ylim=(picture.shape[0] - 0.5, -0.5))
    ax.set_title(title, fontsize=FONT, parse_math=False)
    return shown


def outline(ax: Axes, mask: np.ndarray, width: float = 1.4, colour: str = "white") -> None:
    """A white line with black edges around a mask (H, W) bool: it is seen on every colour.

    width: in points, less where the line must not hide what lies beside it.
    """
    padded = np.pad(mask, 1).astype(float)  # so that the line closes at the picture's border
    y, x = (np.arange(-1, side + 1) for side in mask.shape)
    for line, points in (("black", 2.2 * width), (colour, width)):
        ax.contour(x, y, padded, [0.5], colors=line, linewidths=points)


def mark_cell(ax: Axes, encoded: EncodedImage, legacy: bool, cell: tuple[int, int]) -> None:
    """A ring around one cell of a map at 1/8, on its picture."""
    width, height = encoded.picture.size
    found = cell_at(encoded.place, 8, legacy, height, width)
    y, x = (np.flatnonzero(at == k).mean() for at, k in zip(found, cell, strict=True))
    for colour, thick in (("black", 4), (CELL, 2)):
        ax.plot(x, y, "o", ms=9, mfc="none", mec=colour, mew=thick)


def on_picture(map_: np.ndarray, encoded: EncodedImage, legacy: bool) -> np.ndarray:
    """A map (n, n) of the padded square as (H, W): each pixel of the picture with its cell."""
    width, height = encoded.picture.size
    stride = round(encoded.place.size / len(map_))
    rows, columns = cell_at(encoded.place, stride, legacy, height, width)
    return map_[rows][:, columns]


def bar(ax: Axes, shown: AxesImage, label: str, extend: str = "neither") -> None:
    """A colour bar under a map, named in words."""
    place = ax.inset_axes((0, -0.12, 1, 0.06))
    colours = ax.figure.colorbar(shown, cax=place, orientation="horizontal", extend=extend)
    colours.set_label(label, fontsize=FONT - 1)
    colours.ax.tick_params(labelsize=FONT - 3)


def said(text: str, width: int = 24) -> str:
    """A sentence in quotation marks, in lines of about `width` letters."""
    return fill(f"“{text}”", width)


def below(ax: Axes, text: str) -> None:
    """A line under a picture."""
    ax.set_xlabel(text, fontsize=FONT, parse_math=False)
