"""Which sentences a step sees: a pure function of seed, step, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from tvnet.data.dataset import Batch, ReferDataset, collate


def epoch_order(sentences: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch's sentences, as positions (N,): fresh and random (D42)."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(sentences)


def share_equally(size: int, world: int) -> None:
    """Raises ValueError when `world` processes cannot take as many of `size` sentences each."""
    if size % world:
        raise ValueError(
            f"A batch of {size} cannot be shared by {world} processes: set training.batch to a "
            f"multiple of {world}."
        )


def batches(
    dataset: ReferDataset,
    size: int,
    seed: int,
    first: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of steps first, first + 1, ...

    Every epoch has a fresh order; sentences that do not fill a last batch wait for the next one.
    share = (rank, world): of each batch, this process takes every world-th sentence. Raises
    ValueError when the batch cannot be shared equally.
    """
    rank, world = share
    share_equally(size, world)
    per_epoch = max(1, len(dataset) // size)
    epoch, order = -1, np.empty(0)
    for step in count(first):
        if epoch != step // per_epoch:
            epoch = step // per_epoch
            order = epoch_order(len(dataset), seed, epoch)
        start = step % per_epoch * size
        yield collate([dataset[int(i)] for i in order[start : start + size][rank::world]])
