"""ReferIt's own files (query lists and MATLAB masks), opened as the same `ReferData`."""

from __future__ import annotations

import re
from pathlib import Path

from tvnet.data.refer import (
    AGAIN,
    Picture,
    ReferData,
    Referent,
    Sentence,
    picture_of,
    refuse_doubles,
)
from tvnet.files import read_json

SPLITS = ("trainval", "test")  # what the paper trains and tests on
NO_CATEGORY = {0: "region"}  # ReferIt names no categories: every referent is a 0


def read_referit(folder: Path) -> ReferData:
    """Open `referit/` of a data root: sizes, one query list a split, masks by region key.

    A region "38685_1" lies in image 38685.jpg and its mask in mask/38685_1.mat; its annotation
    id is 38685001. Referents and sentences have no ids in the files and are numbered from 0 in
    the order of their keys. Raises like `refer.read`.
    """
    sizes_file = folder / "referit_imsize.json"
    if not sizes_file.is_file():
        raise FileNotFoundError(
            f"{sizes_file} is missing, so {folder.parent} holds no 'referit': {AGAIN}."
        )
    pictures = _pictures(sizes_file, folder / "images")
    referents, segmentations, next_sentence = [], {}, 0
    for split in SPLITS:
        for key, texts in _queries(folder / f"referit_query_{split}.json"):
            image_id, region = (int(part) for part in key.split("_"))
            if image_id not in pictures:
                raise ValueError(
                    f"Region {key} of {split} lies in an image that {sizes_file} does not "
                    f"hold: {AGAIN}."
                )
            ann_id = image_id * 1000 + region
            segmentations[ann_id] = folder / "mask" / f"{key}.mat"
            sentences = tuple(Sentence(next_sentence + n, t) for n, t in enumerate(texts))
            next_sentence += len(texts)
            referents.append(Referent(len(referents), ann_id, image_id, 0, split, sentences))
    refuse_doubles((r.ann_id for r in referents), "Annotation {} of referit")
    return ReferData(
        "referit", pictures, tuple(referents), segmentations, NO_CATEGORY, folder.parent
    )


def _pictures(file: Path, images: Path) -> dict[int, Picture]:
    pictures = {}
    for name, size in read_json(file, dict, AGAIN).items():
        found = re.fullmatch(r"(\d+)\.jpg", name)
        if not found or not isinstance(size, list) or [type(side) for side in size] != [int, int]:
            raise ValueError(f"{file} holds '{name}': {size}, not a picture's size: {AGAIN}.")
        pictures[int(found[1])] = picture_of(int(found[1]), images / name, *size)
    return pictures


def _queries(file: Path) -> list[tuple[str, list[str]]]:
    queries = sorted(read_json(file, dict, AGAIN).items())
    for key, texts in queries:
        if (
            not re.fullmatch(r"\d+_\d{1,3}", key)
            or not isinstance(texts, list)
            or not all(isinstance(text, str) for text in texts)
        ):
            raise ValueError(f"{file} holds '{key}', not a region with its texts: {AGAIN}.")
    return queries
