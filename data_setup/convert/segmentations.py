"""COCO segmentations: what is wrong with one, before pycocotools sees it, and its pixels.

That library trusts its input: it reads beyond its memory.
"""

import math
from typing import Any

import numpy as np
from pycocotools import mask as coco


def fault(segmentation: Any, height: int, width: int) -> str:
    """What is wrong with a COCO segmentation of an image of this size, or nothing."""
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if not parts:
        return "has an empty segmentation"
    for part in parts:
        check = _runs_fault if isinstance(part, dict) else _polygon_fault
        if reason := check(part, height, width):
            return reason
    return ""


def _polygon_fault(points: Any, height: int, width: int) -> str:
    if not isinstance(points, list) or not all(type(x) in (int, float) for x in points):
        return f"has a polygon that is no list of numbers ({type(points).__name__})"
    if len(points) < 6 or len(points) % 2:
        return f"has a polygon of {len(points)} numbers, not of three or more x, y pairs"
    if not all(abs(x) < 1e9 and math.isfinite(x) for x in points):
        return "has a polygon with endless coordinates"
    for axis, side in ((points[::2], width), (points[1::2], height)):
        # true polygons reach a little over the border
        if min(axis) < -side or max(axis) > 2 * side:
            return f"has a polygon from {min(axis):g} to {max(axis):g} on a side of {side}"
    return ""


def merged(segmentation: Any, height: int, width: int) -> dict:
    """The parts of a segmentation that has no `fault` as one, as pycocotools takes it.

    They are polygons and run lengths, joined by union, so that overlaps make no holes.
    """
    runs = []
    for part in segmentation if isinstance(segmentation, list) else [segmentation]:
        if isinstance(part, list):
            (part,) = coco.frPyObjects([part], height, width)
        elif isinstance(part["counts"], list):
            part = coco.frPyObjects(part, height, width)
        runs.append(part)
    return coco.merge(runs)


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Mask (height, width) bool of a segmentation that has no `fault`."""
    return coco.decode(merged(segmentation, height, width)).astype(bool)


def area(segmentation: Any, height: int, width: int) -> int:
    """Pixels under a segmentation that has no `fault`."""
    return int(coco.area(merged(segmentation, height, width)))


def run_lengths(inside: np.ndarray) -> dict:
    """A mask (H, W), bool, as COCO's compressed run lengths."""
    runs = coco.encode(np.asfortranarray(inside, dtype=np.uint8))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def _runs_fault(part: dict, height: int, width: int) -> str:
    size, runs = part.get("size"), part.get("counts")
    if not isinstance(size, list) or size != [height, width] or bool in map(type, size):
        return f"has run lengths of size {size!r:.40}, not {[height, width]}"
    if isinstance(runs, str):
        runs = unpack(runs)
    most = height * width
    if not isinstance(runs, list) or not all(type(n) is int and 0 <= n <= most for n in runs):
        return f"has run lengths that are no whole numbers from 0 to {most}"
    if sum(runs) != height * width:
        return f"has run lengths that sum to {sum(runs):.6g}, not {height * width}"
    return ""


def unpack(text: str) -> list[int] | None:
    """COCO's compressed run lengths as numbers; None when the text is none of them."""
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("utf-8", "replace"):
        code -= 48
        if not 0 <= code < 64 or shift > 30:
            return None
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs if shift == 0 else None
