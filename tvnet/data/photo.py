"""A reader's own picture: anything that a camera, a browser or numpy gives, as upright RGB."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from data_setup.pictures import MAX_PIXELS, TOO_LARGE, flat, opened

FRAMES = "tvnet frames"  # in a picture's `info`: of how many frames it is the first
Photo = str | Path | Image.Image | np.ndarray


def read_photo(image: Photo) -> Image.Image:
    """A path, a Pillow image or an array uint8 (H, W), (H, W, 3) or (H, W, 4) as upright RGB.

    Turned as its EXIF flag says, which is how viewers show it; what is transparent becomes white;
    16-bit greys keep their upper 8 bits. Of several frames the first, and `info[FRAMES]` says how
    many there are. Raises FileNotFoundError or ValueError with one sentence; a picture that is too
    large is refused by its header, before any pixel is decoded.
    """
    if isinstance(image, np.ndarray):
        image = _of_array(image)
    if isinstance(image, Image.Image):
        return _upright(image, "The picture", in_place=False)
    if not isinstance(image, str | Path):
        raise ValueError(
            f"An image of type {type(image).__name__} cannot be read: give a path, a Pillow image "
            "or a numpy array."
        )
    with _opened(Path(image)) as file:
        return _upright(file, f"The picture {image}", in_place=True)


def check_photo(path: Path) -> None:
    """Raise as `read_photo` does where a file's header shows already that it cannot be read."""
    _opened(path).close()


def _opened(path: Path) -> Image.Image:
    """The file with its header read."""
    name = f"{path!s:.120}{'...' if len(str(path)) > 120 else ''}"
    if not os.path.exists(path):  # unlike Path's, false for names that no file can have
        raise FileNotFoundError(f"There is no picture at {name}: check the path.")
    if not path.is_file():  # a pipe or a device would be read for ever
        raise ValueError(f"{path} is no file: name a picture.")
    try:
        return opened(path)
    except ValueError as error:
        raise ValueError(f"The picture {path} {error}.") from error


def _of_array(array: np.ndarray) -> Image.Image:
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not fits or not array.size:
        raise ValueError(
            f"An array of {array.dtype} and shape {array.shape} is no picture: give uint8 of shape "
            "(H, W, 3)."
        )
    _limit(*array.shape[1::-1], "The picture")  # a broadcast array is small until it is copied
    return Image.fromarray(np.ascontiguousarray(array))


def _limit(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{name} has {width} x {height} pixels, {TOO_LARGE}.")


def _upright(picture: Image.Image, name: str, in_place: bool) -> Image.Image:
    """In place, the given picture is turned itself, which saves a copy."""
    width, height = picture.size
    _limit(width, height, name)
    if not width * height:
        raise ValueError(f"{name} has {width} x {height} pixels: there is nothing to see.")
    try:
        # The other pictures of a phone's MPO are previews of the first.
        known = picture.info.get(FRAMES, 1)
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", known)
        picture.load()
        if picture.getexif().get(Base.Orientation) in range(2, 9):
            picture = ImageOps.exif_transpose(picture, in_place=in_place) or picture
    except Exception as error:
        raise ValueError(f"{name} is damaged ({error}): save it again.") from error
    if picture.mode.startswith("I"):
        picture = _upper_half(picture, name)
    elif picture.mode == "F":
        raise ValueError(f"{name} holds floating-point numbers: convert it to 8 bits.")
    picture = flat(picture)
    if frames > 1:
        picture.info[FRAMES] = frames
    return picture


def _upper_half(picture: Image.Image, name: str) -> Image.Image:
    """Modes I and I;16: the upper 8 of 16 bits."""
    values = np.asarray(picture)
    if values.min() < 0 or (top := values.max()) > 0xFFFF:
        raise ValueError(f"{name} holds more than 16 bits a pixel: convert it to 8 bits.")
    if top <= 0x3FFF:  # 10, 12 or 14 bits, as cameras have, in 16
        raise ValueError(
            f"{name} holds nothing above {top} of 65535, so it would be read as almost black: "
            "scale its values and save it with 8 bits."
        )
    return Image.fromarray((values >> 8).astype(np.uint8))
