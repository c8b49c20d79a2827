"""Which picture files are taken, and how the header of one is read."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

# Both as in tvnet.data.photo, so that a picture that trains a model can also be asked about.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
TOO_LARGE = f"more than the {MAX_PIXELS // 1_000_000} million that are read: make it smaller"


def opened(file: Path | BinaryIO) -> Image.Image:
    """A picture whose header has been read, and no pixel of it.

    Raises ValueError that says what is wrong, without the name.
    """
    Image.init()  # Pillow knows only some of the formats before
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        listed = ", ".join(FORMATS)
        raise ValueError(f"is no picture of the kinds {listed}: save it as JPEG or PNG") from None
    except Image.DecompressionBombError:  # Pillow's own limit, far above ours
        raise ValueError(f"has too many pixels, {TOO_LARGE}") from None
    except Exception as error:  # damaged pictures raise many kinds
        raise ValueError(f"is damaged ({error!r:.60}): save it again") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"has {picture.width} x {picture.height} pixels, {TOO_LARGE}")
    return picture
