"""Rows of a table -> rows of the index; their pictures and masks are opened, checked and turned."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from data_setup.convert.segmentations import run_lengths
from data_setup.convert.validate import MAX_SIDE, Findings, is_plain
from data_setup.custom import masks
from data_setup.custom.table import Row
from data_setup.files import sha256_of
from data_setup.pictures import opened

ORIENTATION = 0x0112  # the EXIF tag; 2 to 8 turn or mirror


@dataclass(frozen=True)
class File:
    """A picture or mask whose pixels have been read, upright."""

    name: str
    picture: Image.Image
    turned: bool  # from how it is stored
    frames: int


def load(folder: Path, name: str, turn: bool) -> File:
    """A file below the folder; with `turn` as its EXIF flag turns it, else such a one is refused.

    Raises ValueError that names the file.
    """
    if not is_plain(name):
        raise ValueError(f"'{name:.60}' is no plain name of a file in the folder")
    if not os.path.isfile(folder / name):  # pathlib's raises for a name too long for the disk
        raise ValueError(f"'{name:.60}' is missing")
    try:
        picture = opened(folder / name)
    except ValueError as error:
        raise ValueError(f"'{name}' {error}") from error
    try:
        with picture:
            # the second picture of a phone's JPEG (MPO) is a copy for other screens
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            picture.load()
            flag = picture.getexif().get(ORIENTATION)
            upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # damaged pictures raise many kinds
        raise ValueError(f"'{name}' is damaged ({error!r:.60}): save it again") from error
    turned = flag in range(2, 9)
    if turned and not turn:
        raise ValueError(
            f"'{name}' has a flag that turns it (EXIF {flag}): save it upright, or let --turn "
            "write turned copies"
        )
    return File(name, upright, turned, frames)


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
        file = self._load(row, row.image)
        if file.picture.mode[0] in "IF":  # training and `predict` would see other pixels
            raise ValueError(
                f"'{file.name}' has the mode {file.picture.mode}: save it with 8 bits a channel"
            )
        if max(file.picture.size) > MAX_SIDE:
            raise ValueError(f"'{file.name}' has a side of over {MAX_SIDE} pixels: make it smaller")
        name = f"{row.image}.png" if file.turned else row.image
        if name in self.kept:
            raise ValueError(f"'{row.image}' would be kept as '{name}', as another picture is")
        self.kept[name] = (row.image, file.turned)
        self.pictures[row.image] = [len(self.pictures) + 1, name, *file.picture.size]
        if file.turned:
            self._remark(row, file, "is turned; its masks are taken as drawn on the turned picture")

    def _add_mask(self, row: Row, width: int, height: int) -> None:
        file = self._load(row, row.mask)
        if file.picture.size != (width, height):
            raise ValueError(f"the mask '{row.mask}' is not {width}x{height} like its image")
        try:
            inside = masks.referent(file.picture, row.id)
        except ValueError as error:
            raise ValueError(f"the mask '{row.mask}' {error}") from error
        ann_id = len(self.masks) + 1
        self.masks[row.mask, row.id] = [ann_id, 0, run_lengths(inside)]
        if odd := masks.remark(inside):
            self.remarked[ann_id] = odd
            self._remark(row, file, odd)

    def _load(self, row: Row, name: str) -> File:
        file = load(self.folder, name, self.turn)
        if file.frames > 1:
            self._remark(row, file, f"holds {file.frames} pictures, of which the first is taken")
        return file

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


def content(folder: Path, file: str, turned: bool) -> bytes:
    """What a data root keeps of a picture: the file as it is, or its turned pixels as PNG."""
    if not turned:
        return (folder / file).read_bytes()
    made, picture = io.BytesIO(), load(folder, file, turn=True).picture
    # not every mode can be PNG; what is transparent stays so, for the reader to put it on white
    picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(made, "PNG")
    return made.getvalue()
