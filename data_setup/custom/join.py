"""Rows of a table -> rows of the index; their pictures and masks are opened, checked and turned."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from data_setup.convert.segmentations import decode, fault, run_lengths
from data_setup.convert.validate import MAX_SIDE, Findings, is_plain
from data_setup.custom import masks
from data_setup.custom.formats import Region
from data_setup.custom.outlines import hidden_part
from data_setup.custom.regions import Annotations
from data_setup.custom.splits import thumbnail
from data_setup.custom.table import ANNOTATIONS, Row
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
        raise ValueError(
            f"'{name:.60}' is no plain name of a file in the folder: write its path in it"
        )
    if not os.path.isfile(folder / name):  # pathlib's raises for a name too long for the disk
        raise ValueError(f"'{name:.60}' is missing: put the file into the folder")
    try:
        picture = opened(folder / name)
    except ValueError as error:
        raise ValueError(f"'{name}' {error}") from error
    try:
        with picture:
            # the second picture of a phone's JPEG (MPO) is a copy for other screens
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            flag = picture.getexif().get(ORIENTATION)  # a TIFF loses it when it is loaded,
            picture.load()
            flag = flag or picture.getexif().get(ORIENTATION)  # a PNG may have it at its end
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

    def __init__(self, annotations: Annotations, turn: bool, findings: Findings):
        self.annotations, self.turn, self.findings = annotations, turn, findings
        self.pictures: dict[str, list] = {}  # file -> row of the index
        self.kept: dict[str, tuple[str, bool]] = {}  # name in the root -> file, whether turned
        self.thumbnails: list[np.ndarray] = []  # of the pictures, in their order
        self.image_of: dict[str, str] = {}  # file of a mask -> file of its picture
        # Row of the index, of a mask's file and value, or of a region's file, picture and place.
        self.masks: dict[tuple[str, ...], list] = {}
        self.referents: dict[tuple[str, ...], list] = {}
        self.remarked: dict[int, str] = {}  # annotation id -> what is odd about the mask
        self.sentences = 0
        self._last: tuple[str, File | None] = ("", None)  # a label map serves many rows

    def add(self, row: Row) -> None:
        """Take one row; ValueError that says why it cannot be used."""
        region, image, key = None, row.image, (row.mask, row.id)
        if not row.mask or row.mask.lower().endswith(ANNOTATIONS):
            region = self.annotations.find(row)
            image, key = region.image, (region.file, region.image, region.place)
            if region.fault:
                raise ValueError(_of(region, row, region.fault))
        if image not in self.pictures:
            self._add_picture(row, image)
        if region is None and self.image_of.setdefault(row.mask, image) != image:
            other = self.image_of[row.mask]
            raise ValueError(f"gives '{row.mask}' to another image than '{other}': use two masks")
        if key not in self.masks:
            self._add_mask(row, region, key, self.pictures[image])
        ann_id = self.masks[key][0]
        start = [ann_id, ann_id, self.pictures[image][0], 1, row.split, []]
        referent = self.referents.setdefault(key, start)
        if referent[4] != row.split:
            raise ValueError(f"gives '{row.mask}' to another split than '{referent[4]}': use one")
        referent[5].append([self.sentences, row.sentence.lower()])
        self.sentences += 1

    def _add_picture(self, row: Row, image: str) -> None:
        file = self._load(row, image)
        if file.picture.mode[0] in "IF":  # training and `predict` would see other pixels
            raise ValueError(
                f"'{file.name}' has the mode {file.picture.mode}: save it with 8 bits a channel"
            )
        if max(file.picture.size) > MAX_SIDE:
            raise ValueError(f"'{file.name}' has a side of over {MAX_SIDE} pixels: make it smaller")
        name = f"{image}.png" if file.turned else image
        if name in self.kept:
            reason = f"'{image}' would be kept as '{name}', as another picture is: rename one"
            raise ValueError(reason)
        self.kept[name] = (image, file.turned)
        self.pictures[image] = [len(self.pictures) + 1, name, *file.picture.size]
        self.thumbnails.append(thumbnail(file.picture))
        if file.turned:
            self._remark(
                row, image, "is turned; its masks are taken as drawn on the turned picture"
            )

    def _add_mask(self, row: Row, region: Region | None, key: tuple, picture: list) -> None:
        width, height = picture[2:]
        if region is None:
            inside = self._painted(row, width, height)
            segmentation = run_lengths(inside)
        else:
            segmentation = self._outlined(row, region, width, height)
            inside = decode(segmentation, height, width)
            if not inside.any():
                raise ValueError(_of(region, row, "covers no pixel: draw it again"))
        ann_id = len(self.masks) + 1
        self.masks[key] = [ann_id, 0, segmentation]
        if odd := masks.remark(inside):
            self.remarked[ann_id] = odd
            self._remark(row, key[0], odd)

    def _painted(self, row: Row, width: int, height: int) -> np.ndarray:
        if self._last[0] != row.mask:
            self._last = (row.mask, self._load(row, row.mask))
        mask = self._last[1].picture
        if mask.size != (width, height):
            found = f"is not {width}x{height} like its image, but {mask.width}x{mask.height}"
            raise ValueError(f"the mask '{row.mask}' {found}: save both in one size")
        try:
            return masks.referent(mask, row.id)
        except ValueError as error:
            raise ValueError(f"the mask '{row.mask}' {error}") from error

    def _outlined(self, row: Row, region: Region, width: int, height: int) -> list:
        if None not in region.size and region.size != (width, height):
            drawn = "x".join(map(str, region.size))
            reason = f"was drawn on {drawn} pixels, but '{region.image}' has {width}x{height}"
            raise ValueError(_of(region, row, f"{reason}: use the picture that was annotated"))
        if reason := fault(region.parts, height, width):
            raise ValueError(_of(region, row, f"{reason}: draw it again, or remove its sentences"))
        if hidden := hidden_part(region.parts, height, width):
            reason = (
                f"has a part ({hidden}) inside the others; if it is a hole, save a mask instead"
            )
            self._remark(row, region.file, reason)
        return region.parts

    def _load(self, row: Row, name: str) -> File:
        file = load(self.annotations.folder, name, self.turn)
        if file.frames > 1:
            self._remark(row, name, f"holds {file.frames} pictures, of which the first is taken")
        return file

    def _remark(self, row: Row, name: str, reason: str) -> None:
        self.findings.remark(row.file, f"{row.place} ('{name}')", reason)


def _of(region: Region, row: Row, reason: str) -> str:
    """What is wrong with a region; in its own file, its place stands before the sentence."""
    named = "" if row.file == region.file else f"names {region.place} of '{region.file}', which "
    return named + reason


def content(folder: Path, file: str, turned: bool) -> bytes:
    """What a data root keeps of a picture: the file as it is, or its turned pixels as PNG."""
    if not turned:
        return (folder / file).read_bytes()
    made, picture = io.BytesIO(), load(folder, file, turn=True).picture
    # not every mode can be PNG; what is transparent stays so, for the reader to put it on white
    picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(made, "PNG")
    return made.getvalue()
