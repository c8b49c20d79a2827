"""Two evaluators over every sentence of a split: `clean`, the default, and prior `parity`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tvnet import process_group
from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.images import Placement, crop_and_resize, placement, resize_and_crop
from tvnet.evaluation.metrics import PerSentence
from tvnet.model.method import Method
from tvnet.training.features import CachedFeatures, LiveFeatures
from tvnet.training.loop import logits_of

# Times the largest of four logits: more than float32 rounds off their mean, in whatever order.
SURE = 1e-6


def clean(logits: Tensor, place: Placement) -> np.ndarray:
    """Cut the padding off the logits (1, 1, S, S), resize them to the image, threshold at 0."""
    return (crop_and_resize(logits, place) > 0)[0, 0].cpu().numpy()


def parity(logits: Tensor, place: Placement) -> np.ndarray:
    """CMPC's protocol: threshold first, resize the binary map, and count every pixel
    that the bilinear resize touches. It dilates the mask by up to one cell of the square."""
    binary = (logits >= 1e-9).float()
    return (resize_and_crop(binary, place) > 0)[0, 0].cpu().numpy()


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


def clean_bits(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `clean` from logits (S, S) float32."""
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


def parity_bits(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `parity`: every pixel that a positive cell has a share in."""
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


EVALUATORS = {"clean": clean_bits, "parity": parity_bits}


@torch.no_grad()
def evaluate(
    model: Method,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    batch_size: int = 16,
    device: str = "cpu",
    refine: Callable[[Batch, Tensor], Tensor] | None = None,
) -> dict[str, PerSentence]:
    """{"clean": PerSentence, "parity": PerSentence} at the images' original sizes (D34).

    With `refine`, say crf.DenseCRF, the logits that it makes of a batch's are evaluated instead.
    Raises ValueError naming the referent when a true mask is empty: IoU would not be defined.
    """
    model.to(device).eval()
    features.backbone.to(device)
    rows: dict[str, list[tuple[int, ...]]] = {name: [] for name in EVALUATORS}
    rank, world = process_group.rank_and_size()
    mine = range(rank, len(dataset), world)
    for start in range(0, len(mine), batch_size):
        some = mine[start : start + batch_size]
        batch = collate([dataset.inputs(i) for i in some]).to(device)
        logits = logits_of(model, features, batch)
        logits = (refine(batch, logits) if refine else logits).cpu().numpy()
        for k, i in enumerate(some):
            sample = dataset.samples[i]
            picture = dataset.data.pictures[sample.image_id]
            truth = pack(dataset.masks.mask(sample.ann_id))
            area = count(truth)
            if not area:
                raise ValueError(
                    f"The true mask of referent {sample.ref_id} is empty: evaluation needs the "
                    "complete annotations, check the data root."
                )
            place = placement(picture.height, picture.width, logits.shape[-1])
            for name, evaluator in EVALUATORS.items():
                mask = evaluator(logits[k, 0], place)
                both = count(mask & truth)
                either = count(mask) + area - both
                pixels = picture.height * picture.width
                rows[name].append((sample.sent_id, both, either, area, pixels))
    return {
        name: PerSentence(*np.array(found, dtype=np.int64).reshape(-1, 5).T)
        for name, found in process_group.gather(rows).items()
    }
