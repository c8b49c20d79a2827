"""The true masks of a data set in one file, as run lengths: decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tvnet.data.masks import from_counts, to_counts
from tvnet.data.records import ReferData
from tvnet.files import replacing


class MaskStore:
    """Masks by annotation id, held as run lengths: small in memory and free of pycocotools."""

    def __init__(self, runs: dict[int, np.ndarray], sizes: dict[int, tuple[int, int]]):
        self.runs, self.sizes = runs, sizes

    def mask(self, ann_id: int) -> np.ndarray:
        """The true mask (H, W) bool at the picture's size."""
        if ann_id not in self.runs:
            raise ValueError(f"The mask store holds no annotation {ann_id}.")
        return from_counts(self.runs[ann_id], *self.sizes[ann_id])


def store(data: ReferData, path: Path) -> MaskStore:
    """The run lengths of every referent's mask: read from `path`, or decoded and written there.

    Decoding needs pycocotools; a machine that only trains needs just the file. A file that is
    damaged or was made from other data is refused.
    """
    if not path.is_file():
        _write(data, path)
    try:
        with np.load(path, allow_pickle=False) as file:  # the zip inside carries checksums
            ids, sizes, lengths, counts = (
                file[name] for name in ("ids", "sizes", "lengths", "counts")
            )
        keys = ids.tolist()
        pairs = map(tuple, sizes.tolist())
        found = MaskStore(
            dict(zip(keys, np.split(counts, np.cumsum(lengths)[:-1]), strict=True)),
            dict(zip(keys, pairs, strict=True)),
        )
    except Exception as error:  # a damaged zip may raise nearly anything
        raise ValueError(
            f"The masks in {path} cannot be read ({error}): delete the file, it will be made again."
        ) from error
    if found.sizes != _sizes(data):
        raise ValueError(
            f"The masks in {path} were made from other data: delete the file, then it will be made "
            "again."
        )
    return found


def _sizes(data: ReferData) -> dict[int, tuple[int, int]]:
    """annotation id -> (height, width) of its picture."""
    pictures = {a: data.pictures[image_id] for a, image_id in data.image_of.items()}
    return {a: (picture.height, picture.width) for a, picture in pictures.items()}


def _write(data: ReferData, path: Path) -> None:
    sizes = _sizes(data)
    try:
        runs = [to_counts(data.mask(ann_id)) for ann_id in sizes]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Decoding masks needs {error.name}, which is not installed: install it, or bring "
            f"{path} from a machine that has it.",
            name=error.name,
        ) from error
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(
            file,
            ids=np.array(list(sizes)),
            sizes=np.array(list(sizes.values())),
            lengths=np.array([len(r) for r in runs]),
            counts=np.concatenate(runs).astype(np.int32),
        )
