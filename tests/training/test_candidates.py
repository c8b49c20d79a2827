"""The oracle's candidates are the masks of all that the data set refers to in a picture."""

import numpy as np
import torch

from tests.model.rivals.tiny import SMOKE
from tvnet.data.dataset import collate
from tvnet.model.method import build
from tvnet.rows import TABLE2, row_settings
from tvnet.training.candidates import WithCandidates
from tvnet.training.loop import logits_of

ROW = "MAttNet, true objects"


def test_every_referent_of_the_picture_is_a_candidate_and_the_choice_is_one_of_them(ready):
    chosen = row_settings(SMOKE, ROW)
    dataset = ready.dataset(chosen, "val")
    features = WithCandidates(ready.features, ready.data, ready.cache)
    batch = collate([dataset[i] for i in range(len(dataset))])
    V_in, _, _ = features(batch)
    assert V_in["objects"].shape == (len(dataset), 6, 96, 96)
    assert V_in["categories"].tolist() == [[1, 2, 0, 0, 0, 0]] * len(dataset)
    assert not V_in["objects"][:, 2:].any()
    for b, sample in enumerate(dataset.samples):
        own = V_in["objects"][b, sample.category_id - 1].numpy()
        assert np.array_equal(own, dataset.cache.target(sample.ann_id))
    torch.manual_seed(0)
    masks = logits_of(build(chosen, len(ready.vocabulary)).eval(), features, batch)[:, 0] > 0
    for b in range(len(dataset)):
        assert any(torch.equal(masks[b], one) for one in V_in["objects"][b, :2])
    assert ROW not in TABLE2
