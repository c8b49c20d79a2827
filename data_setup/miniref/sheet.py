"""A contact sheet of MiniRef: a fixed random choice of pictures, masks and sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_setup.miniref.outlines import decode
from data_setup.miniref.picture import IMAGES
from data_setup.unpickle import Plain

ROWS = 6
CELL = (264, 206)  # pixels of a picture's place
TEXT = 40  # pixels of the two lines of text under it
GAP = 8
COLUMNS = (
    ("UNC", "refcoco", "refs(unc).p"),
    ("UNC+", "refcoco+", "refs(unc).p"),
    ("G-Ref", "refcocog", "refs(google).p"),
    ("ReferIt", "referit", ""),
)
COLOUR = np.array([255, 64, 129])


Sample = tuple[Image.Image, np.ndarray, str]  # picture, mask, sentence


def write_sheet(root: Path, out: Path, seed: int = 0) -> None:
    """Draw 4 x 6 samples of the world in `root`, a column for each dialect, into a PNG file.

    The samples are drawn at random from the seed. Raises FileNotFoundError where there is no world.
    """
    if not (root / "miniref.json").is_file():
        raise FileNotFoundError(
            f"There is no MiniRef in {root}: draw it with "
            f"`python -m data_setup miniref --root {root}`."
        )
    rng = Random(seed)
    head = 26
    step = (CELL[0] + GAP, CELL[1] + TEXT + GAP)
    sheet = Image.new("RGB", (4 * step[0] + GAP, ROWS * step[1] + head), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, (title, folder, refs) in enumerate(COLUMNS):
        samples = _refer(root, folder, refs, rng) if refs else _referit(root / folder, rng)
        x = GAP + column * step[0]
        pen.text((x, 5), title, "black", font)
        for row, (picture, mask, sentence) in enumerate(samples):
            y = head + row * step[1]
            _paste(sheet, picture, mask, (x, y))
            lines = _wrapped(sentence, pen, font)
            pen.multiline_text((x, y + CELL[1] + 2), lines, "black", font, spacing=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    # a palette keeps the file small enough for a README
    small = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    temporary = out.with_name(out.name + ".part")
    small.save(temporary, "PNG", optimize=True)
    temporary.replace(out)


def _refer(root: Path, folder: str, refs: str, rng: Random) -> Iterator[Sample]:
    instances = json.loads((root / folder / "instances.json").read_text("utf-8"))
    images = {image["id"]: image for image in instances["images"]}
    annotations = {annotation["id"]: annotation for annotation in instances["annotations"]}
    with open(root / folder / refs, "rb") as file:
        refs = Plain(file).load()
    for ref in rng.sample(refs, min(ROWS, len(refs))):
        image, sentences = images[ref["image_id"]], ref["sentences"]
        segmentation = annotations[ref["ann_id"]]["segmentation"]
        mask = decode(segmentation, image["height"], image["width"])
        picture = Image.open(root / IMAGES / image["file_name"])
        yield picture, mask, rng.choice(sentences)["raw"]


def _referit(folder: Path, rng: Random) -> Iterator[Sample]:
    from scipy.io import loadmat

    queries = json.loads((folder / "referit_query_all.json").read_text("utf-8"))
    for key in rng.sample(list(queries), min(ROWS, len(queries))):
        mask = loadmat(folder / "mask" / f"{key}.mat")["segimg_t"] == 0
        picture = Image.open(folder / "images" / f"{key.split('_')[0]}.jpg")
        yield picture, mask, rng.choice(queries[key])


def _paste(sheet: Image.Image, picture: Image.Image, mask: np.ndarray, at: tuple[int, int]) -> None:
    """The picture with its mask tinted and outlined, centred in its place."""
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    size = round(picture.width * scale), round(picture.height * scale)
    pixels = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)).copy()
    inside = np.asarray(Image.fromarray(mask).resize(size))
    padded = np.pad(inside, 2)
    height, width = inside.shape
    around = [padded[y : y + height, x : x + width] for y in (0, 2, 4) for x in (0, 2, 4)]
    pixels[inside] = 0.88 * pixels[inside] + 0.12 * COLOUR
    pixels[np.logical_or.reduce(around) & ~inside] = COLOUR
    offset = at[0] + (CELL[0] - size[0]) // 2, at[1] + (CELL[1] - size[1]) // 2
    sheet.paste(Image.fromarray(pixels), offset)


def _wrapped(sentence: str, pen: ImageDraw.ImageDraw, font) -> str:
    """The sentence in lines no wider than a picture's place."""
    lines = [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= CELL[0]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
