"""Padded pictures and training targets on disk, computed once: reading one is a copy of its bytes.

Rows lie in blocks, one file each, which ends in the hash of its rows. A block is written whole or
not at all, so an interrupted run continues with the next one, and processes that share a folder
share what is there. The folder's name is a hash of everything that the bytes depend on: for other
inputs there is simply no cache yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import PIL
from tqdm import tqdm

from tvnet.data.images import BLANK, mask_target, open_square
from tvnet.data.masks import MaskStore
from tvnet.data.records import ReferData
from tvnet.files import replacing
from tvnet.settings import fingerprint

VERSION = 2  # raise it when the same pictures give other bytes
ROWS = 256  # of a block: 79 MB of pictures at 320 x 320
DIGEST = 32  # bytes at the end of a block: the sha256 of the rest


class Blocks:
    """Rows of equal length by their ids."""

    def __init__(
        self,
        folder: Path,
        ids: Iterable[int],
        length: int,
        make: Callable[[list[int]], Iterable[np.ndarray]],
    ):
        """Computes with `make`, ids -> their rows of `length` bytes, what the folder lacks yet."""
        self.folder, self.ids, self.length = folder, sorted(ids), length
        self.at = {key: k for k, key in enumerate(self.ids)}
        self._open: dict[int, np.ndarray] = {}
        folder.mkdir(parents=True, exist_ok=True)
        due = [k for k in range(-(-len(self.ids) // ROWS)) if not self._path(k).is_file()]
        for k in tqdm(due, desc=folder.name, unit="block", disable=not due):
            rows = b"".join(row.tobytes() for row in make(self.ids[k * ROWS : (k + 1) * ROWS]))
            with replacing(self._path(k)) as part:
                part.write_bytes(rows + hashlib.sha256(rows).digest())

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:05d}.rows"

    def _block(self, k: int) -> np.ndarray:
        """The rows of a block, (n, length) uint8; its bytes are checked when it is first opened."""
        if k not in self._open:
            n = min(ROWS, len(self.ids) - k * ROWS)
            whole = self._path(k).stat().st_size == n * self.length + DIGEST
            found = np.memmap(self._path(k), dtype=np.uint8, mode="r") if whole else np.empty(0)
            rows = found[:-DIGEST]
            if not whole or hashlib.sha256(rows).digest() != found[-DIGEST:].tobytes():
                raise ValueError(
                    f"The cached rows in {self._path(k)} are damaged: delete the file, it will be "
                    "made again."
                )
            # a plain view: each index into a memmap would make another memmap, which is slow
            self._open[k] = rows.view(np.ndarray).reshape(n, self.length)
        return self._open[k]

    def __getitem__(self, key: int) -> np.ndarray:
        """(length,) uint8, to be read only."""
        at = self.at[key]
        return self._block(at // ROWS)[at % ROWS]


class TrainingCache:
    """The targets of a data set's referents and, with `pixels`, the padded squares of its pictures.

    `masks` are those at the pictures' own size.
    """

    def __init__(
        self, data: ReferData, size: int, masks: MaskStore, folder: Path, pixels: bool = True
    ):
        """Opens the cache of these inputs under `folder`, or completes it first."""
        self.size, self.masks, self.squares = size, masks, None
        about = {"data": data.fingerprint, "size": size, "version": VERSION}
        key = fingerprint(about | {"pillow": PIL.__version__})
        inside = folder / f"training-{data.name}-{size}-{key}"
        if pixels:
            self.squares = Blocks(
                inside / "pictures",
                data.pictures,
                size * size * 3,
                lambda ids: (open_square(data, image_id, size) for image_id in ids),
            )
        self.targets = Blocks(
            inside / "masks",
            data.image_of,
            -(-size * size // 8),
            lambda ids: (np.packbits(mask_target(masks.mask(ann_id), size)) for ann_id in ids),
        )

    def square(self, image_id: int) -> np.ndarray:
        """(S, S, 3) uint8 of a picture, black for BLANK: the pixels of `open_square`."""
        if image_id == BLANK:
            return np.zeros((self.size, self.size, 3), dtype=np.uint8)
        return self.squares[image_id].copy().reshape(self.size, self.size, 3)

    def target(self, ann_id: int) -> np.ndarray:
        """(S, S) bool training target of a referent, kept at eight pixels a byte."""
        bits = np.unpackbits(self.targets[ann_id], count=self.size**2)
        return bits.view(bool).reshape(self.size, self.size)
