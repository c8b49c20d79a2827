"""How referents look by the annotations alone, and the images that show alike ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from tvnet.data.images import open_image
from tvnet.data.records import ReferData, Sample

ALIKE = 10  # referents of the nearest colours, of which the largest is taken
RING = 32  # the ring is as wide as the image's longer side over this


@dataclass(frozen=True)
class Appearance:
    """One referent. Colours are means of R, G, B, 0 to 255, over pixels."""

    colour: np.ndarray  # (3,)
    around: np.ndarray  # (3,) of the ring around its mask; NaN where it fills the image
    share: float  # of its image
    fill: float  # of its bounding box


def appearances(samples: Iterable[Sample], data: ReferData) -> dict[int, Appearance]:
    """{ann_id: Appearance} of what the sentences refer to; each picture is opened once."""
    of_image: dict[int, set[int]] = {}
    for sample in samples:
        of_image.setdefault(sample.image_id, set()).add(sample.ann_id)
    found = {}
    for image_id, ann_ids in tqdm(of_image.items(), desc="appearance", unit="image"):
        pixels = np.asarray(open_image(data, image_id))
        for ann_id in ann_ids:
            found[ann_id] = appearance_of(pixels, data.mask(ann_id))
    return found


def appearance_of(pixels: np.ndarray, mask: np.ndarray) -> Appearance:
    """Of an image (H, W, 3) and a mask (H, W) bool; an empty mask has no colour and no box."""
    from scipy.ndimage import maximum_filter  # which training goes without

    nowhere = np.full(3, np.nan)
    if not mask.any():
        return Appearance(nowhere, nowhere, 0.0, np.nan)
    wide = max(1, max(mask.shape) // RING)
    top, bottom, left, right = (
        int(edge) for axis in (1, 0) for edge in np.flatnonzero(mask.any(axis))[[0, -1]]
    )
    near = np.s_[max(0, top - wide) : bottom + wide + 1, max(0, left - wide) : right + wide + 1]
    part, around = mask[near], pixels[near]
    ring = maximum_filter(part, 2 * wide + 1, mode="constant") & ~part
    box = (bottom - top + 1) * (right - left + 1)
    return Appearance(
        around[part].mean(0),
        around[ring].mean(0) if ring.any() else nowhere,
        float(mask.mean()),
        float(mask.sum() / box),
    )


def oracle(queries: list[Sample], pool: list[Sample], data: ReferData) -> np.ndarray:
    """For each query, the image of a referent of the pool: of the same category, of nearly the same
    colour, and large. No retrieval could better it: it knows the annotations, which cheats (D39).

    Of the ALIKE referents of the category whose mean colour is nearest, in other images, the one
    that fills the largest share of its image. Where the pool has none of the category, all
    categories count.
    """
    seen = appearances([*queries, *pool], data)
    held = list({s.ann_id: s for s in pool}.values())
    category = np.array([s.category_id for s in held])
    image = np.array([s.image_id for s in held])
    colour = np.array([seen[s.ann_id].colour for s in held])
    share = np.array([seen[s.ann_id].share for s in held])
    found: dict[int, int] = {}
    for query in queries:
        if query.ann_id in found:
            continue
        other = image != query.image_id
        of_kind = other & (category == query.category_id)
        allowed = np.flatnonzero(of_kind if of_kind.any() else other)
        far = np.square(colour[allowed] - seen[query.ann_id].colour).sum(1)
        alike = allowed[np.argsort(far, kind="stable")[:ALIKE]]
        found[query.ann_id] = image[alike[share[alike].argmax()]]
    return np.array([found[query.ann_id] for query in queries])
