"""ReferIt as Hu packed it: query lists, sizes, and one MATLAB mask a region -> the typed index."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

import numpy as np

from data_setup.convert.annotations import finished, json_object
from data_setup.convert.members import tar_members
from data_setup.convert.segmentations import run_lengths
from data_setup.convert.unpickle import MOST_TEXT, limit
from data_setup.convert.validate import MAX_SIDE, Findings, clean
from data_setup.fetch.sources import ContentError, DataSet
from data_setup.index import Index

SPLITS = ("trainval", "test")  # what the paper trains and tests on
SIZES = "referit_imsize.json"
QUERIES = {f"referit_query_{split}.json": split for split in SPLITS}
MOST = 50_000_000  # bytes of one member
TOTAL = 20_000_000_000  # bytes of the whole archive, unpacked
MOST_PIXELS = 25_000_000
MEMORY, SECONDS = 4 << 30, 3600  # what may be taken to read all masks


def from_tar(chosen: DataSet, root: Path) -> Index:
    """The index of a set whose annotations are Hu's archive. Raises ContentError."""
    archive = chosen.sources[0].path(root)
    findings = Findings()
    members = tar_members(archive, MOST, TOTAL)
    with apart() as read:
        index = lists_index(chosen.name, members, archive.name, findings, read)
    return finished(index, chosen, root, archive.name, findings)


@contextmanager
def apart() -> Iterator[Callable[[bytes], dict | str]]:
    """A reader of masks in a separate process: scipy trusts its input, and one wrong byte may
    crash it or take any memory.

    After a crash it reads on with a new process.
    """
    spawn = get_context("spawn")
    workers: list[ProcessPoolExecutor] = []

    def read(content: bytes) -> dict | str:
        if not workers:
            limits = (MEMORY, SECONDS)
            workers.append(ProcessPoolExecutor(1, spawn, initializer=limit, initargs=limits))
        try:
            return workers[-1].submit(_mask, content).result()
        except BrokenProcessPool:
            workers.pop().shutdown()
            return "cannot be read (its reader crashes)"

    try:
        yield read
    finally:
        for worker in workers:
            worker.shutdown()


def folder_members(folder: Path) -> Iterable[tuple[str, bytes]]:
    """The same files where they lie open."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".mat", ".json"):
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def lists_index(
    name: str,
    members: Iterable[tuple[str, bytes]],
    file: str,
    findings: Findings,
    read: Callable[[bytes], dict | str] | None = None,
) -> Index:
    """Join lists and masks, which may come in any order. `read` reads a mask: see `apart`.

    A region "38685_1" lies in image 38685.jpg and its annotation id is 38685001; referents and
    sentences have no ids in the files and are numbered from 0 in the order of their keys.
    """
    lists, masks = {}, {}
    for member, content in members:
        base = PurePosixPath(member).name
        if base == SIZES or base in QUERIES:
            known, key, found = lists, base, json_object(content, base)
        elif base.endswith(".mat"):
            known, key, found = masks, base.removesuffix(".mat"), (read or _mask)(content)
        else:
            continue
        if known.setdefault(key, found) != found:
            findings.problem(base, f"{member!r:.80}", "is there twice, and differs")
    missing = [base for base in (SIZES, *QUERIES) if base not in lists]
    if missing:
        raise ContentError(f"{file} holds no {', no '.join(missing)}: it is not the one it seems.")
    pictures = _pictures(lists[SIZES], findings)
    referents, segmentations, sentence = [], {}, 0
    for base, split in QUERIES.items():
        for key, texts in sorted(lists[base].items()):
            ann_id = _region(key, texts, pictures, masks, base, findings)
            if ann_id is None:
                continue
            if ann_id in segmentations:
                findings.problem(base, f"region {key}", "stands twice")
                continue
            numbered = [[sentence + n, text] for n, text in enumerate(texts)]
            clean(numbered, base, findings)
            sentence += len(texts)
            segmentations[ann_id] = [ann_id, 0, masks[key]]
            referents.append([len(referents), ann_id, ann_id // 1000, 0, split, numbered])
    shown = list(pictures.values())
    rows = list(segmentations.values())
    return Index(name, {}, [], shown, [[0, "region"]], referents, rows)


def _pictures(sizes: dict, findings: Findings) -> dict[int, list]:
    found = {}
    for name, size in sizes.items():
        number = re.fullmatch(r"(\d{1,9})\.jpg", name)
        whole = isinstance(size, list) and [type(side) for side in size] == [int, int]
        if not number or not whole or not all(1 <= side <= MAX_SIDE for side in size):
            findings.problem(SIZES, f"{name!r:.40}", f"has the size {size!r:.40}")
        else:
            found[int(number[1])] = [int(number[1]), name, *size]
    return found


def _region(
    key: str, texts: object, pictures: dict, masks: dict, base: str, findings: Findings
) -> int | None:
    """The annotation id of a usable region; None, with a finding, of another."""
    found = re.fullmatch(r"(\d{1,9})_(\d{1,3})", key)
    whole = isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts)
    if not found or not whole or max(map(len, texts)) > MOST_TEXT:
        findings.problem(base, f"{key!r:.40}", "is no region with its texts")
        return None
    image_id, region = int(found[1]), int(found[2])
    if image_id not in pictures:
        findings.problem(base, f"region {key}", f"lies in image {image_id}, which {SIZES} lacks")
        return None
    _, _, width, height = pictures[image_id]
    mask = masks.get(key, "is missing")
    if isinstance(mask, dict) and mask["size"] != [height, width]:
        mask = f"is {mask['size']}, its image {[height, width]}"
    if isinstance(mask, str):
        findings.problem(f"{key}.mat", f"region {key}", f"has a mask that {mask}")
        return None
    return image_id * 1000 + region


def _mask(content: bytes) -> dict | str:
    """Run lengths of a MATLAB mask, which holds 0 where the referent IS; or what is wrong."""
    from scipy.io import loadmat, whosmat

    try:
        shapes = {name: shape for name, shape, _ in whosmat(io.BytesIO(content))}
        if np.prod(shapes["segimg_t"], dtype=float) > MOST_PIXELS:
            return f"has the shape {shapes['segimg_t']}"
        values = loadmat(io.BytesIO(content), variable_names=["segimg_t"])["segimg_t"]
        values = np.asarray(values)  # a sparse one becomes an object
        if values.ndim != 2 or values.dtype.kind not in "buif":
            return f"holds {values.ndim} dimensions of {values.dtype}"
    except Exception as error:  # scipy raises many kinds on damaged files
        return f"cannot be read ({error!r:.80})"
    inside = values == 0
    return run_lengths(inside) if inside.any() else "is empty: it holds no 0"
