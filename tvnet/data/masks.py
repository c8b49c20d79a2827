"""True masks: polygons and run lengths of COCO -> bool, and bool -> run lengths."""

from __future__ import annotations

from typing import Any

import numpy as np


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Mask (height, width) bool of a COCO segmentation.

    A segmentation is a list of polygons, a run-length dict, or a list of them; their parts are
    joined by union, so that overlaps make no holes. Everything is checked before pycocotools sees
    it, because that library trusts its input. Raises ValueError for malformed ones.
    """
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if not parts:
        raise ValueError("Its segmentation is empty: it has no polygon and no run lengths.")
    mask = np.zeros((height, width), dtype=bool)
    polygons = [part for part in parts if not isinstance(part, dict)]
    for part in parts:
        if isinstance(part, dict):
            mask |= _run_lengths(part, height, width)
    if polygons:
        mask |= _polygons(polygons, height, width)
    return mask


def _polygons(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    for points in polygons:
        _check_polygon(points, height, width)
    from pycocotools import mask as coco

    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


def _check_polygon(points: Any, height: int, width: int) -> None:
    whole = isinstance(points, list) and all(type(x) in (int, float) for x in points)
    whole = whole and all(abs(x) < 1e300 for x in points)  # JSON knows whole numbers beyond floats
    flat = np.asarray(points, dtype=float) if whole else np.empty(0)
    if len(flat) < 6 or len(flat) % 2:
        count = len(points) if isinstance(points, list) else type(points).__name__
        raise ValueError(f"A polygon of {count} numbers is no list of three or more x, y pairs.")
    for name, values, side in (("x", flat[::2], width), ("y", flat[1::2], height)):
        # True polygons reach a little over the border; far ones crash pycocotools.
        if values.min() < -side or values.max() > 2 * side:
            raise ValueError(
                f"A polygon reaches from {name} = {values.min():g} to {values.max():g}, far "
                f"outside its {width}x{height} image."
            )


def _run_lengths(part: dict, height: int, width: int) -> np.ndarray:
    size, counts = part.get("size"), part.get("counts")
    if size not in ([height, width], (height, width)):
        raise ValueError(f"A run-length mask of size {size} is not {[height, width]}.")
    if isinstance(counts, str | bytes):
        counts = _unpack(counts)
    most = height * width
    if not isinstance(counts, list) or not all(type(n) is int and 0 <= n <= most for n in counts):
        raise ValueError(
            f"The counts of a run-length mask are not whole numbers from 0 to {most}: "
            f"{str(counts):.60}."
        )
    return from_counts(np.array(counts, dtype=np.int64), height, width)


def _unpack(text: str | bytes) -> list[int]:
    """COCO's compressed counts: five bits a character, each run stored against the last but one."""
    characters = text.encode() if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for byte in characters:
        byte -= 48
        if not 0 <= byte < 64 or shift > 60:
            raise ValueError("The compressed counts of a run-length mask are damaged.")
        value |= (byte & 31) << shift
        shift += 5
        if not byte & 32:
            if byte & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def from_counts(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mask (height, width) of alternating runs of 0 and 1 in column order.

    Checked on every call: runs that do not fill the image would shift or invent pixels.
    """
    if counts.sum() != height * width or (counts < 0).any():
        raise ValueError(
            f"Run lengths that sum to {counts.sum()} do not fill a {width}x{height} image."
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T


def to_counts(mask: np.ndarray) -> np.ndarray:
    """Alternating runs of 0 and 1 in column order, the inverse of `from_counts`."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges]))
