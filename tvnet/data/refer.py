"""The reader of a data root: index/NAME.json, which data_setup has checked and written, and whether
it is the very MiniRef that a profile needs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from data_setup.pictures import MAX_PIXELS
from tvnet.data.records import Picture, ReferData, Referent, Sentence
from tvnet.files import read_json

NAMES = ("unc", "unc+", "gref", "referit")  # the paper's
FORMAT = "tvnet index 1"
AGAIN = "fetch or draw the data again"  # the next step of most errors below
VERSION = 2  # of the drawn world; a test holds it equal to the one that data_setup writes
MARKER = "miniref.json"  # beside every drawn world, and beside no other data
MAX_SIDE = 20_000  # pixels; a larger one is no picture of these data sets but a damaged index


def read(root: Path | str, name: str) -> ReferData:
    """Open "unc", "unc+", "gref", "referit", or a custom data set, under a data root.

    Reads the typed index that `data_setup` has checked and written. Raises FileNotFoundError when
    the root or its index is missing and ValueError when a name is unknown or an index damaged.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no data at {root}: draw the built-in world with "
            f"`python -m data_setup miniref --root {root}`."
        )
    path = root / "index" / f"{name}.json"
    if path.parent.parent == root and path.is_file():
        try:
            return _from_index(root, name, _load_index(path))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"The index {path} is damaged ({error}): {AGAIN}.") from error
    if name not in NAMES:
        raise ValueError(
            f"There is no data set '{name}' in {root}: choose unc, unc+, gref or referit, or make "
            "a custom one with `python -m data_setup own`."
        )
    raise FileNotFoundError(
        f"{path} is missing, so {root} holds no '{name}': draw the built-in world with `python -m "
        f"data_setup miniref --root {root}`, or fetch the true data with `python -m data_setup "
        f"fetch {name} --root {root}`."
    )


def _load_index(path: Path) -> dict:
    """The second line of an index, held against its hash in the first."""
    head, _, body = path.read_bytes().partition(b"\n")
    about = json.loads(head)
    if about["format"] != FORMAT:
        raise ValueError(f"its format is '{about['format']}', not '{FORMAT}'")
    if about["sha256"] != hashlib.sha256(body.removesuffix(b"\n")).hexdigest():
        raise ValueError("its content is not what was written")
    return json.loads(body)


def _from_index(root: Path, name: str, index: dict) -> ReferData:
    places = [root / place for place in index["pictures_in"]]
    images = next((place for place in places if place.is_dir()), places[-1])
    for path in [*places, *(images / file for _, file, _, _ in index["pictures"])]:
        if ".." in path.relative_to(root).parts:
            raise ValueError(f"'{path}' lies outside {root}")
    data = ReferData(
        name,
        {i: _picture(i, images / file, w, h) for i, file, w, h in index["pictures"]},
        tuple(
            Referent(*ids, split, tuple(Sentence(*sentence) for sentence in sentences))
            for *ids, split, sentences in index["referents"]
        ),
        {ann_id: segmentation for ann_id, _, segmentation in index["segmentations"]},
        dict(index["categories"]),
        root,
    )
    if lacking := data.image_of.keys() - data.segmentations.keys():
        raise ValueError(f"annotation {min(lacking)} has no segmentation")
    if lacking := set(data.image_of.values()) - data.pictures.keys():
        raise ValueError(f"image {min(lacking)} is not among its pictures")
    return data


def _picture(image_id: int, path: Path, width: int, height: int) -> Picture:
    """A Picture, its sides checked: none is trained on that could not be predicted on."""
    fits = 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE
    if not fits or width * height > MAX_PIXELS:
        raise ValueError(f"The index gives the picture {path} {width}x{height} pixels: {AGAIN}.")
    return Picture(image_id, path, width, height)


def require_world(root: Path | str, pictures: int, seed: int = 0) -> str:
    """How the world in `root` is called, e.g. "MiniRef (pictures 90, seed 0, version 1)".

    "" where `root` holds no drawn world. Raises ValueError, with both values and the command that
    mends it, where the world is another than the one of so many pictures and this seed.
    """
    root = Path(root)
    if not (root / MARKER).exists():
        return ""
    found = read_json(root / MARKER, dict, AGAIN)
    needed = {"pictures": pictures, "seed": seed, "version": VERSION}
    values = {key: found.get(key) for key in needed}
    if values != needed:
        raise ValueError(
            f"{root} holds {_called(values)} and {_called(needed)} is needed: remove this folder "
            f"or choose another, then draw the world with `python -m data_setup miniref --root "
            f"{root} --pictures {pictures} --seed {seed}`."
        )
    return _called(values)


def _called(values: dict[str, object]) -> str:
    return "MiniRef (" + ", ".join(f"{key} {value}" for key, value in values.items()) + ")"
