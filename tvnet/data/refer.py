"""The refer format: who is referred to, in which picture, with which sentences."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tvnet.data.masks import decode

# The paper's name -> (folder, file of referents); see also referit.py
FOLDERS = {
    "unc": ("refcoco", "refs(unc).p"),
    "unc+": ("refcoco+", "refs(unc).p"),
    "gref": ("refcocog", "refs(google).p"),
}
AGAIN = "fetch or draw the data again."  # the next step of most errors below
MAX_SIDE = 20_000  # pixels; a larger one is no picture of these data sets but a damaged index


@dataclass(frozen=True)
class Picture:
    image_id: int
    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class Sentence:
    sent_id: int
    text: str  # the field `sent`: lower case, no punctuation (D31)


@dataclass(frozen=True)
class Referent:
    ref_id: int
    ann_id: int
    image_id: int
    category_id: int
    split: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class Sample:
    """One sentence with what it refers to: the unit of training and of evaluation."""

    sent_id: int
    ref_id: int
    ann_id: int
    image_id: int
    category_id: int
    text: str


@dataclass
class ReferData:
    """One data set. Segmentations stay as they stand in the file until `mask` decodes them."""

    name: str
    pictures: dict[int, Picture]
    referents: tuple[Referent, ...]
    segmentations: dict[int, Any]
    categories: dict[int, str]

    @property
    def splits(self) -> list[str]:
        return sorted({referent.split for referent in self.referents})

    @cached_property
    def fingerprint(self) -> str:
        """Twelve digits that change with any sentence, split, mask or picture file.

        Files derived from the data carry them, so that none outlives the data it came from.
        """
        digest = hashlib.sha256()
        for r in self.referents:
            segmentation = self.segmentations[r.ann_id]
            if isinstance(segmentation, Path):
                segmentation = _name_and_size(segmentation)
            digest.update(f"{r}{segmentation}".encode())
        for picture in self.pictures.values():
            digest.update(_name_and_size(picture.path).encode())
        return digest.hexdigest()[:12]

    def missing_pictures(self) -> list[Path]:
        """Files that the index names and the disk does not hold."""
        return [p.path for p in self.pictures.values() if not p.path.is_file()]

    def samples(self, split: str) -> list[Sample]:
        """Every sentence of a split, in the order of the file."""
        if split not in self.splits:
            raise ValueError(
                f"{self.name} has no split '{split}': choose one of {', '.join(self.splits)}."
            )
        return [
            Sample(s.sent_id, r.ref_id, r.ann_id, r.image_id, r.category_id, s.text)
            for r in self.referents
            if r.split == split
            for s in r.sentences
        ]

    def mask(self, ann_id: int) -> np.ndarray:
        """The true mask (H, W) bool at the picture's size: the union of its parts.

        Raises ValueError, naming the annotation, when nothing refers to it or it is malformed.
        """
        if ann_id not in self.image_of:
            raise ValueError(f"{self.name} refers to no annotation {ann_id}.")
        picture = self.pictures[self.image_of[ann_id]]
        try:
            return decode(self.segmentations[ann_id], picture.height, picture.width)
        except ValueError as error:
            raise ValueError(f"Annotation {ann_id} of {self.name}: {error}") from error

    @cached_property
    def image_of(self) -> dict[int, int]:
        """annotation id -> image id, for every annotation that is referred to."""
        return {referent.ann_id: referent.image_id for referent in self.referents}


def _name_and_size(path: Path) -> str:
    """What stands for a file's content, without its folder: a data root may be moved."""
    return f"{path.name}:{path.stat().st_size if path.is_file() else -1}"


class _PlainUnpickler(pickle.Unpickler):
    """Builds lists, dicts, strings and numbers and nothing else: no file can run code here."""

    def find_class(self, module: str, name: str) -> None:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _load_referents(path: Path) -> list[dict]:
    try:
        with path.open("rb") as file:
            found = _PlainUnpickler(file, encoding="latin1").load()
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise pickle.UnpicklingError("it is not a list of dicts")
        return found
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(
            f"The referents in {path} cannot be read ({error}): the file is damaged or not what "
            f"its name says, {AGAIN}"
        ) from error


def load_json(path: Path) -> dict:
    """The object in a JSON file of a data root; ValueError naming the file when damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        return found
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {AGAIN}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The file {path} is damaged ({error}): {AGAIN}") from error


def read(root: Path | str, name: str) -> ReferData:
    """Open "unc", "unc+", "gref" or "referit" under a data root.

    Raises FileNotFoundError when the root or a file is missing and ValueError when a name is
    unknown, a file damaged, or an id dangling or double.
    """
    root = Path(root)
    if name != "referit" and name not in FOLDERS:
        raise ValueError(f"There is no data set '{name}': choose unc, unc+, gref or referit.")
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no data at {root}: draw the built-in world with "
            f"`python -m data_setup miniref --root {root}`."
        )
    if name == "referit":
        from tvnet.data.referit import read_referit

        return read_referit(root / "referit")
    folder, file = FOLDERS[name]
    for needed in (root / folder / "instances.json", root / folder / file):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing, so {root} holds no '{name}': {AGAIN}")
    index = load_json(root / folder / "instances.json")
    images = root / "images" / "mscoco" / "images" / "train2014"
    return assemble(name, index, _load_referents(root / folder / file), images)


def assemble(name: str, index: dict, entries: list[dict], images: Path) -> ReferData:
    """Join the index and the referents; every id must resolve, and stand once."""
    parts = {}
    for part in ("images", "annotations", "categories"):
        if not isinstance(index.get(part), list):
            raise ValueError(f"The index of {name} holds no list '{part}': {AGAIN}")
        parts[part] = _by_id(index[part], f"{part} of {name}")
    pictures = {i: _picture(image, images) for i, image in parts["images"].items()}
    annotations = parts["annotations"]
    referents = [_referent(entry) for entry in entries]
    for r in referents:
        annotation = annotations.get(r.ann_id)
        if annotation is None or annotation.get("image_id") != r.image_id:
            raise ValueError(
                f"Referent {r.ref_id} of {name} points to annotation {r.ann_id} in image "
                f"{r.image_id}, which the index does not hold: {AGAIN}"
            )
        if r.image_id not in pictures or r.category_id not in parts["categories"]:
            raise ValueError(
                f"Referent {r.ref_id} of {name} points to image {r.image_id} and category "
                f"{r.category_id}, of which the index does not hold both: {AGAIN}"
            )
    refuse_doubles((r.ref_id for r in referents), f"Referent {{}} of {name}")
    refuse_doubles((s.sent_id for r in referents for s in r.sentences), f"Sentence {{}} of {name}")
    return ReferData(
        name,
        pictures,
        tuple(referents),
        {r.ann_id: _field(annotations[r.ann_id], "segmentation", list | dict) for r in referents},
        {i: _field(category, "name", str) for i, category in parts["categories"].items()},
    )


def refuse_doubles(ids: Iterable[int], what: str) -> None:
    """ValueError when an id stands twice; `what` is the sentence's subject, {} for the id."""
    seen: set[int] = set()
    for i in ids:
        if i in seen:
            raise ValueError(f"{what.format(i)} stands twice: {AGAIN}")
        seen.add(i)


def _by_id(entries: list, what: str) -> dict[int, dict]:
    refuse_doubles((_field(entry, "id", int) for entry in entries), f"Id {{}} among the {what}")
    return {entry["id"]: entry for entry in entries}


def _field(entry: dict, key: str, kind: Any) -> Any:
    """entry[key], of the kind that the format promises."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"The entry {entry!r:.80} has no usable '{key}': {AGAIN}")
    return value


def _picture(image: dict, folder: Path) -> Picture:
    file_name = _field(image, "file_name", str)
    if Path(file_name).name != file_name or "\\" in file_name:
        raise ValueError(f"The picture name '{file_name}' is not a plain file name: {AGAIN}")
    return picture_of(
        image["id"], folder / file_name, _field(image, "width", int), _field(image, "height", int)
    )


def picture_of(image_id: int, path: Path, width: int, height: int) -> Picture:
    """A Picture, its sides checked."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"The index gives the picture {path} {width}x{height} pixels: {AGAIN}")
    return Picture(image_id, path, width, height)


def _referent(entry: dict) -> Referent:
    ids = (_field(entry, key, int) for key in ("ref_id", "ann_id", "image_id", "category_id"))
    sentences = tuple(
        Sentence(_field(s, "sent_id", int), _field(s, "sent", str))
        for s in _field(entry, "sentences", list)
    )
    return Referent(*ids, _field(entry, "split", str), sentences)
