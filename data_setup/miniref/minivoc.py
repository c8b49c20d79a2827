"""MiniVOC: pictures of MiniRef's drawer to pretrain a backbone on, none of which any data set uses.

The layout is that of PASCAL VOC: JPEGImages/<number>.jpg, SegmentationObject/<number>.png with the
number of the object at each pixel (0: stuff), and things.json with what each object is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data_setup.miniref.draw import render
from data_setup.miniref.formats import write_json
from data_setup.miniref.scenes import compose, scene_seed
from data_setup.miniref.write import draw_once, run_jobs

VERSION = 1
SEED = 1  # MiniRef has seed 0, and no two pictures of different seeds are drawn from one scene
THINGS = "things.json"


@dataclass(frozen=True)
class Picture:
    """What a process needs to draw one picture."""

    folder: Path
    seed: int
    number: int


def draw_one(picture: Picture) -> list[dict]:
    """Write one picture and its objects' pixels; what each object is, in the pixels' order."""
    scene = compose(scene_seed(picture.seed, picture.number))
    image, masks = render(scene)
    image.save(picture.folder / "JPEGImages" / f"{picture.number:06d}.jpg", quality=90)
    objects = np.zeros((scene.height, scene.width), np.uint8)
    things = []
    for thing, mask in zip(scene.things, masks, strict=True):
        if thing.supercategory != "stuff":
            things.append({"category": thing.category, "colour": thing.colour or "none"})
            things[-1] |= dict(thing.attributes)
            objects[mask] = len(things)
    path = picture.folder / "SegmentationObject" / f"{picture.number:06d}.png"
    Image.fromarray(objects).save(path)
    return things


def write_minivoc(root: Path, pictures: int = 10_000, processes: int | None = None) -> bool:
    """Draw MiniVOC into `root`; False where it is there already.

    Raises RootTakenError where `root` holds something else.
    """
    marker = {"world": "MiniVOC", "version": VERSION, "pictures": pictures, "seed": SEED}

    def draw(folder: Path) -> None:
        for part in ("JPEGImages", "SegmentationObject"):
            (folder / part).mkdir()
        jobs = [Picture(folder, SEED, number) for number in range(1, pictures + 1)]
        write_json(folder / THINGS, run_jobs(draw_one, jobs, processes))

    return draw_once(root, marker, draw)
