"""The neighbour that no retrieval could better: chosen by the annotations, which cheats (D39).

It is no part of TV-Net. If enrichment does not help with it, the retrieval is not to blame.
"""

from __future__ import annotations

import numpy as np

from tvnet.data.appearance import appearances
from tvnet.data.records import ReferData, Sample

ALIKE = 10  # referents of the nearest colours, of which the largest is taken


def oracle(queries: list[Sample], pool: list[Sample], data: ReferData) -> np.ndarray:
    """For each query, the image of a referent of the pool: of the same category, of nearly the same
    colour, and large.

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
