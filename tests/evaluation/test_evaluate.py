"""Counting on packed bits gives the very integers of the masks themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from tests.conftest import HEIGHT, WIDTH
from tvnet.data.images import placement
from tvnet.evaluation import evaluate as evaluation
from tvnet.model.tvnet import TVNet
from tvnet.rows import row_settings
from tvnet.settings import settings

# (size of the square, height, width): larger, smaller, tall, wide, odd, and 3:1, where weights are
# 0 on paper and a rounding error in floating point.
SHAPES = ((64, 96, 128), (64, 37, 91), (32, 96, 96), (96, 90, 33), (64, 64, 64), (32, 17, 300))


def dense(name, logits, place):
    return getattr(evaluation, name)(torch.from_numpy(logits)[None, None], place)


@pytest.mark.parametrize("name", ["clean", "parity"])
@pytest.mark.parametrize("size, height, width", SHAPES)
def test_bits_are_those_of_the_dense_mask(name, size, height, width):
    dice = np.random.default_rng(size + height)
    place = placement(height, width, size)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    disc = size / 5 - np.hypot(y - size / 2, x - size / 2)
    noise = dice.normal(size=(size, size)).astype(np.float32)
    empty, full = np.full((2, size, size), -1, np.float32) * [[[1]], [[-1]]]
    for logits in (disc, disc + noise, noise, empty, full):
        logits = logits.astype(np.float32)
        mask = dense(name, logits, place)
        packed = getattr(evaluation, f"{name}_bits")(logits, place)
        assert np.array_equal(packed, evaluation.pack(mask))
        assert evaluation.count(packed) == mask.sum()


@budget(max_examples=60, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from((16, 24, 40)), st.integers(0, 2**32),
    st.sampled_from((1.0, 1e-3, 1e-30)),
)  # fmt: skip
def test_any_picture_and_any_logits(height, width, size, seed, scale):
    dice = np.random.default_rng(seed)
    # Few different values: many means are exactly zero, or a rounding error away from it.
    logits = (scale * dice.integers(-2, 3, (size, size))).astype(np.float32)
    place = placement(height, width, size)
    for name in ("clean", "parity"):
        packed = getattr(evaluation, f"{name}_bits")(logits, place)
        assert np.array_equal(packed, evaluation.pack(dense(name, logits, place)))


def test_evaluation_counts_what_dense_masks_would(ready, monkeypatch):
    chosen = row_settings(settings("smoke"), "Baseline")
    dataset = ready.dataset(chosen, "val")
    torch.manual_seed(3)
    model = TVNet(chosen, len(ready.vocabulary))
    with torch.no_grad():
        model.head.score.weight.mul_(50)  # masks with a shape
    fast = evaluation.evaluate(model, dataset, ready.features)
    assert 0 < fast["clean"].intersection.sum() < fast["clean"].union.sum()
    assert set(fast["clean"].pixels.tolist()) == {HEIGHT * WIDTH}
    for name in ("clean", "parity"):

        def slowly(logits, place, name=name):
            return evaluation.pack(dense(name, logits, place))

        monkeypatch.setitem(evaluation.EVALUATORS, name, slowly)
    slow = evaluation.evaluate(model, dataset, ready.features)
    for name in ("clean", "parity"):
        for field in ("sent_id", "intersection", "union", "area", "pixels"):
            assert np.array_equal(getattr(fast[name], field), getattr(slow[name], field)), field
