"""A contact sheet: pictures in columns, each with its mask tinted and its sentence under it."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from data_setup.convert.segmentations import decode
from data_setup.files import write_whole
from data_setup.index import Index
from data_setup.pictures import flat, opened

ROWS, COLUMNS = 6, 4
CELL = (264, 206)  # pixels of a picture's place
TEXT = 40  # pixels of the two lines of text under it
GAP = 8
HEAD = 26
TINT = np.array([86, 180, 233])  # sky blue: few things in photographs have it
WHITE, BLACK = 2, 1  # pixels of an outline outside its mask, and of the edges at both of its sides

Sample = tuple[Image.Image, np.ndarray, str]  # picture, mask (H, W) bool, sentence


def write_contact_sheet(
    out: Path, columns: Iterable[tuple[str, Iterable[Sample]]], tint: float = 0.0
) -> None:
    """Draw at most 4 columns of at most 6 samples, each column under its title, into a PNG file.

    A mask has a white outline with black edges, which is seen on every colour; inside it, a tint
    has the share `tint`.
    """
    step = (CELL[0] + GAP, CELL[1] + TEXT + GAP)
    sheet = Image.new("RGB", (COLUMNS * step[0] + GAP, ROWS * step[1] + HEAD), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    bottom = HEAD
    for column, (title, samples) in enumerate(columns):
        x = GAP + column * step[0]
        pen.text((x, 5), title, "black", font)
        for row, (picture, mask, sentence) in enumerate(samples):
            y = HEAD + row * step[1]
            _paste(sheet, picture, mask, (x, y), tint)
            lines = _wrapped(sentence, pen, font)
            pen.multiline_text((x, y + CELL[1] + 2), lines, "black", font, spacing=2)
            bottom = max(bottom, y + step[1])
    sheet = sheet.crop((0, 0, sheet.width, bottom))
    # a palette keeps the file small enough for a README
    small = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    content = io.BytesIO()
    small.save(content, "PNG", optimize=True)
    write_whole(out, content.getvalue())


def samples(
    root: Path, index: Index, rows: list[list], remarked: dict[int, str] | None = None
) -> Iterator[Sample]:
    """Referents of an index in an open folder, with a sentence or what is `remarked` on a mask."""
    pictures = {image_id: about for image_id, *about in index.pictures}
    segmentations = {ann_id: segmentation for ann_id, _, segmentation in index.segmentations}
    for _, ann_id, image_id, _, _, sentences in rows:
        name, width, height = pictures[image_id]
        mask = decode(segmentations[ann_id], height, width)
        text = f"({remarked[ann_id]})" if ann_id in (remarked or {}) else sentences[0][1]
        with opened(root / index.pictures_in[0] / name) as file:
            yield flat(file), mask, text


def _paste(
    sheet: Image.Image, picture: Image.Image, mask: np.ndarray, at: tuple[int, int], tint: float
) -> None:
    """The picture with its mask tinted and outlined, centred in its place."""
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS)).copy()
    small = Image.fromarray(mask).resize(size)
    inside, small = np.asarray(small), small.convert("L")
    pixels[inside] = (1 - tint) * pixels[inside] + tint * TINT
    pixels[_grown(small, WHITE + BLACK) & ~_grown(small, -BLACK)] = 0
    pixels[_grown(small, WHITE) & ~inside] = 255
    offset = at[0] + (CELL[0] - size[0]) // 2, at[1] + (CELL[1] - size[1]) // 2
    sheet.paste(Image.fromarray(pixels), offset)


def _grown(mask: Image.Image, pixels: int) -> np.ndarray:
    """A mask in mode L grown, or shrunk, by some pixels in all directions, as bool."""
    kind = ImageFilter.MaxFilter if pixels > 0 else ImageFilter.MinFilter
    return np.asarray(mask.filter(kind(2 * abs(pixels) + 1))) > 0


def _wrapped(sentence: str, pen: ImageDraw.ImageDraw, font) -> str:
    """The sentence in lines no wider than a picture's place, two at most."""
    lines = [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= CELL[0]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines[:2])
