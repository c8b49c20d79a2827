"""The data set of notebook 07 that has a bug. Look for the bug there before you read this file."""

from __future__ import annotations

from tvnet.data.dataset import ReferDataset


class Planted:
    """A data set like the given one, with one mistake in it."""

    def __init__(self, healthy: ReferDataset):
        self.healthy = healthy
        self.vocabulary, self.samples = healthy.vocabulary, healthy.samples

    def __len__(self) -> int:
        return len(self.healthy)

    def __getitem__(self, i: int) -> dict:
        following = self.healthy[(i + 1) % len(self)]
        return self.healthy[i] | {"mask": following["mask"]}
