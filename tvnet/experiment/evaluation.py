"""Two evaluators over every sentence of a split: `clean`, the default, and prior `parity`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tvnet import process_group
from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.images import Placement, crop_and_resize, placement, resize_and_crop
from tvnet.experiment import bits
from tvnet.experiment.features import CachedFeatures, LiveFeatures
from tvnet.experiment.metrics import PerSentence
from tvnet.experiment.training import logits_of
from tvnet.model.method import Method


def clean(logits: Tensor, place: Placement) -> np.ndarray:
    """Cut the padding off the logits (1, 1, S, S), resize them to the image, threshold at 0."""
    return (crop_and_resize(logits, place) > 0)[0, 0].cpu().numpy()


def parity(logits: Tensor, place: Placement) -> np.ndarray:
    """CMPC's protocol: threshold first, resize the binary map, and count every pixel
    that the bilinear resize touches. It dilates the mask by up to one cell of the square."""
    binary = (logits >= 1e-9).float()
    return (resize_and_crop(binary, place) > 0)[0, 0].cpu().numpy()


EVALUATORS = {"clean": bits.clean, "parity": bits.parity}  # the same masks, much faster


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
            truth = bits.pack(dataset.masks.mask(sample.ann_id))
            area = bits.count(truth)
            if not area:
                raise ValueError(
                    f"The true mask of referent {sample.ref_id} is empty: evaluation needs the "
                    "complete annotations, check the data root."
                )
            place = placement(picture.height, picture.width, logits.shape[-1])
            for name, evaluator in EVALUATORS.items():
                mask = evaluator(logits[k, 0], place)
                both = bits.count(mask & truth)
                either = bits.count(mask) + area - both
                pixels = picture.height * picture.width
                rows[name].append((sample.sent_id, both, either, area, pixels))
    return {
        name: PerSentence(*np.array(found, dtype=np.int64).reshape(-1, 5).T)
        for name, found in process_group.gather(rows).items()
    }
