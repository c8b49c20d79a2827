"""Drawing for the explorer: colours, cells and outlines over a picture, as arrays of pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from tvnet.course.explorer.view import View
from tvnet.data.images import Placement
from tvnet.retrieval.online import EncodedImage

WIDTH, NARROW = 400, 240  # pixels of a panel, of two and of four in a line; no higher than 3/4
MASK, TRUTH, MISSED, WRONG = (230, 0, 126), (0, 114, 178), (86, 180, 233), (240, 180, 20)
HIT, CELL = (0, 158, 115), (0, 0, 0)
SHADES = (255 * matplotlib.colormaps["cividis"](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)


@dataclass(frozen=True)
class Panel:
    """A picture with one sentence under it."""

    caption: str
    pixels: np.ndarray  # (h, w, 3) uint8


def jpeg(pixels: np.ndarray) -> bytes:
    """For the screen: written ten times as fast as PNG, and a fraction of its size."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """For what is kept."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def cells_of(view: View) -> tuple[range, range]:
    """The rows and columns of a map at 1/8 that lie on the picture, not on padding."""
    rows, columns = view.prediction.encoded.place.inner_cells
    return range(rows.start, rows.stop), range(columns.start, columns.stop)


def most_probable_cell(view: View) -> tuple[int, int]:
    """The cell of a map at 1/8 in which the most probable pixel lies."""
    found = view.prediction
    height, width = found.probability.shape
    y, x = np.unravel_index(found.probability.argmax(), (height, width))
    rows, columns = cell_at(found.encoded.place, 8, legacy(view), height, width)
    inside = cells_of(view)
    return tuple(
        min(max(int(cell), valid.start), valid.stop - 1)
        for cell, valid in zip((rows[y], columns[x]), inside, strict=True)
    )


def middle_of_mask(view: View) -> float:
    """Where its columns have their middle, as a share of the width; one half where it is empty."""
    columns = np.flatnonzero(view.prediction.mask.any(axis=0))
    width = view.prediction.mask.shape[1]
    return (columns[0] + columns[-1] + 1) / (2 * width) if columns.size else 0.5


@lru_cache(maxsize=64)
def picture_of(encoded: EncodedImage, width: int = WIDTH) -> np.ndarray:
    """(h, w, 3) uint8 at the size in which it is shown."""
    across, down = encoded.picture.size
    scale = min(width / across, 0.75 * width / down)
    size = max(1, round(scale * across)), max(1, round(scale * down))
    return np.asarray(encoded.picture.resize(size, Image.Resampling.BICUBIC))


def over(
    picture: np.ndarray,
    colour: np.ndarray | tuple[int, int, int],
    opacity: float,
    where: np.ndarray | None = None,
) -> np.ndarray:
    """One colour, or a picture of colours, laid over a picture; inside `where` if given."""
    below = Image.fromarray(picture)
    if isinstance(colour, tuple):
        above = Image.new("RGB", below.size, colour)
    else:
        above = Image.fromarray(colour)
    mixed = Image.blend(below, above, opacity)
    if where is not None:
        mixed = Image.composite(mixed, below, Image.fromarray(where))
    return np.asarray(mixed)


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask (h, w) bool that touch one outside it, corners included."""
    padded = np.pad(mask, 1, mode="edge")
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return mask & ~(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])


def outlined(picture: np.ndarray, colour: tuple[int, int, int], mask: np.ndarray) -> np.ndarray:
    """A copy of a picture with a mask's outline on it."""
    drawn = picture.copy()
    drawn[outline(mask)] = colour
    return drawn


def legacy(view: View) -> bool:
    return view.settings.model.upsampling == "legacy"


def cell_at(
    place: Placement, stride: int, legacy: bool, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of a picture at height x width, the map row of each line and the map column of each column.

    On the legacy grid cell i is centred at pixel 8i (D38), so it is shown around that pixel.
    """
    cells = -(-place.size // stride)
    found = []
    for count, start, inner in (
        (height, place.top, place.inner_height),
        (width, place.left, place.inner_width),
    ):
        pixel = start + (np.arange(count) + 0.5) * inner / count
        cell = np.floor(pixel / stride + (0.5 if legacy else 0)).astype(int)
        found.append(cell.clip(0, cells - 1))
    return tuple(found)


class Canvas:
    """A view with the settings it is drawn by."""

    def __init__(
        self,
        view: View,
        opacity: float,
        level: int,
        cell: tuple[int, int],
        width: int = WIDTH,
        wipe: float = 0.5,
    ):
        self.view, self.opacity, self.level, self.cell = view, opacity, level, cell
        self.wipe = wipe
        self.found, self.trace = view.prediction, view.prediction.trace
        self.picture = picture_of(self.found.encoded, width)

    def grown(self, mask: np.ndarray) -> np.ndarray:
        """A mask at the size of the panel."""
        height, width = self.picture.shape[:2]
        return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))

    def masked(self, mask: np.ndarray, colour: tuple = MASK) -> np.ndarray:
        return self.filled(self.grown(mask), colour)

    def filled(self, big: np.ndarray, colour: tuple = MASK) -> np.ndarray:
        """A mask that has the size of the panel, over the picture."""
        filled = over(self.picture, colour, self.opacity, big)
        return outlined(filled, colour, big) if self.opacity else filled

    def shaded(
        self, map_: np.ndarray, encoded: EncodedImage | None = None, top: float = 1.0
    ) -> np.ndarray:
        """A map (n, n) of the padded square, its cells laid over a picture; `top` is brightest."""
        encoded = encoded or self.found.encoded
        picture = picture_of(encoded)
        stride = round(encoded.place.size / len(map_))
        rows, columns = cell_at(encoded.place, stride, legacy(self.view), *picture.shape[:2])
        values = np.rint(255 * map_ / max(top, 1e-12)).clip(0, 255).astype(np.uint8)
        shades = SHADES[values].take(columns, axis=1).take(rows, axis=0)
        return over(picture, shades, self.opacity)

    def framed(self, pixels: np.ndarray, row: int, column: int) -> np.ndarray:
        """A frame around one cell of a map at 1/8."""
        found = cell_at(self.found.encoded.place, 8, legacy(self.view), *pixels.shape[:2])
        ys, xs = (np.flatnonzero(at == k) for at, k in zip(found, (row, column), strict=True))
        if not ys.size * xs.size:  # the picture is so thin that no pixel of it lies in this cell
            return pixels
        picture = Image.fromarray(pixels)
        pen = ImageDraw.Draw(picture)
        for grow, colour in ((3, "white"), (1, CELL)):
            corners = (xs[0] - grow, ys[0] - grow), (xs[-1] + grow, ys[-1] + grow)
            pen.rectangle(corners, outline=colour, width=2)
        return np.asarray(picture)

    def inside(self, map_: np.ndarray) -> np.ndarray:
        """The cells of a map (n, n) that lie on the picture."""
        place = self.found.encoded.place
        return map_[place.inner_cells_at(round(place.size / len(map_)))]

    def with_iou(self, mask: np.ndarray) -> str:
        iou = self.view.iou(mask)
        return "" if iou is None else f", IoU {iou:.2f}"
