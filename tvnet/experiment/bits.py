"""The two evaluators on packed bits: the same integers as `clean` and `parity`, many times faster.

A resized value is a mean of four cells. Where all four have one sign, that is its sign, so bits
decide; only along the border of a mask must values be computed. Bits lie in column order, eight
rows a byte, as run lengths do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from tvnet.data.images import Placement, crop_and_resize, resize_and_crop

# Times the largest of four logits: more than float32 rounds off their mean, in whatever order.
SURE = 1e-6


@dataclass(frozen=True)
class Axis:
    """Which two cells each pixel of one axis is a mean of, and the second one's weight."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray


def _axis(matrix: np.ndarray) -> Axis:
    """Reads them off what the resizer makes of an identity: its own weights, to the last bit."""
    touched = matrix > 0
    first = touched.argmax(1)
    second = matrix.shape[1] - 1 - touched[:, ::-1].argmax(1)
    weight = np.where(second > first, matrix[np.arange(len(matrix)), second], 0)
    return Axis(first, second, weight.astype(np.float32))


@lru_cache(maxsize=256)
def _axes(place: Placement, parity: bool) -> tuple[Axis, Axis]:
    """Rows and columns of a picture, as cells of the padded square."""
    resize = resize_and_crop if parity else crop_and_resize
    ramp = torch.eye(place.size)
    down, right = ramp[:, None, :, None], ramp[:, None, None, :]  # one cell on, along one axis
    across = (-1, -1, place.size, place.size)
    rows = resize(down.expand(across), place)[:, 0, :, place.width // 2]
    columns = resize(right.expand(across), place)[:, 0, place.height // 2]
    return _axis(rows.T.numpy()), _axis(columns.T.numpy())


def pack(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (W, ceil(H / 8)) bytes."""
    return np.packbits(mask.T, axis=1)


def clean(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `evaluation.clean` from logits (S, S) float32."""
    rows, columns = _axes(place, False)
    positive = logits > 0
    some, every = (
        _combine(positive, rows, columns, how) for how in (np.bitwise_or, np.bitwise_and)
    )
    mixed = some ^ every
    x, byte = np.divmod(np.flatnonzero(mixed != 0), mixed.shape[1])
    unsure = np.unpackbits(mixed[x, byte][:, None], axis=1)
    n, bit = np.nonzero(unsure)
    x_n, y_n = x[n], 8 * byte[n] + bit
    top, bottom, v = rows.first[y_n], rows.second[y_n], rows.weight[y_n]
    left, right, h = columns.first[x_n], columns.second[x_n], columns.weight[x_n]
    a, b, c, d = (logits[y, x] for y in (top, bottom) for x in (left, right))
    value = (1 - v) * ((1 - h) * a + h * b) + v * ((1 - h) * c + h * d)
    if (np.abs(value) <= SURE * np.abs([a, b, c, d]).max(0)).any():
        whole = crop_and_resize(torch.from_numpy(logits)[None, None], place)
        return pack((whole > 0)[0, 0].numpy())
    unsure[n, bit] = value > 0
    every[x, byte] |= np.packbits(unsure, axis=1)[:, 0]
    return every


def parity(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `evaluation.parity`: every pixel that a positive cell has a share in."""
    return _combine(logits >= 1e-9, *_axes(place, True), np.bitwise_or)


def _combine(cells: np.ndarray, rows: Axis, columns: Axis, how: np.ufunc) -> np.ndarray:
    """Packed pixels (W, ceil(H / 8)): the cells (S, S) bool that each touches, combined."""
    wide = np.packbits(cells, axis=1)
    packed = np.zeros((8 * wide.shape[1], -(-len(rows.first) // 8)), np.uint8)
    used = np.flatnonzero(wide.any(0))
    if len(used):  # a referent is small: only columns with something in them are turned
        wide = np.ascontiguousarray(wide[:, used[0] : used[-1] + 1])
        tall = np.unpackbits(how(wide[rows.first], wide[rows.second]), axis=1)
        turned = np.packbits(np.ascontiguousarray(tall.T), axis=1)
        packed[8 * used[0] : 8 * used[-1] + 8] = turned
    return how(packed[columns.first], packed[columns.second])


def count(bits: np.ndarray) -> int:
    """How many are set; eight bytes at a time."""
    flat = bits.ravel()
    whole = len(flat) // 8 * 8
    words, rest = flat[:whole].view(np.uint64), flat[whole:]
    return int(np.bitwise_count(words).sum()) + int(np.bitwise_count(rest).sum())
