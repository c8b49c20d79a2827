"""True masks: decoded from polygons, run lengths or MATLAB files, and kept as run lengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvnet.files import replacing

if TYPE_CHECKING:
    from tvnet.data.refer import ReferData


def decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Mask (height, width) bool of a COCO segmentation or of a ReferIt file (a Path).

    A segmentation is a list of polygons, a run-length dict, or a list of them; their parts are
    joined by union, so that overlaps make no holes. Everything is checked before pycocotools sees
    it, because that library trusts its input. Raises ValueError for malformed ones.
    """
    if isinstance(segmentation, Path):
        return _matlab(segmentation, height, width)
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if not parts:
        raise ValueError("Its segmentation is empty: it has no polygon and no run lengths.")
    mask = np.zeros((height, width), dtype=bool)
    polygons = [part for part in parts if not isinstance(part, dict)]
    for part in parts:
        if isinstance(part, dict):
            mask |= _run_lengths(part, height, width)
    if polygons:
        mask |= _polygons(polygons, height, width)
    return mask


def _polygons(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    for points in polygons:
        _check_polygon(points, height, width)
    from pycocotools import mask as coco

    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


def _check_polygon(points: Any, height: int, width: int) -> None:
    whole = isinstance(points, list) and all(type(x) in (int, float) for x in points)
    whole = whole and all(abs(x) < 1e300 for x in points)  # JSON knows whole numbers beyond floats
    flat = np.asarray(points, dtype=float) if whole else np.empty(0)
    if len(flat) < 6 or len(flat) % 2:
        count = len(points) if isinstance(points, list) else type(points).__name__
        raise ValueError(f"A polygon of {count} numbers is no list of three or more x, y pairs.")
    for name, values, side in (("x", flat[::2], width), ("y", flat[1::2], height)):
        # True polygons reach a little over the border; far ones crash pycocotools.
        if values.min() < -side or values.max() > 2 * side:
            raise ValueError(
                f"A polygon reaches from {name} = {values.min():g} to {values.max():g}, far "
                f"outside its {width}x{height} image."
            )


def _run_lengths(part: dict, height: int, width: int) -> np.ndarray:
    size, counts = part.get("size"), part.get("counts")
    if size not in ([height, width], (height, width)):
        raise ValueError(f"A run-length mask of size {size} is not {[height, width]}.")
    if isinstance(counts, str | bytes):
        counts = _unpack(counts)
    most = height * width
    if not isinstance(counts, list) or not all(type(n) is int and 0 <= n <= most for n in counts):
        raise ValueError(
            f"The counts of a run-length mask are not whole numbers from 0 to {most}: "
            f"{str(counts):.60}."
        )
    return from_counts(np.array(counts, dtype=np.int64), height, width)


def _unpack(text: str | bytes) -> list[int]:
    """COCO's compressed counts: five bits a character, each run stored against the last but one."""
    characters = text.encode() if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for byte in characters:
        byte -= 48
        if not 0 <= byte < 64 or shift > 60:
            raise ValueError("The compressed counts of a run-length mask are damaged.")
        value |= (byte & 31) << shift
        shift += 5
        if not byte & 32:
            if byte & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def from_counts(counts: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mask (height, width) of alternating runs of 0 and 1 in column order.

    Checked on every call: runs that do not fill the image would shift or invent pixels.
    """
    if counts.sum() != height * width or (counts < 0).any():
        raise ValueError(
            f"Run lengths that sum to {counts.sum()} do not fill a {width}x{height} image."
        )
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T


def to_counts(mask: np.ndarray) -> np.ndarray:
    """Alternating runs of 0 and 1 in column order, the inverse of `from_counts`."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges]))


def _matlab(path: Path, height: int, width: int) -> np.ndarray:
    """ReferIt's masks hold 0 where the referent IS."""
    from scipy.io import loadmat

    try:
        mask = np.asarray(loadmat(path)["segimg_t"] == 0)
    except Exception as error:  # scipy raises many kinds on damaged files
        raise ValueError(
            f"The mask {path} cannot be read ({error}): fetch or draw it again."
        ) from error
    if mask.shape != (height, width):
        raise ValueError(f"The mask {path} is {mask.shape}, its image {(height, width)}.")
    return mask


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
