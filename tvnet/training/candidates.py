"""The annotated objects of each picture beside its maps: an oracle's candidates (D87)."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import Batch
from tvnet.data.records import ReferData
from tvnet.training.features import CachedFeatures, LiveFeatures, Maps

FEWEST = 6  # rows for objects: each has up to five neighbours


class WithCandidates:
    """Features whose maps also hold "objects" (B, J, S, S) bool, the masks of all that the data set
    refers to in the picture, and "categories" (B, J); rows without an object are 0."""

    def __init__(
        self, features: CachedFeatures | LiveFeatures, data: ReferData, cache: TrainingCache
    ):
        self.features, self.backbone, self.pixels = features, features.backbone, features.pixels
        self.cache = cache
        self.objects: dict[int, dict[int, int]] = defaultdict(dict)  # image -> {ann: category}
        for referent in data.referents:
            self.objects[referent.image_id][referent.ann_id] = referent.category_id
        self.rows = max(FEWEST, *map(len, self.objects.values()))

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        V_in, V_sim, valid = self.features(batch)
        size = self.cache.size
        objects = torch.zeros(len(batch.image_id), self.rows, size, size, dtype=torch.bool)
        categories = torch.zeros(len(objects), self.rows, dtype=torch.long)
        for b, image_id in enumerate(batch.image_id.tolist()):
            for k, (ann_id, category) in enumerate(self.objects[image_id].items()):
                objects[b, k] = torch.from_numpy(self.cache.target(ann_id))
                categories[b, k] = category
        there = {"objects": objects, "categories": categories}
        return V_in | {n: t.to(batch.words.device) for n, t in there.items()}, V_sim, valid
