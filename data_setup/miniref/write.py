"""Writes the world: a data root with the layout and the formats of RefCOCO, +, g and ReferIt."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from data_setup.convert.folders import SETS, index_folders
from data_setup.index import index_path
from data_setup.miniref.formats import VERSION, write_json, write_refer, write_referit
from data_setup.miniref.picture import IMAGES, Job, coco_picture, referit_picture
from data_setup.miniref.splits import gref_splits, is_referit, kept_in, unc_split

MARKER = "miniref.json"
MIN_PICTURES = 30  # fewer cannot fill every split of ReferIt
GREF_REFERENTS = ((1, 2, 3), (0.3, 0.5, 0.2))  # a picture's number of G-Ref referents, its shares


class RootTakenError(ValueError):
    """The folder already holds something that is not this world."""


def write(root: Path, pictures: int = 2000, seed: int = 0, processes: int | None = None) -> bool:
    """Draw the world into `root`; False where the same world is there already.

    Written beside `root` first and renamed at the end. The bytes depend on `pictures` and `seed`
    alone. Raises ValueError for too few pictures or a negative seed, RootTakenError where `root`
    holds something else.
    """
    if pictures < MIN_PICTURES:
        raise ValueError(
            f"{pictures} pictures cannot fill every split: ask for at least {MIN_PICTURES}."
        )
    if seed < 0:
        raise ValueError(f"The seed {seed} is negative: give 0 or a positive number.")
    marker = {"world": "MiniRef", "version": VERSION, "pictures": pictures, "seed": seed}

    def draw(folder: Path) -> None:
        for part in (IMAGES, "refcoco", "refcoco+", "refcocog", "referit/images", "referit/mask"):
            (folder / part).mkdir(parents=True)
        _write_world(folder, pictures, seed, processes)
        index_folders(folder)

    drawn = draw_once(root, marker, draw)
    if not all(index_path(root, name).is_file() for name in SETS):  # an older one
        index_folders(root)
    return drawn


def draw_once(root: Path, marker: dict, draw: Callable[[Path], None]) -> bool:
    """Draw into a folder beside `root` that takes its name when it is complete.

    False where `root` holds the world of this marker already; RootTakenError where it holds
    anything else.
    """
    if _holds(root, marker):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as beside:
        folder = Path(beside) / "world"
        folder.mkdir()
        draw(folder)
        write_json(folder / MARKER, marker)
        if root.exists():
            root.rmdir()  # it is empty
        os.replace(folder, root)
    return True


def _holds(root: Path, marker: dict) -> bool:
    """Whether `root` holds this very world; RootTakenError if it holds anything else."""
    world = marker["world"]
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    advice = "choose another --root or remove it first."
    try:
        found = dict(json.loads((root / MARKER).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise RootTakenError(
            f"{root} already holds something that is not {world}: {advice}"
        ) from None
    if found != marker:
        listed = ", ".join(f"{key} {found.get(key)}" for key in ("pictures", "seed", "version"))
        kind = found.get("world")
        raise RootTakenError(f"{root} already holds another {kind} ({listed}): {advice}")
    return True


def _write_world(folder: Path, pictures: int, seed: int, processes: int | None) -> None:
    jobs = [Job(folder, seed, number) for number in range(1, pictures + 1)]
    coco_like = [job for job in jobs if not is_referit(job.number)]
    drawn = _numbered(run_jobs(coco_picture, coco_like, processes))
    regions = run_jobs(referit_picture, [job for job in jobs if is_referit(job.number)], processes)
    unc = [
        (picture, referent, split)
        for picture in drawn
        for split in [unc_split(picture["id"], picture["referents"])]
        for referent in kept_in(split, picture["referents"])
    ]
    filled = {split for _, _, split in unc}
    if lacking := {"train", "val", "testA", "testB"} - filled:
        raise ValueError(
            f"{pictures} pictures of seed {seed} leave {' and '.join(sorted(lacking))} of unc "
            "empty: ask for more pictures or another seed."
        )
    for dialect, name in (("unc", "refcoco"), ("unc+", "refcoco+")):
        write_refer(folder / name, "unc", dialect, drawn, unc)
    gref = [chosen for picture in drawn for chosen in _gref_chosen(picture, seed)]
    write_refer(folder / "refcocog", "google", "gref", drawn, gref)
    write_referit(folder / "referit", regions)


def run_jobs(work: Callable, jobs: list, processes: int | None) -> list:
    """The jobs' results in order. Spawned processes, so that every platform does the same."""
    processes = min(processes or os.cpu_count() or 1, max(1, len(jobs) // 20))
    if processes == 1:
        return [work(job) for job in jobs]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return list(pool.imap(work, jobs, chunksize=10))


def _numbered(drawn: list[dict]) -> list[dict]:
    """The pictures with an annotation id for each thing, the same in all three data sets."""
    next_id = 1
    for picture in drawn:
        for thing in picture["things"]:
            thing["id"] = next_id
            next_id += 1
    return drawn


def _gref_chosen(picture: dict, seed: int) -> list[tuple[dict, dict, str]]:
    counts, shares = GREF_REFERENTS
    count = Random(f"G-Ref of picture {picture['id']} of {seed}").choices(counts, shares)[0]
    referents = [r for r in picture["referents"] if "gref" in r["sentences"]][:count]
    splits = gref_splits(picture["id"], referents)
    return [(picture, *chosen) for chosen in zip(referents, splits, strict=True)]
