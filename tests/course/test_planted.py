"""The bug of notebook 07 is there, and nothing but the mask shows it."""

import torch

from tvnet.course.planted import Planted
from tvnet.settings import settings


def test_only_the_mask_is_another_items(ready):
    healthy = ready.dataset(settings("smoke"), "train")
    planted = Planted(healthy)
    assert len(planted) == len(healthy) and planted.samples is healthy.samples
    for i in (0, len(healthy) - 1):
        wanted, item = healthy[i], planted[i]
        assert all(torch.equal(item[name], wanted[name]) for name in wanted.keys() - {"mask"})
        assert torch.equal(item["mask"], healthy[(i + 1) % len(healthy)]["mask"])
