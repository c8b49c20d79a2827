"""Two evaluators over every sentence of a split: `clean`, the default, and prior `parity`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tvnet import process_group
from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.images import Placement, crop_and_resize, placement, resize_and_crop
from tvnet.data.records import ReferData
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


# The same on packed bits, several times faster. A resized value is a mean of four cells: where all
# four have one sign, that is its sign. Only along the border of a mask must values be computed.
# Bits lie in column order, eight rows a byte, as run lengths do.


def _axis(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells of which each pixel of an axis is a mean, and the second one's weight: read
    off what the resizer makes of an identity, so that they are its own to the last bit."""
    touched = matrix > 0
    first = touched.argmax(1)
    second = matrix.shape[1] - 1 - touched[:, ::-1].argmax(1)
    weight = np.where(second > first, matrix[np.arange(len(matrix)), second], 0)
    return first, second, weight.astype(np.float32)


@lru_cache(maxsize=256)
def _axes(place: Placement, resize: Callable[[Tensor, Placement], Tensor]) -> list[tuple]:
    """Rows and columns of a picture, as cells of the padded square."""
    ramp = torch.eye(place.size)
    down, right = ramp[:, None, :, None], ramp[:, None, None, :]  # one cell further along one axis
    rows = resize(down.expand(-1, -1, -1, place.size), place)[:, 0, :, place.width // 2]
    columns = resize(right.expand(-1, -1, place.size, -1), place)[:, 0, place.height // 2]
    return [_axis(rows.T.numpy()), _axis(columns.T.numpy())]


def _combine(cells: np.ndarray, axes: list[tuple], how: np.ufunc) -> np.ndarray:
    """Packed pixels (W, ceil(H / 8)): the cells (S, S) bool that each touches, combined."""
    (top, bottom, _), (left, right, _) = axes
    packed = np.packbits(cells, axis=1)
    tall = np.unpackbits(how(packed[top], packed[bottom]), axis=1)
    turned = np.packbits(np.ascontiguousarray(tall.T), axis=1)
    return how(turned[left], turned[right])


def clean_bits(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `clean` from logits (S, S) float32."""
    rows, columns = axes = _axes(place, crop_and_resize)
    some, every = (_combine(logits > 0, axes, how) for how in (np.bitwise_or, np.bitwise_and))
    mixed = some ^ every
    x, byte = np.divmod(np.flatnonzero(mixed != 0), mixed.shape[1])
    unsure = np.unpackbits(mixed[x, byte][:, None], axis=1)
    n, bit = np.nonzero(unsure)
    top, bottom, v = (values[8 * byte[n] + bit] for values in rows)
    left, right, h = (values[x[n]] for values in columns)
    a, b, c, d = (logits[y, x] for y in (top, bottom) for x in (left, right))
    value = (1 - v) * ((1 - h) * a + h * b) + v * ((1 - h) * c + h * d)
    if (np.abs(value) <= SURE * np.abs([a, b, c, d]).max(0)).any():
        return pack(clean(torch.from_numpy(logits)[None, None], place))
    unsure[n, bit] = value > 0
    every[x, byte] |= np.packbits(unsure, axis=1)[:, 0]
    return every


def parity_bits(logits: np.ndarray, place: Placement) -> np.ndarray:
    """The bits of `parity`: every pixel that a positive cell has a share in."""
    return _combine(logits >= 1e-9, _axes(place, resize_and_crop), np.bitwise_or)


def pack(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (W, ceil(H / 8)) bytes."""
    return np.packbits(mask.T, axis=1)


def count(bits: np.ndarray) -> int:
    """How many are set."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


EVALUATORS = {"clean": clean_bits, "parity": parity_bits}


@torch.no_grad()
def evaluate(
    model: Method,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    batch_size: int = 16,
    device: str = "cpu",
    refine: Callable[[ReferData, Batch, Tensor], Tensor] | None = None,
) -> dict[str, PerSentence]:
    """{"clean": PerSentence, "parity": PerSentence} at the images' original sizes (D34).

    With `refine`, say crf.refine_batch, the logits that it makes of a batch are evaluated.
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
        logits = (refine(dataset.data, batch, logits) if refine else logits).cpu().numpy()
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
