"""The annotated objects of each picture beside its maps: an oracle's candidates (D87)."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from tvnet.data.dataset import Batch
from tvnet.data.images import mask_target
from tvnet.data.masks import MaskStore
from tvnet.data.records import ReferData
from tvnet.training.features import CachedFeatures, LiveFeatures, Maps

FEWEST = 6  # rows for objects: each has up to five neighbours


class WithCandidates:
    """Features whose maps also hold "objects" (B, J, S, S) bool, the masks of all that the data set
    refers to in the picture, and "categories" (B, J); rows without an object are 0."""

    def __init__(
        self, features: CachedFeatures | LiveFeatures, data: ReferData, masks: MaskStore, size: int
    ):
        self.features, self.backbone, self.pixels = features, features.backbone, features.pixels
        self.masks, self.size = masks, size
        self.objects: dict[int, dict[int, int]] = defaultdict(dict)  # image -> {ann: category}
        for referent in data.referents:
            self.objects[referent.image_id][referent.ann_id] = referent.category_id
        self.rows = max(FEWEST, *map(len, self.objects.values()))
        self._packed: dict[int, np.ndarray] = {}  # by annotation, eight pixels a byte

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        V_in, V_sim, valid = self.features(batch)
        objects = torch.zeros(
            len(batch.image_id), self.rows, self.size, self.size, dtype=torch.bool
        )
        categories = torch.zeros(len(objects), self.rows, dtype=torch.long)
        for b, image_id in enumerate(batch.image_id.tolist()):
            for k, (ann_id, category) in enumerate(self.objects[image_id].items()):
                objects[b, k], categories[b, k] = self._mask(ann_id), category
        there = {"objects": objects, "categories": categories}
        return V_in | {n: t.to(batch.words.device) for n, t in there.items()}, V_sim, valid

    def _mask(self, ann_id: int) -> Tensor:
        if ann_id not in self._packed:
            self._packed[ann_id] = np.packbits(mask_target(self.masks.mask(ann_id), self.size))
        bits = np.unpackbits(self._packed[ann_id], count=self.size**2)
        return torch.from_numpy(bits.reshape(self.size, self.size)).bool()
