"""What the frozen backbone sees: its maps of a batch, from disk or computed on the spot.

A frozen backbone gives the same maps in every epoch. On a CPU, reading them beats computing them;
on a GPU, and for large data, computing them does. Both ways answer the same call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from tvnet.data.cache import VERSION, Blocks
from tvnet.data.dataset import Batch
from tvnet.data.images import BLANK, open_square, placement
from tvnet.data.records import ReferData
from tvnet.model.backbone import Backbone
from tvnet.model.method import Maps
from tvnet.settings import fingerprint

BATCH = 16  # pictures that the backbone sees at once while their maps are made


def valid_cells(data: ReferData, image_id: int, size: int) -> np.ndarray:
    """(S/8, S/8) bool: cells of the padded square that hold picture; all of them for BLANK (D6)."""
    side = -(-size // 8)
    cells = np.zeros((side, side), dtype=bool)
    if image_id == BLANK:
        return ~cells
    picture = data.pictures[image_id]
    place = placement(picture.height, picture.width, size)
    cells[place.inner_cells] = True
    return cells


def digest(backbone: Backbone) -> str:
    """The sha256 of all that its maps depend on: its pooling, and its tensors by name."""
    found = hashlib.sha256(backbone.pool.encode())
    for name, tensor in backbone.state_dict().items():
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class LiveFeatures:
    """Runs the siamese backbone on the pixels of each batch, with gradients where it is trained."""

    pixels = True  # the data set must deliver images

    def __init__(self, backbone: Backbone, data: ReferData, size: int):
        self.backbone, self.data, self.size = backbone, data, size

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        if batch.similar is None:
            return self.backbone(batch.image), None, None
        pixels = torch.cat([batch.image, batch.similar])
        ids = torch.cat([batch.image_id, batch.similar_id])
        # Both branches in one batch, and a picture that occurs twice in it only once.
        different, place = ids.unique(return_inverse=True)
        first = torch.full_like(different, len(ids)).scatter_reduce(
            0, place, torch.arange(len(ids), device=ids.device), "amin"
        )
        maps = self.backbone(pixels[first])
        n = len(batch.image)
        V_in = {name: V[place[:n]] for name, V in maps.items()}
        V_sim = {name: V[place[n:]] for name, V in maps.items() if name != "V2"}
        cells = [valid_cells(self.data, i, self.size) for i in batch.similar_id.tolist()]
        return V_in, V_sim, torch.from_numpy(np.stack(cells)).to(batch.image.device)


class CachedFeatures:
    """The maps of every picture on disk in bfloat16, read through memory mapping.

    The folder's name is a hash of all that they depend on, down to the backbone's own numbers.
    """

    pixels = False

    def __init__(self, backbone: Backbone, data: ReferData, size: int, folder: Path):
        """Opens those of these inputs under `folder`, or completes them first (about 10 ms a
        picture on one core).

        Raises ValueError naming the file, when it is first read, whose content is not what was
        written.
        """
        self.backbone = backbone
        self.ids = np.array([BLANK, *sorted(data.pictures)])
        with torch.no_grad():
            blank = torch.zeros(1, 3, size, size, dtype=torch.uint8)
            self.shapes = {name: V.shape[1:] for name, V in backbone(blank).items()}
        length = 2 * sum(shape.numel() for shape in self.shapes.values())
        about = {"data": data.fingerprint, "size": size, "backbone": digest(backbone)}
        key = fingerprint(about | {"version": VERSION, "pillow": PIL.__version__})
        inside = folder / f"maps-{data.name}-{key}"
        self.rows = Blocks(inside, self.ids.tolist(), length, partial(self._make, data, size))
        self.cells = torch.from_numpy(np.stack([valid_cells(data, i, size) for i in self.ids]))

    def _make(self, data: ReferData, size: int, ids: list[int]) -> Iterator[np.ndarray]:
        """The rows of pictures, a few at a time."""
        for some in (ids[k : k + BATCH] for k in range(0, len(ids), BATCH)):
            squares = np.stack([open_square(data, i, size) for i in some])
            with torch.no_grad():
                maps = self.backbone(torch.from_numpy(squares).permute(0, 3, 1, 2))
            flat = [V.permute(0, 2, 3, 1).flatten(1) for V in maps.values()]
            yield from torch.cat(flat, 1).to(torch.bfloat16).view(torch.uint8).numpy()

    def _maps(self, image_ids: Tensor) -> Maps:
        rows = torch.from_numpy(np.stack([self.rows[i] for i in image_ids.tolist()]))
        rows = rows.view(torch.bfloat16).float()
        parts = rows.split([shape.numel() for shape in self.shapes.values()], dim=1)
        maps = {}
        for (name, (d, h, w)), part in zip(self.shapes.items(), parts, strict=True):
            # Stored with the channels last, the layout in which CPU convolutions are fastest.
            maps[name] = part.reshape(-1, h, w, d).permute(0, 3, 1, 2).to(image_ids.device)
        return maps

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        V_in = self._maps(batch.image_id)
        if batch.similar_id is None:
            return V_in, None, None
        at = np.searchsorted(self.ids, batch.similar_id.cpu().numpy())
        return V_in, self._maps(batch.similar_id), self.cells[at].to(batch.image_id.device)
