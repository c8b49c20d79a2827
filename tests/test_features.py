"""Maps from disk are the maps that the backbone computes: Table 1 may read either."""

import numpy as np
import pytest
import torch

from tvnet.data.dataset import ReferDataset, collate
from tvnet.data.images import BLANK
from tvnet.experiment.features import CachedFeatures, LiveFeatures
from tvnet.settings import settings

SIZE = settings("smoke").data.size


@pytest.fixture(scope="module")
def both(ready, tmp_path_factory):
    """The two ways to the maps of one backbone."""
    live = LiveFeatures(ready.features.backbone, ready.data, SIZE)
    path = tmp_path_factory.mktemp("maps") / "maps.bf16"
    return live, CachedFeatures(live.backbone, ready.data, SIZE, path)


def batch_of(ready, neighbours, similar=None):
    chosen = settings("smoke")
    dataset = ReferDataset(
        ready.data, "train", ready.vocabulary, SIZE, chosen.data.max_words, ready.masks, neighbours
    )
    batch = collate([dataset[i] for i in range(6)])
    if similar is not None:
        batch.similar_id[:] = similar
        batch.similar[:] = 0
    return batch


@pytest.mark.parametrize("similar", [None, BLANK])
def test_maps_from_disk_are_those_that_are_computed(ready, both, similar):
    batch = batch_of(ready, ready.neighbours, similar)
    (V_in, V_sim, valid), (V_in_disk, V_sim_disk, valid_disk) = (f(batch) for f in both)
    assert valid is not None and torch.equal(valid, valid_disk)
    assert valid.all() == (similar == BLANK)  # these pictures have padding, a black square none
    for computed, read, names in ((V_in, V_in_disk, "2345"), (V_sim, V_sim_disk, "345")):
        for name in (f"V{n}" for n in names):
            kept = computed[name].bfloat16().float()  # as they lie on disk
            assert read[name].dtype == torch.float32
            np.testing.assert_allclose(read[name], kept, rtol=2**-7, atol=1e-4)


def test_without_a_retrieved_image_neither_gives_one(ready, both):
    batch = batch_of(ready, neighbours=None)
    for features in both:
        V_in, V_sim, valid = features(batch)
        assert V_sim is None and valid is None and set(V_in) == {"V2", "V3", "V4", "V5"}
