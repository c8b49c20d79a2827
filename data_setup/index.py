"""The typed index of a data set: one JSON file of checked values that everything later reads.

Two lines. The first is {"format": ..., "sha256": ...} of the second; the second holds

    name          of the data set
    made_from     file -> sha256 of what it was made from
    pictures_in   folders or zips below the data root, the first that is there is read
    pictures      [image_id, file_name, width, height]
    categories    [category_id, name]
    referents     [ref_id, ann_id, image_id, category_id, split, [[sent_id, sentence], ...]]
    segmentations [ann_id, iscrowd, COCO segmentation] of every annotation that is referred to

The same input gives the same bytes.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from data_setup.fetch.sources import IntegrityError
from data_setup.files import write_whole

FORMAT = "tvnet index 1"


@dataclass(frozen=True)
class Index:
    name: str
    made_from: dict[str, str]
    pictures_in: list[str]
    pictures: list[list]
    categories: list[list]
    referents: list[list]
    segmentations: list[list]

    def write(self, root: Path) -> None:
        """index/NAME.json of a data root, written under another name and renamed."""
        body = json.dumps(vars(self), separators=(",", ":")).encode()
        head = {"format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()}
        content = json.dumps(head).encode() + b"\n" + body + b"\n"
        write_whole(index_path(root, self.name), content)


def index_path(root: Path, name: str) -> Path:
    """Where the index of a set of a data root lies."""
    return root / "index" / f"{name}.json"


def indexed(root: Path) -> list[str]:
    """The names of the sets that a root has an index of."""
    return sorted(path.stem for path in (root / "index").glob("*.json"))


def read_index(root: Path, name: str) -> Index | None:
    """What `write` wrote; None where there is none of this format.

    Raises IntegrityError when a bit of it has changed.
    """
    path = index_path(root, name)
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    try:
        about = json.loads(head)
        if about["format"] != FORMAT:
            return None
        if about["sha256"] != hashlib.sha256(body.removesuffix(b"\n")).hexdigest():
            raise ValueError("its content is not what was written")
        return Index(**json.loads(body))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IntegrityError(f"The index {path} is damaged ({error}): remove it.") from error
