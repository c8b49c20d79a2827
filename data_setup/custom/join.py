"""Rows of a table, with their pictures and masks, -> rows of the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_setup.convert.validate import Findings
from data_setup.custom.files import File, load, refuse_unlike
from data_setup.custom.masks import referent as referent_of
from data_setup.custom.masks import remark as remark_on
from data_setup.custom.table import Row
from data_setup.files import sha256_of


class Joined:
    """What `add` has taken of a folder; what is odd about it goes into `findings`."""

    def __init__(self, folder: Path, turn: bool, table: str, findings: Findings):
        self.folder, self.turn, self.table, self.findings = folder, turn, table, findings
        self.pictures: dict[str, list] = {}  # file -> row of the index
        self.kept: dict[str, tuple[str, bool]] = {}  # name in the root -> file, whether turned
        self.image_of: dict[str, str] = {}  # file of a mask -> file of its picture
        self.masks: dict[tuple[str, str], list] = {}  # file and value -> row of the index
        self.referents: dict[tuple[str, str], list] = {}  # likewise
        self.remarked: dict[int, str] = {}  # annotation id -> what is odd about the mask
        self.sentences = 0

    def add(self, row: Row) -> None:
        """Take one row; ValueError that says why it cannot be used."""
        if row.image not in self.pictures:
            self._add_picture(row)
        image_id, _, width, height = self.pictures[row.image]
        if self.image_of.setdefault(row.mask, row.image) != row.image:
            raise ValueError(f"gives '{row.mask}' to another image")
        key = (row.mask, row.id)
        if key not in self.masks:
            self._add_mask(row, width, height)
        ann_id = self.masks[key][0]
        referent = self.referents.setdefault(key, [ann_id, ann_id, image_id, 1, row.split, []])
        if referent[4] != row.split:
            raise ValueError(f"gives '{row.mask}' to another split")
        referent[5].append([self.sentences, row.sentence.lower()])
        self.sentences += 1

    def _add_picture(self, row: Row) -> None:
        file = load(self.folder, row.image, self.turn)
        refuse_unlike(file)
        name = f"{row.image}.png" if file.turned else row.image
        if name in self.kept:
            raise ValueError(f"'{row.image}' would be kept as '{name}', as another picture is")
        self.kept[name] = (row.image, file.turned)
        self.pictures[row.image] = [len(self.pictures) + 1, name, *file.picture.size]
        if file.turned:
            self._remark(row, file, "is turned; its masks are taken as drawn on the turned picture")
        self._remark_on_frames(row, file)

    def _add_mask(self, row: Row, width: int, height: int) -> None:
        file = load(self.folder, row.mask, self.turn)
        if file.picture.size != (width, height):
            raise ValueError(f"the mask '{row.mask}' is not {width}x{height} like its image")
        try:
            inside = referent_of(file.picture, row.id)
        except ValueError as error:
            raise ValueError(f"the mask '{row.mask}' {error}") from error
        ann_id = len(self.masks) + 1
        self.masks[row.mask, row.id] = [ann_id, 0, _runs(inside)]
        self._remark_on_frames(row, file)
        if odd := remark_on(inside):
            self.remarked[ann_id] = odd
            self._remark(row, file, odd)

    def _remark_on_frames(self, row: Row, file: File) -> None:
        if file.frames > 1:
            self._remark(row, file, f"holds {file.frames} pictures, of which the first is taken")

    def _remark(self, row: Row, file: File, reason: str) -> None:
        self.findings.remark(self.table, f"{row.place} ('{file.name}')", reason)

    def remark_on_shared_pictures(self) -> None:
        """Pictures in more than one split, under one name or as copies under several."""
        files = {picture[0]: file for file, picture in self.pictures.items()}
        hashes = {file: sha256_of(self.folder / file) for file in self.pictures}
        splits: dict[str, set[str]] = {}
        for referent in self.referents.values():
            splits.setdefault(hashes[files[referent[2]]], set()).add(referent[4])
        for digest, found in splits.items():
            if len(found) > 1:
                same = " = ".join(f"'{file}'" for file in hashes if hashes[file] == digest)
                reason = f"is in the splits {' and '.join(sorted(found))}"
                self.findings.remark(self.table, f"picture {same}", reason)


def _runs(inside: np.ndarray) -> dict:
    from pycocotools import mask as coco

    runs = coco.encode(np.asfortranarray(inside, dtype=np.uint8))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}
