"""COCO segmentations: what is wrong with one, before pycocotools sees it, and how large it is.

That library trusts its input: it reads beyond its memory.
"""

from __future__ import annotations

import math
from typing import Any


def fault(segmentation: Any, height: int, width: int) -> str:
    """What is wrong with a COCO segmentation of an image of this size, or nothing."""
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if not parts:
        return "has an empty segmentation"
    for part in parts:
        reason = (
            _runs_fault(part, height, width)
            if isinstance(part, dict)
            else _polygon_fault(part, height, width)
        )
        if reason:
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


def area(segmentation: Any, height: int, width: int) -> int:
    """Pixels under a segmentation that has no `fault`: the union of its parts."""
    from pycocotools import mask as coco

    runs = []
    for part in segmentation if isinstance(segmentation, list) else [segmentation]:
        if isinstance(part, dict) and isinstance(part["counts"], str):
            runs.append(part)
        else:
            packed = coco.frPyObjects(part if isinstance(part, dict) else [part], height, width)
            runs += [packed] if isinstance(part, dict) else packed
    return int(coco.area(coco.merge(runs)))


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
