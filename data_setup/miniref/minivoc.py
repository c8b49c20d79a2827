"""MiniVOC: pictures of MiniRef's drawer to pretrain a backbone on, none of which any data set uses.

The layout is that of PASCAL VOC: JPEGImages/<number>.jpg, SegmentationObject/<number>.png with the
number of the object at each pixel (0: stuff), and things.json with what each object is.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from data_setup.miniref.formats import write_json
from data_setup.miniref.picture import Job
from data_setup.miniref.write import draw_once, run_jobs

VERSION = 1
SEED = 1  # MiniRef has seed 0, and no two pictures of different seeds are drawn from one scene
THINGS = "things.json"


def draw_one(job: Job) -> list[dict]:
    """Write one picture and its objects' pixels; what each object is, in the pixels' order."""
    scene, masks, _ = job.draw(f"JPEGImages/{job.number:06d}.jpg")
    objects = np.zeros((scene.height, scene.width), np.uint8)
    things = []
    for thing, mask in zip(scene.things, masks, strict=True):
        if thing.supercategory != "stuff":
            about = {"category": thing.category, "colour": thing.colour or "none"}
            things.append(about | dict(thing.attributes))
            objects[mask] = len(things)
    Image.fromarray(objects).save(job.folder / "SegmentationObject" / f"{job.number:06d}.png")
    return things


def write_minivoc(root: Path, pictures: int = 10_000, processes: int | None = None) -> bool:
    """Draw MiniVOC into `root`; False where it is there already.

    Raises ValueError where `root` holds something else.
    """
    marker = {"world": "MiniVOC", "version": VERSION, "pictures": pictures, "seed": SEED}

    def draw(folder: Path) -> None:
        for part in ("JPEGImages", "SegmentationObject"):
            (folder / part).mkdir()
        jobs = [Job(folder, SEED, number) for number in range(1, pictures + 1)]
        write_json(folder / THINGS, run_jobs(draw_one, jobs, processes))

    return draw_once(root, marker, draw)
