"""The true masks of a data set in one file, as run lengths: decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.data.records import ReferData


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
        arrays = {
            "ids": np.array(list(sizes)),
            "sizes": np.array(list(sizes.values())),
            "lengths": np.array([len(r) for r in runs]),
            "counts": np.concatenate(runs).astype(np.int32),
        }
        save_arrays(path, arrays, {})
    try:
        arrays, _ = load_arrays(path)
        ids, pairs = arrays["ids"].tolist(), map(tuple, arrays["sizes"].tolist())
        runs = np.split(arrays["counts"], np.cumsum(arrays["lengths"])[:-1])
        found = MaskStore(dict(zip(ids, runs, strict=True)), dict(zip(ids, pairs, strict=True)))
    except (KeyError, ValueError) as error:
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
