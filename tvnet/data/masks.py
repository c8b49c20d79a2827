"""The true masks of a data set in one file, as run lengths: decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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

    A file that is damaged or was made from other data is refused.
    """
    sizes = {a: data.size_of(a) for a in data.image_of}
    if not path.is_file():
        runs = [to_counts(data.mask(ann_id)) for ann_id in sizes]
        with replacing(path) as part, open(part, "wb") as file:
            np.savez(
                file,
                ids=np.array(list(sizes)),
                sizes=np.array(list(sizes.values())),
                lengths=np.array([len(r) for r in runs]),
                counts=np.concatenate(runs).astype(np.int32),
            )
    try:
        with np.load(path, allow_pickle=False) as file:  # the zip inside carries checksums
            ids, pairs = file["ids"].tolist(), map(tuple, file["sizes"].tolist())
            runs = np.split(file["counts"], np.cumsum(file["lengths"])[:-1])
        found = MaskStore(dict(zip(ids, runs, strict=True)), dict(zip(ids, pairs, strict=True)))
    except Exception as error:  # a damaged zip may raise nearly anything
        raise ValueError(
            f"The masks in {path} cannot be read ({error}): delete the file, it will be made again."
        ) from error
    if found.sizes != sizes:
        raise ValueError(
            f"The masks in {path} were made from other data: delete the file, then it will be made "
            "again."
        )
    return found


def from_counts(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mask (height, width) of alternating runs of 0 and 1 in column order."""
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T


def to_counts(mask: np.ndarray) -> np.ndarray:
    """Alternating runs of 0 and 1 in column order, the inverse of `from_counts`."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges]))
