"""A contact sheet of MiniRef: a fixed random choice of pictures, masks and sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image

from data_setup.contact import ROWS, Sample, write_contact_sheet
from data_setup.convert.unpickle import Plain
from data_setup.miniref.outlines import decode
from data_setup.miniref.picture import IMAGES

COLUMNS = (
    ("UNC", "refcoco", "refs(unc).p"),
    ("UNC+", "refcoco+", "refs(unc).p"),
    ("G-Ref", "refcocog", "refs(google).p"),
    ("ReferIt", "referit", ""),
)


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
    write_contact_sheet(
        out,
        (
            (title, _refer(root, folder, refs, rng) if refs else _referit(root / folder, rng))
            for title, folder, refs in COLUMNS
        ),
    )


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
