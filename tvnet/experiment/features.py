"""What the frozen backbone sees: its maps of a batch, from disk or computed on the spot.

A frozen backbone gives the same maps in every epoch. On a CPU, reading them beats computing them;
on a GPU, and for large data, computing them does. Both ways answer the same call.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tvnet.data.dataset import Batch
from tvnet.data.images import BLANK, open_square, placement
from tvnet.data.refer import ReferData
from tvnet.model.backbone import Backbone

Maps = dict[str, Tensor]


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
    """The maps of every picture in one bfloat16 file, read through memory mapping."""

    pixels = False

    def __init__(self, backbone: Backbone, data: ReferData, size: int, path: Path):
        """Reads `path`, or computes and writes it first (about 10 ms a picture on one core)."""
        self.backbone = backbone
        self.ids = np.array([BLANK, *sorted(data.pictures)])
        with torch.no_grad():
            blank = torch.zeros(1, 3, size, size, dtype=torch.uint8)
            self.shapes = {name: V.shape[1:] for name, V in backbone(blank).items()}
        self.length = sum(shape.numel() for shape in self.shapes.values())
        if not path.is_file():
            self._write(backbone, data, size, path)
        shape = (len(self.ids), self.length)
        if path.stat().st_size != 2 * shape[0] * shape[1]:
            raise ValueError(f"The maps {path} are not whole: delete the file and run again.")
        self.rows = np.memmap(path, dtype=np.int16, mode="r", shape=shape)
        self.cells = torch.from_numpy(np.stack([valid_cells(data, i, size) for i in self.ids]))

    def _write(self, backbone: Backbone, data: ReferData, size: int, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        blocks = np.array_split(self.ids, max(1, len(self.ids) // 16))
        try:
            with open(part, "wb") as rows:
                for block in tqdm(blocks, desc="backbone", unit="batch"):
                    squares = np.stack([open_square(data, i, size) for i in block])
                    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2)
                    with torch.no_grad():
                        maps = backbone(pixels)
                    flat = [V.permute(0, 2, 3, 1).flatten(1) for V in maps.values()]
                    row = torch.cat(flat, 1).to(torch.bfloat16).view(torch.int16)
                    rows.write(row.numpy().tobytes())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _maps(self, image_ids: Tensor) -> tuple[Maps, np.ndarray]:
        at = np.searchsorted(self.ids, image_ids.cpu().numpy())
        rows = torch.from_numpy(self.rows[at]).view(torch.bfloat16).float()
        parts = rows.split([shape.numel() for shape in self.shapes.values()], dim=1)
        maps = {}
        for (name, (d, h, w)), part in zip(self.shapes.items(), parts, strict=True):
            # Stored with the channels last, the layout in which CPU convolutions are fastest.
            maps[name] = part.reshape(-1, h, w, d).permute(0, 3, 1, 2).to(image_ids.device)
        return maps, at

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        V_in, _ = self._maps(batch.image_id)
        if batch.similar_id is None:
            return V_in, None, None
        V_sim, at = self._maps(batch.similar_id)
        return V_in, V_sim, self.cells[at].to(batch.image_id.device)
