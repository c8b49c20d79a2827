"""A mask over its picture, to be printed: a fill, and an outline that is seen on every picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter

from tvnet.files import replacing

# Of Okabe and Ito's palette, whose colours are told apart in every common form of colour blindness.
FILL = (86, 180, 233)  # sky blue
OPACITY = 0.4
FINE = 400  # a line has one pixel for so many of the picture's longer side


def overlay(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """A copy of a picture RGB with a mask (H, W) bool filled and outlined.

    The outline is a black line at the mask's border and a white one around it: one of the two
    contrasts with whatever lies beside them, for every eye and in grey. Raises ValueError where
    the mask has another size than the picture.
    """
    if mask.shape != picture.size[::-1]:
        raise ValueError(
            f"A mask of {mask.shape[1]} x {mask.shape[0]} pixels does not fit a picture of "
            f"{picture.width} x {picture.height}: give the mask at the picture's size."
        )
    drawn = picture.convert("RGB")
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not rows.size:
        return drawn
    line = 1 + max(picture.size) // FINE
    top, left = (max(0, int(found[0]) - line) for found in (rows, columns))
    part = mask[top : rows[-1] + 1 + line, left : columns[-1] + 1 + line]
    around = _grown(part, line, edge=False) & ~part
    border = _grown(~part, line, edge=True) & part
    box = (left, top, left + part.shape[1], top + part.shape[0])
    below = drawn.crop(box)
    filled = Image.blend(below, Image.new("RGB", below.size, FILL), OPACITY)
    for colour, where in ((filled, part), ("white", around), ("black", border)):
        drawn.paste(colour, box, Image.fromarray(where))
    return drawn


def _grown(mask: np.ndarray, width: int, edge: bool) -> np.ndarray:
    """The pixels at most `width` rows and columns from one of a mask, beyond whose border all are
    as `edge`."""
    return maximum_filter(mask, 2 * width + 1, mode="constant", cval=edge)


def write_mask(mask: np.ndarray, path: Path) -> None:
    """A mask (H, W) bool as a PNG, white where the referent is, whole or not there."""
    with replacing(path) as part:
        Image.fromarray(mask.astype(np.uint8) * 255).save(part, "PNG")
