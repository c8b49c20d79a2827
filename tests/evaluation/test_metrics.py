"""Metrics by hand: what counts, what a threshold is, and where a size bin begins."""

import math

import numpy as np
import pytest

from tvnet.evaluation.metrics import BINS, PerSentence, counters, figures


def found(*rows):
    """rows: (intersection, union, area, pixels)."""
    numbers = np.array(rows, dtype=np.int64)
    return PerSentence(np.arange(len(rows)), *numbers.T)


def test_overall_and_mean_iou_by_hand():
    table = figures(counters(found((50, 100, 60, 1000), (9, 10, 10, 1000))))
    assert table["overall_iou"] == pytest.approx(100 * 59 / 110)
    assert table["mean_iou"] == pytest.approx(100 * (0.5 + 0.9) / 2)
    assert [table[f"prec_{x}"] for x in (0.5, 0.6, 0.7, 0.8, 0.9)] == [100, 50, 50, 50, 50]


def test_a_threshold_counts_what_reaches_it_exactly():
    """0.7 is not a binary fraction: 7 / 10 must still reach it, and 699 / 1000 must not."""
    rows = [(k, 10, 10, 100) for k in (5, 6, 7, 8, 9)] + [(699, 1000, 700, 10000)]
    assert counters(found(*rows))["hits"] == [6, 5, 3, 2, 1]


@pytest.mark.parametrize(
    "area, size_bin",
    [(0, "small"), (49, "small"), (50, "medium"), (99, "medium"), (100, "big"), (1000, "big")],
)
def test_bins_at_exactly_five_and_ten_per_cent(area, size_bin):
    one = found((1, 2, area, 1000))
    assert [b for b in BINS if len(one.within(b).sent_id)] == ["all", size_bin]


def test_bins_split_all_without_rest():
    rng = np.random.default_rng(0)
    many = found(*((1, 2, int(a), 1000) for a in rng.integers(1, 1001, 200)))
    parts = [counters(many.within(b)) for b in ("small", "medium", "big")]
    whole = counters(many)
    for key in ("n", "intersection", "union"):
        assert sum(part[key] for part in parts) == whole[key]


def test_an_empty_bin_is_not_a_zero():
    empty = figures(counters(found((1, 2, 500, 1000)).within("small")))
    assert all(math.isnan(value) for value in empty.values())
