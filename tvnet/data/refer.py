"""A data set: who is referred to, in which picture, with which sentences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tvnet.data.archive import NOTHING, is_there
from tvnet.data.contents import contents
from tvnet.data.masks import decode
from tvnet.data.photo import MAX_PIXELS

NAMES = ("unc", "unc+", "gref", "referit")  # the paper's
FORMAT = "tvnet index 1"
AGAIN = "fetch or draw the data again"  # the next step of most errors below
MAX_SIDE = 20_000  # pixels; a larger one is no picture of these data sets but a damaged index


@dataclass(frozen=True)
class Picture:
    image_id: int
    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class Sentence:
    sent_id: int
    text: str  # the field `sent`, where the data set has it (D31)


@dataclass(frozen=True)
class Referent:
    ref_id: int
    ann_id: int
    image_id: int
    category_id: int
    split: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class Sample:
    """One sentence with what it refers to: the unit of training and of evaluation."""

    sent_id: int
    ref_id: int
    ann_id: int
    image_id: int
    category_id: int
    text: str


@dataclass
class ReferData:
    """One data set. Segmentations stay as they stand in the file until `mask` decodes them."""

    name: str
    pictures: dict[int, Picture]
    referents: tuple[Referent, ...]
    segmentations: dict[int, Any]
    categories: dict[int, str]
    root: Path | None = None  # that it was read from; it may hold weights and kept checksums

    @property
    def splits(self) -> list[str]:
        return sorted({referent.split for referent in self.referents})

    @cached_property
    def fingerprint(self) -> str:
        """Twelve digits that change with any sentence, split, mask or picture.

        Files derived from the data carry them, so that none outlives the data it came from.
        """
        digest = hashlib.sha256()
        for r in self.referents:
            segmentation = self.segmentations[r.ann_id]
            named = segmentation.name if isinstance(segmentation, Path) else segmentation
            digest.update(f"{r}{named}".encode())
        held = [(path.name, content) for path, content in self._contents]
        digest.update(str(held).encode())  # no folders: a data root may be moved
        return digest.hexdigest()[:12]

    def missing_pictures(self) -> list[Path]:
        """Files that the index names and the disk does not hold."""
        return [p.path for p in self.pictures.values() if not is_there(p.path)]

    @cached_property
    def originals(self) -> dict[int, int]:
        """image id -> the least id whose file holds the same bytes: itself, unless it is a copy."""
        held, first = dict(self._contents), {}
        return {
            i: first.setdefault(i if content == NOTHING else content, i)
            for i, content in ((i, held[self.pictures[i].path]) for i in sorted(self.pictures))
        }

    @cached_property
    def _contents(self) -> list[tuple[Path, tuple[int, int]]]:
        """Every picture, then every mask that is a file, with its length and checksum."""
        files = [picture.path for picture in self.pictures.values()]
        files += [path for path in self.segmentations.values() if isinstance(path, Path)]
        return list(zip(files, contents(files, self.root), strict=True))

    def samples(self, split: str) -> list[Sample]:
        """Every sentence of a split, in the order of the file."""
        if split not in self.splits:
            raise ValueError(
                f"{self.name} has no split '{split}': choose one of {', '.join(self.splits)}."
            )
        return [
            Sample(s.sent_id, r.ref_id, r.ann_id, r.image_id, r.category_id, s.text)
            for r in self.referents
            if r.split == split
            for s in r.sentences
        ]

    def mask(self, ann_id: int) -> np.ndarray:
        """The true mask (H, W) bool at the picture's size: the union of its parts.

        Raises ValueError, naming the annotation, when nothing refers to it or it is malformed.
        """
        if ann_id not in self.image_of:
            raise ValueError(f"{self.name} refers to no annotation {ann_id}.")
        picture = self.pictures[self.image_of[ann_id]]
        try:
            return decode(self.segmentations[ann_id], picture.height, picture.width)
        except ValueError as error:
            raise ValueError(f"Annotation {ann_id} of {self.name}: {error}") from error

    @cached_property
    def image_of(self) -> dict[int, int]:
        """annotation id -> image id, for every annotation that is referred to."""
        return {referent.ann_id: referent.image_id for referent in self.referents}


def read(root: Path | str, name: str) -> ReferData:
    """Open "unc", "unc+", "gref", "referit", or a data set of one's own, under a data root.

    Reads the typed index that `data_setup` has checked and written. Raises FileNotFoundError when
    the root or its index is missing and ValueError when a name is unknown or an index damaged.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no data at {root}: draw the built-in world with "
            f"`python -m data_setup miniref --root {root}`."
        )
    path = root / "index" / f"{name}.json"
    if path.parent.parent == root and path.is_file():
        try:
            return _from_index(root, name, _load_index(path))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"The index {path} is damaged ({error}): {AGAIN}.") from error
    if name == "referit" and (root / "referit").is_dir():
        from tvnet.data.referit import read_referit

        return read_referit(root / "referit")
    if name not in NAMES:
        raise ValueError(
            f"There is no data set '{name}' in {root}: choose unc, unc+, gref or referit, or make "
            "one of your own with `python -m data_setup own`."
        )
    raise FileNotFoundError(
        f"{path} is missing, so {root} holds no '{name}': draw the built-in world with `python -m "
        f"data_setup miniref --root {root}`, or fetch the true data with `python -m data_setup "
        f"fetch {name} --root {root}`."
    )


def _load_index(path: Path) -> dict:
    """The second line of an index, held against its hash in the first."""
    head, _, body = path.read_bytes().partition(b"\n")
    about = json.loads(head)
    if about["format"] != FORMAT:
        raise ValueError(f"its format is '{about['format']}', not '{FORMAT}'")
    if about["sha256"] != hashlib.sha256(body.removesuffix(b"\n")).hexdigest():
        raise ValueError("its content is not what was written")
    return json.loads(body)


def _from_index(root: Path, name: str, index: dict) -> ReferData:
    places = [root / place for place in index["pictures_in"]]
    images = next((place for place in places if place.is_dir()), places[-1])
    for path in [*places, *(images / file for _, file, _, _ in index["pictures"])]:
        if ".." in path.relative_to(root).parts:
            raise ValueError(f"'{path}' lies outside {root}")
    data = ReferData(
        name,
        {i: picture_of(i, images / file, w, h) for i, file, w, h in index["pictures"]},
        tuple(
            Referent(*ids, split, tuple(Sentence(*sentence) for sentence in sentences))
            for *ids, split, sentences in index["referents"]
        ),
        {ann_id: segmentation for ann_id, _, segmentation in index["segmentations"]},
        dict(index["categories"]),
        root,
    )
    if lacking := data.image_of.keys() - data.segmentations.keys():
        raise ValueError(f"annotation {min(lacking)} has no segmentation")
    if lacking := set(data.image_of.values()) - data.pictures.keys():
        raise ValueError(f"image {min(lacking)} is not among its pictures")
    return data


def refuse_doubles(ids: Iterable[int], what: str) -> None:
    """ValueError when an id stands twice; `what` is the sentence's subject, {} for the id."""
    seen: set[int] = set()
    for i in ids:
        if i in seen:
            raise ValueError(f"{what.format(i)} stands twice: {AGAIN}.")
        seen.add(i)


def picture_of(image_id: int, path: Path, width: int, height: int) -> Picture:
    """A Picture, its sides checked: none is trained on that could not be predicted on."""
    fits = 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE
    if not fits or width * height > MAX_PIXELS:
        raise ValueError(f"The index gives the picture {path} {width}x{height} pixels: {AGAIN}.")
    return Picture(image_id, path, width, height)
