"""The files of a custom data set: opened, checked, turned."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_setup.convert.validate import MAX_SIDE, is_plain
from data_setup.pictures import opened

if TYPE_CHECKING:
    from PIL import Image

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
    from PIL import ImageOps

    if not is_plain(name):
        raise ValueError(f"'{name:.60}' is no plain name of a file in the folder")
    try:
        there = (folder / name).is_file()
    except OSError:  # a name too long for the disk
        there = False
    if not there:
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


def refuse_unlike(file: File) -> None:
    """ValueError where training and `predict` would see other pixels of a picture."""
    picture = file.picture
    if picture.mode[0] in "IF":
        raise ValueError(
            f"'{file.name}' has the mode {picture.mode}: save it with 8 bits a channel"
        )
    if max(picture.size) > MAX_SIDE:
        raise ValueError(f"'{file.name}' has a side of over {MAX_SIDE} pixels: make it smaller")


def content(folder: Path, file: str, turned: bool) -> bytes:
    """What a data root keeps of a picture: the file as it is, or its turned pixels as PNG."""
    if not turned:
        return (folder / file).read_bytes()
    made, picture = io.BytesIO(), load(folder, file, turn=True).picture
    # not every mode can be PNG; what is transparent stays so, for the reader to put it on white
    picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(made, "PNG")
    return made.getvalue()
