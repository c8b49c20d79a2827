"""Which referents of MiniRef go into which split, in the way of each benchmark."""

from __future__ import annotations

from random import Random

UNC_SHARES = {"testA": 0.06, "testB": 0.06, "val": 0.12}  # of the pictures; the rest is train
REFERIT_SHARES = {"test": 0.3, "val": 0.1}
# G-Ref (google): 18 % of the images hold a val referent; 76 % of those hold train referents too
GREF_VAL_IMAGES = 0.18
GREF_SHARED = 0.76


def unc_splits(pictures: list[dict], rng: Random) -> dict[int, str]:
    """Split of each image id, no image in two: testA has people to refer to, testB other things."""
    order = rng.sample(pictures, len(pictures))
    split = {picture["id"]: "train" for picture in order}
    for name, share in UNC_SHARES.items():
        wanted = max(1, round(share * len(order)))
        free = [p for p in order if split[p["id"]] == "train"]
        if name != "val":
            # the pictures with most referents of that sort first, two being as good as four
            free.sort(key=lambda p: -min(2, len(of_split(p["referents"], name))))  # noqa: B023
        for picture in free[:wanted]:
            split[picture["id"]] = name
    return split


def of_split(referents: list[dict], split: str) -> list[dict]:
    """The referents that a picture of this split keeps: people in testA, other things in testB."""
    if not split.startswith("test"):
        return referents
    return [r for r in referents if r["person"] == (split == "testA")]


def gref_splits(pictures: list[tuple[int, list[dict]]], rng: Random) -> dict[tuple[int, int], str]:
    """Split of each (image id, thing), by OBJECT: most val images hold train referents as well."""
    order = rng.sample(pictures, len(pictures))
    val_images = max(2, round(GREF_VAL_IMAGES * len(order)))
    shared = round(GREF_SHARED * val_images)
    split = {(image, r["thing"]): "train" for image, referents in order for r in referents}
    several = [(image, refs) for image, refs in order if len(refs) > 1]
    for image, referents in several[:shared]:
        split[image, referents[0]["thing"]] = "val"
    taken = {image for image, _ in several[:shared]}
    alone = sorted((p for p in order if p[0] not in taken), key=lambda p: len(p[1]))
    for image, referents in alone[: val_images - shared]:
        split.update({(image, r["thing"]): "val" for r in referents})
    return split


def referit_splits(images: list[int], rng: Random) -> dict[int, str]:
    """Split of each ReferIt image id, no image in two."""
    order = rng.sample(images, len(images))
    split, start = dict.fromkeys(order, "train"), 0
    for name, share in REFERIT_SHARES.items():
        stop = start + max(1, round(share * len(order)))
        split.update(dict.fromkeys(order[start:stop], name))
        start = stop
    return split
