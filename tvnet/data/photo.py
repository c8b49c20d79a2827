"""A reader's own picture: anything that a camera, a browser or numpy gives, as upright RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Those that Pillow decodes by itself; others may start programs or need more libraries.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000  # three bytes each, and four more for a probability
TOO_LARGE = f"more than the {MAX_PIXELS // 1_000_000} million that are read: make it smaller."
Photo = str | Path | Image.Image | np.ndarray


def read_photo(image: Photo) -> Image.Image:
    """A path, a Pillow image or an array uint8 (H, W), (H, W, 3) or (H, W, 4) as upright RGB.

    Turned as its EXIF flag says, which is how viewers show it; what is transparent becomes white;
    16-bit greys keep their upper 8 bits. Raises FileNotFoundError or ValueError with one sentence;
    a picture that is too large is refused by its header, before any pixel is decoded.
    """
    if isinstance(image, np.ndarray):
        image = _of_array(image)
    if isinstance(image, Image.Image):
        return _upright(image, "The picture")
    if not isinstance(image, str | Path):
        raise ValueError(
            f"An image of type {type(image).__name__} cannot be read: give a path, a Pillow image "
            "or a numpy array."
        )
    with _opened(Path(image)) as file:
        return _upright(file, f"The picture {image}")


def _opened(path: Path) -> Image.Image:
    """The file with its header read."""
    if not path.exists():
        raise FileNotFoundError(f"There is no picture at {path}: check the path.")
    if not path.is_file():  # a pipe or a device would be read for ever
        raise ValueError(f"{path} is no file: name a picture.")
    Image.init()  # Pillow knows only some of the formats before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(
            f"The picture {path} is not one that can be read, whatever its name says: save it as "
            "JPEG or PNG."
        ) from None
    except Image.DecompressionBombError:  # Pillow's own limit, far above ours
        raise ValueError(f"The pixels of the picture {path} are {TOO_LARGE}") from None
    except Exception as error:  # damaged files raise many kinds
        raise ValueError(f"The picture {path} is damaged ({error}): save it again.") from error


def _of_array(array: np.ndarray) -> Image.Image:
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not fits or not array.size:
        raise ValueError(
            f"An array of {array.dtype} and shape {array.shape} is no picture: give uint8 of shape "
            "(H, W, 3)."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _upright(picture: Image.Image, name: str) -> Image.Image:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{name} has {width} x {height} pixels, {TOO_LARGE}")
    if not width * height:
        raise ValueError(f"{name} has {width} x {height} pixels: there is nothing to see.")
    try:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except Exception as error:
        raise ValueError(f"{name} is damaged ({error}): save it again.") from error
    if picture.mode.startswith("I"):
        picture = _upper_half(picture, name)
    elif picture.mode == "F":
        raise ValueError(f"{name} holds floating-point numbers: convert it to 8 bits.")
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _upper_half(picture: Image.Image, name: str) -> Image.Image:
    """Modes I and I;16: the upper 8 of 16 bits."""
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError(f"{name} holds more than 16 bits a pixel: convert it to 8 bits.")
    return Image.fromarray((values >> 8).astype(np.uint8))
