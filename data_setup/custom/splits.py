"""Which pictures are copies of each other, and splits that keep the copies of one together."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from data_setup.custom.table import EVALUATE, TRAIN
from data_setup.pictures import flat

HELD_OUT = {EVALUATE: 0.15, "test": 0.15}  # shares of the pictures; the others are TRAIN
SIDE = 16  # pixels of a thumbnail
NEAR, NEAR_MEAN = 24, 3  # levels of 255 by which thumbnails of copies differ: at most, on average


def thumbnail(picture: Image.Image) -> np.ndarray:
    """(SIDE * SIDE * 3) int16: what stays of a picture that is saved again or made smaller."""
    small = flat(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.int16).ravel()


def copies(thumbnails: Sequence[np.ndarray]) -> list[list[int]]:
    """Groups of the positions of pictures that are copies of each other; most have one member."""
    group = list(range(len(thumbnails)))

    def first(k: int) -> int:
        while group[k] != k:
            group[k] = k = group[group[k]]
        return k

    if not group:
        return []
    pixels = np.stack(thumbnails)
    means = pixels.mean(1)
    order = np.argsort(means, kind="stable")  # copies have nearly the same mean
    pixels, ends = pixels[order], np.searchsorted(means[order], means[order] + NEAR_MEAN, "right")
    for k, end in enumerate(ends):
        apart = np.abs(pixels[k + 1 : end] - pixels[k])
        near = (apart.max(1, initial=0) <= NEAR) & (apart.mean(1) <= NEAR_MEAN)
        for other in np.flatnonzero(near):
            a, b = first(int(order[k])), first(int(order[k + 1 + other]))
            group[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = {}
    for k in range(len(group)):
        found.setdefault(first(k), []).append(k)
    return list(found.values())


def divided(groups: list[list[str]], seed: int) -> list[str]:
    """The split of each group of pictures, which are given by their hashes.

    The order comes from the seed and the hashes alone, not from names. A group that a share has no
    room for is TRAIN, as the last one is.
    """
    total = sum(map(len, groups))
    room = {split: max(1, round(share * total)) for split, share in HELD_OUT.items()}
    found = [TRAIN] * len(groups)
    keys = [hashlib.sha256(f"{seed} {min(group)}".encode()).digest() for group in groups]
    for k in sorted(range(len(groups)), key=keys.__getitem__)[:-1]:
        split = next((split for split, left in room.items() if left >= len(groups[k])), TRAIN)
        if split != TRAIN:
            found[k] = split
            room[split] -= len(groups[k])
    return found


def leaks(groups: list[list[str]], used: Iterable[tuple[str, str]]) -> list[dict]:
    """Pictures that several splits have in common, from the (file, split) of every referent."""
    splits: dict[str, set[str]] = {}
    for file, split in used:
        splits.setdefault(file, set()).add(split)
    found = ((group, set().union(*(splits.get(f, ()) for f in group))) for group in groups)
    return [
        {"pictures": files, "splits": sorted(names)} for files, names in found if len(names) > 1
    ]
