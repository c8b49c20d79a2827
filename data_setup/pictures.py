"""Which picture files are taken, how the header of one is read, and which pixels are seen."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

# Those that Pillow decodes by itself; others may start programs or need more libraries.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm",
    ".pgm",
)  # fmt: skip
# Pillow keeps four bytes a pixel and reading holds a picture twice: measured, 0.4 GiB (twice that
# inside the decoder of WEBP), and 0.5 GiB for all of `predict`, beside what the libraries take.
MAX_PIXELS = 50_000_000
TOO_LARGE = f"more than the {MAX_PIXELS // 1_000_000} million that are read: make it smaller"
STRIP = 256  # rows that are put on white at a time


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


def flat(picture: Image.Image) -> Image.Image:
    """A copy as 8-bit RGB, what is transparent on white: what training and prediction see.

    Raises ValueError where it holds more than 8 bits a channel, which libraries scale or clip as
    they please.
    """
    if picture.mode[0] in "IF":
        raise ValueError(f"its mode {picture.mode} holds more than 8 bits a channel: convert it")
    if not picture.has_transparency_data:
        picture = picture.convert("RGB")
        picture.info.clear()
        return picture
    width, height = picture.size
    white = Image.new("RGB", picture.size, "white")
    for top in range(0, height, STRIP):
        part = picture.crop((0, top, width, min(top + STRIP, height)))
        if part.mode in ("La", "RGBa"):  # which Pillow turns into no other mode
            part = part.convert(part.mode.upper())
        part = part.convert("RGBA")
        white.paste(part, (0, top), part)
    return white
