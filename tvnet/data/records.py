"""A data set in memory: who is referred to, in which picture, with which sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tvnet.data.contents import NOTHING, contents, is_there


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
            digest.update(f"{r}{self.segmentations[r.ann_id]}".encode())
        held = dict(self._contents)
        paths = (picture.path for _, picture in sorted(self.pictures.items()))
        # In the order of the image ids; without folders, as a data root may be moved.
        digest.update(str([(path.name, held[path]) for path in paths]).encode())
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
        """Every picture with its length and checksum."""
        files = [picture.path for picture in self.pictures.values()]
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

    def samples_of(self, sent_ids: Iterable[int]) -> list[Sample]:
        """The sentences with these ids, of whatever split."""
        of_id = {s.sent_id: s for split in self.splits for s in self.samples(split)}
        return [of_id[i] for i in sent_ids]

    def mask(self, ann_id: int) -> np.ndarray:
        """The true mask (H, W) bool at the picture's size: the union of its parts.

        Raises ValueError when nothing refers to the annotation.
        """
        from data_setup.convert.segmentations import decode  # by pycocotools

        if ann_id not in self.image_of:
            raise ValueError(f"{self.name} refers to no annotation {ann_id}.")
        return decode(self.segmentations[ann_id], *self.size_of(ann_id))

    def size_of(self, ann_id: int) -> tuple[int, int]:
        """Height and width of the picture of an annotation, and so of its mask."""
        picture = self.pictures[self.image_of[ann_id]]
        return picture.height, picture.width

    @cached_property
    def image_of(self) -> dict[int, int]:
        """annotation id -> image id, for every annotation that is referred to."""
        return {referent.ann_id: referent.image_id for referent in self.referents}
