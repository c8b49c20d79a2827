"""Shapes of annotation tools -> parts of a COCO segmentation: [x, y, ...] or run lengths."""

import base64
import io
import math
from collections.abc import Iterable

import numpy as np

from data_setup.convert.segmentations import area, run_lengths
from data_setup.convert.validate import MAX_SIDE
from data_setup.pictures import opened

CORNERS = 72  # of the polygon that stands for an ellipse
MOST_PARTS = 50  # of a region, to be compared with each other


class OutlineError(ValueError):
    """A sentence that says what is wrong with an outline, and what to do."""


def polygon(points: Iterable) -> list[float]:
    return [float(value) for x, y in points for value in (x, y)]


def box(
    left: float, top: float, right: float, bottom: float, turn: float = 0, about: tuple = (0, 0)
) -> list[float]:
    """A rectangle, turned clockwise by `turn` degrees about a point."""
    return _turned([(left, top), (right, top), (right, bottom), (left, bottom)], turn, about)


def ellipse(x: float, y: float, across: float, down: float, turn: float = 0) -> list[float]:
    """An ellipse of two radii, turned clockwise by `turn` degrees about its centre."""
    angles = (2 * math.pi * k / CORNERS for k in range(CORNERS))
    points = [(x + across * math.cos(a), y + down * math.sin(a)) for a in angles]
    return _turned(points, turn, (x, y))


def _turned(points: list[tuple], turn: float, about: tuple) -> list[float]:
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    moved = [(x - about[0], y - about[1]) for x, y in points]
    return polygon((about[0] + c * x - s * y, about[1] + s * x + c * y) for x, y in moved)


def png(text: str, left: float, top: float, size: tuple) -> dict:
    """A mask drawn as a PNG file in base64, with its upper left corner in the picture."""
    try:
        inside = np.asarray(opened(io.BytesIO(base64.b64decode(text)))) > 0
    except Exception as error:  # damaged pictures raise many kinds
        reason = f"has a mask that is no PNG file in base64 ({error!r:.40}): export it again"
        raise OutlineError(reason) from error
    return _placed(inside, round(left), round(top), size)


def row_runs(text: str, left: int, top: int, width: int, height: int, size: tuple) -> dict:
    """A mask as run lengths along the rows of its box, background first."""
    runs = np.array(text.split(","), dtype=np.int64)
    fits = 0 < max(width, height) <= MAX_SIDE and ((runs >= 0) & (runs <= width * height)).all()
    if not fits or runs.sum() != width * height:
        reason = f"has run lengths that do not sum to {width} x {height}: export it again"
        raise OutlineError(reason)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return _placed(inside, left, top, size)


def _placed(inside: np.ndarray, left: int, top: int, size: tuple) -> dict:
    """Run lengths of a picture (width, height) that holds the mask (H, W) bool."""
    height, width = inside.shape[:2]
    fits = all(type(side) is int and 0 < side <= MAX_SIDE for side in size)
    if not fits or not 0 <= left <= size[0] - width or not 0 <= top <= size[1] - height:
        where = f"{width}x{height} at {left}, {top}"
        raise OutlineError(f"has a mask of {where} that leaves its picture: export it again")
    whole = np.zeros((size[1], size[0]), dtype=bool)
    whole[top : top + height, left : left + width] = inside
    return run_lengths(whole)


def hidden_part(parts: list, height: int, width: int) -> int:
    """The number of a part, from 1, that adds no pixel to the others, as a hole would; or 0."""
    total = area(parts, height, width)
    if len(parts) > MOST_PARTS or sum(area([part], height, width) for part in parts) == total:
        return 0
    for k in range(len(parts)):
        if area(parts[:k] + parts[k + 1 :], height, width) == total:
            return k + 1
    return 0
