"""Masks as COCO writes them: lists of polygons in pixel coordinates."""

import numpy as np
from contourpy import FillType, contour_generator
from pycocotools import mask as coco

TOLERANCES = (0.6, 0.35)  # pixels; a coarser outline is taken where it is close enough
MIN_IOU = 0.97  # of the decoded polygons with the mask; simplified ones are only taken above it


def segment(mask: np.ndarray) -> tuple[list[list[float]], dict]:
    """The polygons of a bool mask (H, W) in COCO's form, and the RLE that they decode to."""
    height, width = mask.shape
    truth = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    parts = _parts(mask)
    for tolerance in TOLERANCES:
        polygons = [_polygon(part, tolerance) for part in parts]
        polygons = [polygon for polygon in polygons if len(polygon) >= 6]
        if not polygons:
            break
        decoded = coco.merge(coco.frPyObjects(polygons, height, width))
        if coco.iou([decoded], [truth], [0])[0, 0] >= MIN_IOU:
            return polygons, decoded
    return _rows(mask), truth


def _rows(mask: np.ndarray) -> list[list[float]]:
    """A rectangle for each run of pixels: exact, for the few scraps that outlines would blur."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    runs = zip(*np.nonzero(edges == 1), np.nonzero(edges == -1)[1], strict=True)
    return [[float(v) for v in (a, y, b, y, b, y + 1, a, y + 1)] for y, a, b in runs]


def _parts(mask: np.ndarray) -> list[list[np.ndarray]]:
    """The connected parts of a mask, each as its outer ring and its holes' rings, (N, 2) xy."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = rows[0], columns[0]
    crop = np.pad(mask[y : rows[-1] + 1, x : columns[-1] + 1], 1).astype(np.float64)
    generator = contour_generator(z=crop, fill_type=FillType.OuterOffset)
    parts = []
    for points, offsets in zip(*generator.filled(0.5, 2.0), strict=True):
        points = points + (x - 0.5, y - 0.5)  # pixel centres lie at .5
        parts.append([points[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)])
    return parts


def _polygon(rings: list[np.ndarray], tolerance: float) -> list[float]:
    """One flat polygon x1, y1, x2, y2 ...; a seam of no width joins a hole to the outline."""
    rings = [_simplify(ring[:-1], tolerance) for ring in rings]
    outline = rings[0]
    for hole in rings[1:]:
        if len(hole) < 3:
            continue
        gaps = ((outline[:, None] - hole[None]) ** 2).sum(2)
        a, b = np.unravel_index(int(gaps.argmin()), gaps.shape)
        loop = np.concatenate([hole[b:], hole[: b + 1]])
        outline = np.concatenate([outline[: a + 1], loop, outline[a:]])
    return np.round(outline, 2).ravel().tolist()


def _simplify(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Douglas-Peucker on a closed ring (N, 2): what is left out lies within `tolerance` pixels."""
    far = int(((ring - ring[0]) ** 2).sum(1).argmax())
    kept = np.array([0, far, len(ring)])
    while True:  # for all chords at once: the points farthest from each are kept
        starts, ends = ring[kept[:-1]], ring[kept[1:] % len(ring)]
        chord = (ends - starts) / np.maximum(np.hypot(*(ends - starts).T), 1e-9)[:, None]
        span = np.repeat(np.arange(len(chord)), np.diff(kept))
        offset = ring - starts[span]
        away = np.abs(offset[:, 0] * chord[span, 1] - offset[:, 1] * chord[span, 0])
        worst = np.maximum.reduceat(away, kept[:-1])
        more = np.flatnonzero((away == worst[span]) & (away > tolerance))
        if not len(more):
            return ring[kept[:-1]]
        kept = np.sort(np.concatenate([kept, more]))
