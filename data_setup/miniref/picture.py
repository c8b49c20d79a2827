"""One picture of MiniRef from its number: the JPEG, its annotations and its expressions."""

import io
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from pycocotools import mask as coco

from data_setup.convert.folders import OPEN_PICTURES
from data_setup.miniref.draw import render
from data_setup.miniref.expressions import DIALECTS, describe
from data_setup.miniref.outlines import segment
from data_setup.miniref.scenes import Scene, compose, scene_seed
from data_setup.miniref.view import Sight, View

MIN_SHARE = 0.006  # of the picture: a smaller thing is annotated, but never a referent
MIN_WHOLE = 0.35  # of a thing that must be visible for it to be a referent
SMALL = 0.05  # of the picture, the paper's bound for a small referent
SMALL_ODDS = 0.36  # of taking a small one where there is a choice; there are few large ones
COCO_LIKE = ("unc", "unc+", "gref")
REFERIT_SENTENCES = 2


@dataclass(frozen=True)
class Job:
    """What a process needs to make one picture: nothing but its number and the world's seed."""

    folder: Path
    seed: int
    number: int  # also the image id

    def draw(self, name: str) -> tuple[Scene, list[np.ndarray], Random]:
        """Write the picture under a name in `folder`; its scene, its masks, and a generator."""
        scene = compose(scene_seed(self.seed, self.number))
        image, masks = render(scene)
        image.save(self.folder / name, "JPEG", quality=90)
        return scene, masks, Random(f"picture {self.number} of {self.seed}")


def coco_picture(job: Job) -> dict:
    """Write one COCO-like picture; its size, things (all but stuff) and referents as plain data."""
    name = f"COCO_train2014_{job.number:012d}.jpg"
    scene, masks, rng = job.draw(f"{OPEN_PICTURES}/{name}")
    view = View.of(scene, masks)
    things, place_of = [], {}
    for k, sight in enumerate(view.sights):
        if sight.is_stuff:
            continue
        segmentation, decoded = segment(masks[sight.index])
        place_of[k] = len(things)
        things.append(
            {
                "category": sight.thing.category,
                "bbox": coco.toBbox(decoded).tolist(),
                "area": int(coco.area(decoded)),
                "segmentation": segmentation,
            }
        )
    referents = []
    for k in _choose(view, [k for k in place_of if _eligible(view, k)], rng):
        texts = {}
        for dialect in COCO_LIKE:
            counts, shares = DIALECTS[dialect]["sentences"]
            found = describe(view, k, dialect, rng.choices(counts, shares)[0], rng)
            texts[dialect] = [{"raw": e.raw, "sent": e.sent} for e in found]
        referents.append(
            {
                "thing": place_of[k],
                "person": view.sights[k].is_person,
                "sentences": {d: found for d, found in texts.items() if len(found) >= 2},
            }
        )
    return {
        "id": job.number,
        "file_name": name,
        "width": view.width,
        "height": view.height,
        "things": things,
        "referents": referents,
    }


def referit_picture(job: Job) -> dict:
    """Write one ReferIt-like picture and the mask files of its regions, stuff among them."""
    scene, masks, rng = job.draw(f"referit/images/{job.number}.jpg")
    view = View.of(scene, masks)
    chosen = _choose(view, [k for k in range(len(view.sights)) if _eligible(view, k)], rng)
    stuff = [k for k, s in enumerate(view.sights) if s.is_stuff and _share(view, s) > 0.03]
    chosen += rng.sample(stuff, min(2, len(stuff)))
    regions = []
    for k in chosen:
        found = describe(view, k, "referit", REFERIT_SENTENCES, rng)
        if not found:
            continue
        key = f"{job.number}_{len(regions) + 1}"
        sight = view.sights[k]
        (job.folder / "referit/mask" / f"{key}.mat").write_bytes(mat_file(masks[sight.index]))
        x, y, width, height = sight.box
        box = [x, y, x + width - 1, y + height - 1]
        regions.append({"key": key, "box": box, "sentences": [e.raw for e in found]})
    return {"id": job.number, "width": view.width, "height": view.height, "regions": regions}


def mat_file(mask: np.ndarray) -> bytes:
    """A MATLAB file with `segimg_t`, 0 on the foreground of a bool mask (H, W) and 1 elsewhere."""
    from scipy.io import savemat

    data = io.BytesIO()
    savemat(data, {"segimg_t": (~mask).astype(np.uint8)}, do_compression=True)
    # savemat opens with the hour of writing: the same world must be the same bytes
    header = b"MATLAB 5.0 MAT-file, written by MiniRef".ljust(116)
    return header + data.getvalue()[116:]


def _share(view: View, sight: Sight) -> float:
    return sight.area / (view.width * view.height)


def _eligible(view: View, k: int) -> bool:
    sight = view.sights[k]
    return not sight.is_stuff and _share(view, sight) >= MIN_SHARE and sight.whole >= MIN_WHOLE


def _choose(view: View, eligible: list[int], rng: Random) -> list[int]:
    """Two to four referents, mostly of categories that occur twice or more, half of them small."""
    seen = [sight.thing.category for sight in view.sights]
    left, chosen = list(eligible), []
    for _ in range(rng.randint(2, 4)):
        small = [k for k in left if _share(view, view.sights[k]) < SMALL]
        large = [k for k in left if k not in small]
        pool = (small if rng.random() < SMALL_ODDS else large) or left
        if not pool:
            break
        k = rng.choices(pool, [4 if seen.count(seen[k]) > 1 else 1 for k in pool])[0]
        chosen.append(k)
        left.remove(k)
    return chosen
