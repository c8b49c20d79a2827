"""Writes the world: a data root with the layout and the formats of RefCOCO, +, g and ReferIt."""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from data_setup.contact import ROWS, samples, write_contact_sheet
from data_setup.convert.folders import FOLDERS, OPEN_PICTURES, index_folders
from data_setup.index import indexed, read_index
from data_setup.miniref.formats import VERSION, write_json, write_refer, write_referit
from data_setup.miniref.picture import Job, coco_picture, referit_picture
from data_setup.miniref.splits import gref_splits, is_referit, kept_in, unc_split

MARKER = "miniref.json"
MIN_PICTURES = 30  # fewer cannot fill every split of ReferIt
SHEET = {"UNC": "unc", "UNC+": "unc+", "G-Ref": "gref", "ReferIt": "referit"}  # its columns
GREF_REFERENTS = ((1, 2, 3), (0.3, 0.5, 0.2))  # a picture's number of G-Ref referents, its shares


def write(root: Path, pictures: int = 2000, seed: int = 0, processes: int | None = None) -> bool:
    """Draw the world into `root`; False where the same world is there already.

    Written beside `root` first and renamed at the end. The bytes depend on `pictures` and `seed`
    alone. Raises ValueError for too few pictures, a negative seed, or where `root` holds anything
    else.
    """
    if pictures < MIN_PICTURES:
        raise ValueError(
            f"{pictures} pictures cannot fill every split: ask for at least {MIN_PICTURES}."
        )
    if seed < 0:
        raise ValueError(f"The seed {seed} is negative: give 0 or a positive number.")
    marker = {"world": "MiniRef", "version": VERSION, "pictures": pictures, "seed": seed}

    def draw(folder: Path) -> None:
        sets = ("refcoco", "refcoco+", "refcocog", "referit/images", "referit/mask")
        for part in (OPEN_PICTURES, *sets):
            (folder / part).mkdir(parents=True)
        _write_world(folder, pictures, seed, processes)
        index_folders(folder)

    drawn = draw_once(root, marker, draw)
    if not {*FOLDERS, "referit"} <= set(indexed(root)):  # an older one, or somebody removed them
        index_folders(root)
    return drawn


def draw_once(root: Path, marker: dict, draw: Callable[[Path], None]) -> bool:
    """Draw into a folder beside `root` that takes its name when it is complete.

    False where `root` holds the world of this marker already; ValueError where it holds
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
    """Whether `root` holds this very world; ValueError if it holds anything else."""
    world = marker["world"]
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    advice = "choose another --root or remove it first."
    try:
        found = dict(json.loads((root / MARKER).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise ValueError(f"{root} already holds something that is not {world}: {advice}") from None
    if found != marker:
        listed = ", ".join(f"{key} {found.get(key)}" for key in ("pictures", "seed", "version"))
        raise ValueError(f"{root} already holds another {found.get('world')} ({listed}): {advice}")
    return True


def _write_world(folder: Path, pictures: int, seed: int, processes: int | None) -> None:
    jobs = [Job(folder, seed, number) for number in range(1, pictures + 1)]
    coco_like = [job for job in jobs if not is_referit(job.number)]
    drawn = run_jobs(coco_picture, coco_like, processes)
    for number, thing in enumerate((t for picture in drawn for t in picture["things"]), start=1):
        thing["id"] = number  # of its annotation, the same in all three data sets
    regions = run_jobs(referit_picture, [job for job in jobs if is_referit(job.number)], processes)
    unc = []
    for picture in drawn:
        split = unc_split(picture["id"], picture["referents"])
        unc += [(picture, referent, split) for referent in kept_in(split, picture["referents"])]
    filled = {split for _, _, split in unc}
    if lacking := {"train", "val", "testA", "testB"} - filled:
        raise ValueError(
            f"{pictures} pictures of seed {seed} leave {' and '.join(sorted(lacking))} of unc "
            "empty: ask for more pictures or another seed."
        )
    for dialect, name in (("unc", "refcoco"), ("unc+", "refcoco+")):
        write_refer(folder / name, "unc", dialect, drawn, unc)
    gref = []
    for picture in drawn:
        count = Random(f"G-Ref of picture {picture['id']} of {seed}").choices(*GREF_REFERENTS)[0]
        taken = [r for r in picture["referents"] if "gref" in r["sentences"]][:count]
        splits = gref_splits(picture["id"], taken)
        gref += [(picture, *pair) for pair in zip(taken, splits, strict=True)]
    write_refer(folder / "refcocog", "google", "gref", drawn, gref)
    write_referit(folder / "referit", regions)


def run_jobs(work: Callable, jobs: list, processes: int | None) -> list:
    """The jobs' results in order. Spawned processes, so that every platform does the same."""
    processes = min(processes or os.cpu_count() or 1, max(1, len(jobs) // 20))
    if processes == 1:
        return [work(job) for job in jobs]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return list(pool.imap(work, jobs, chunksize=10))


def write_sheet(root: Path, out: Path) -> None:
    """Draw 4 x 6 samples of the world in `root`, a column for each dialect, into a PNG file.

    Raises FileNotFoundError where there is no world.
    """
    rng, columns = Random(0), []
    for title, name in SHEET.items():
        index = read_index(root, name)
        if index is None:
            raise FileNotFoundError(
                f"There is no MiniRef in {root}: draw it with "
                f"`python -m data_setup miniref --root {root}`."
            )
        rows = rng.sample(index.referents, min(ROWS, len(index.referents)))
        columns.append((title, samples(root, index, rows)))
    write_contact_sheet(out, columns)
