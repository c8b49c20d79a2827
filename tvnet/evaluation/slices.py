"""Parts of a split in which the paper expects RES to help, as boolean masks over its sentences."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tvnet.data.appearance import Appearance, appearances
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData, Sample
from tvnet.evaluation.metrics import in_bin

QUARTER = 0.25  # a slice without a bound of its own holds this part of the sentences
NEAR = 40  # two mean colours that lie nearer than this, of 255, are alike


def slices(
    sent_id: np.ndarray, data: ReferData, neighbours: Neighbours, train_split: str = "train"
) -> dict[str, np.ndarray]:
    """{name: (N,) bool} for the sentences sent_id (N,).

    small: below the paper's 5 % of the image. low contrast: the quarter whose mean colour is
    nearest to that of the ring around them. unusual outline: the quarter whose mask fills its
    bounding box least like their category's median; no annotation says what is occluded, and what
    is cut off by another thing or by the border ends up here, an unusual pose too. rare category,
    rare pair: the quarter with the fewest training referents of their category, and of their
    category and nearly their colour. good neighbour: the retrieved image holds a referent of their
    category. Where values are tied, a quarter may be larger.
    """
    asked = data.samples_of(sent_id)
    train = list({s.ann_id: s for s in data.samples(train_split)}.values())
    seen = appearances([*asked, *train], data)
    mine = [seen[s.ann_id] for s in asked]
    contrast = np.array([np.linalg.norm(one.colour - one.around) for one in mine])
    in_train = Counter(s.category_id for s in train)
    return {
        "small": in_bin(np.array([one.share for one in mine]), "small"),
        "low contrast": _least(contrast),
        "unusual outline": _least(-_unusual(asked, train, seen)),
        "rare category": _least(np.array([in_train[s.category_id] for s in asked])),
        "rare pair": _least(_alike(asked, train, seen)),
        "good neighbour": same_category(asked, neighbours.of(sent_id), data),
    }


def same_category(queries: list[Sample], images: np.ndarray, data: ReferData) -> np.ndarray:
    """(N,) bool: whether the image of each query holds a referent of the query's category."""
    held = {(referent.image_id, referent.category_id) for referent in data.referents}
    pairs = zip(images.tolist(), queries, strict=True)
    return np.array([(image, query.category_id) in held for image, query in pairs], dtype=bool)


def _least(values: np.ndarray) -> np.ndarray:
    return values <= np.nanquantile(values, QUARTER)


def _unusual(asked: list[Sample], train: list[Sample], seen: dict[int, Appearance]) -> np.ndarray:
    """By which factor, as |log|, a mask fills its box otherwise than its category's median."""
    fills: dict[int, list[float]] = {}
    for s in train:
        fills.setdefault(s.category_id, []).append(seen[s.ann_id].fill)
    every = np.nanmedian([seen[s.ann_id].fill for s in train])
    usual = {category: np.nanmedian(of_it) for category, of_it in fills.items()}
    ratio = [seen[s.ann_id].fill / usual.get(s.category_id, every) for s in asked]
    return np.abs(np.log(ratio))


def _alike(asked: list[Sample], train: list[Sample], seen: dict[int, Appearance]) -> np.ndarray:
    """How many training referents have the category and nearly the colour of each sentence's."""
    category = np.array([s.category_id for s in train])
    colour = np.stack([seen[s.ann_id].colour for s in train])

    def count(s: Sample) -> int:
        far = np.linalg.norm(colour - seen[s.ann_id].colour, axis=1)
        return int(((category == s.category_id) & (far < NEAR)).sum())

    return np.array([count(s) for s in asked])
