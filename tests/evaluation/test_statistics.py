"""Differences between rows: what the interval covers, what a verdict says."""

import numpy as np
import pytest

from tvnet.evaluation.metrics import THRESHOLDS, PerSentence
from tvnet.evaluation.statistics import (
    FEWEST,
    Difference,
    Row,
    difference,
    holm,
    interval,
    verdict,
)

METRICS = (*(f"prec_{x}" for x in THRESHOLDS), "mean_iou", "overall_iou")


def rows(dice, effect=0.0, seeds=3, pictures=60, each=4, spread=0.0):
    """Two rows whose IoUs are 0..1000 of 1000 pixels, and the sentences' pictures.

    The second is better by `effect`; both depend on the picture and, by `spread`, on the seed.
    """
    images = np.repeat(np.arange(pictures), each)
    of_picture = dice.normal(0.5, 0.15, pictures)[images]
    made = []
    for shift in (0.0, effect):
        of_seed = dice.normal(0, spread, (seeds, 1))
        iou = of_picture + of_seed + shift + dice.normal(0, 0.1, (seeds, len(images)))
        inside = (1000 * iou.clip(0, 1)).astype(np.int64)
        made.append(Row(inside, np.full_like(inside, 1000)))
    return *made, images


@pytest.mark.parametrize("metric", METRICS)
def test_the_value_is_the_difference_of_the_figures(metric):
    first, second, images = rows(np.random.default_rng(1), effect=0.1)
    iou = [r.intersection / r.union for r in (first, second)]
    if metric.startswith("prec"):
        iou = [(x >= float(metric[5:])).astype(float) for x in iou]
    assert np.isclose(
        difference(first, second, images, metric, draws=20).value, 100 * (iou[1] - iou[0]).mean()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.02), (3, 0.06), (5, 0.03)])
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds, spread):
    dice = np.random.default_rng(7)
    inside = []
    for _ in range(400):
        first, second, images = rows(dice, effect=0.03, seeds=seeds, spread=spread)
        found = difference(first, second, images, "mean_iou", draws=300)
        inside.append(found.low <= 3.0 <= found.high)
    assert 0.92 <= np.mean(inside) <= 1.0


def test_pictures_and_not_sentences_are_what_is_drawn():
    """Ten sentences that all say the same are one piece of evidence."""
    dice = np.random.default_rng(3)
    first, second, images = rows(dice, pictures=40, each=1, seeds=1)
    once = difference(first, second, images, "mean_iou")
    first, second = (
        Row(r.intersection.repeat(10, 1), r.union.repeat(10, 1)) for r in (first, second)
    )
    ten = difference(first, second, images.repeat(10), "mean_iou")
    assert np.isclose(ten.high - ten.low, once.high - once.low, rtol=0.1)


def test_rows_that_agree_differ_by_nothing():
    first, _, images = rows(np.random.default_rng(0))
    found = difference(first, first, images, "prec_0.5")
    assert (found.low, found.high, found.p, found.detectable) == (0, 0, 1, 0)
    assert verdict(found, 0.5) == "smaller than 0.0"


def test_an_effect_that_every_picture_shows_is_the_surest_of_all():
    images, union = np.repeat(np.arange(60), 4), np.full((1, 240), 100)
    misses, hits = Row(np.full_like(union, 10), union), Row(np.full_like(union, 95), union)
    for metric in METRICS[0], "mean_iou", "overall_iou":
        found = difference(misses, hits, images, metric)
        assert found.p == 0 and found.low == found.high == found.value > 80
        assert verdict(found, None) == verdict(found, 3.0) == "holds"


@pytest.mark.parametrize("pictures", [1, 2, FEWEST - 1])
def test_few_pictures_decide_nothing(pictures):
    first, second, images = rows(np.random.default_rng(5), effect=0.2, pictures=pictures)
    found = difference(first, second, images, "mean_iou")
    assert found.value > 10 and (found.low, found.high, found.p) == (-100, 100, 1)
    assert verdict(found, None) == verdict(found, 3.0) == "undecided"
    inside, union = second.intersection[0], second.union[0]
    found = PerSentence(np.arange(len(images)), inside, union, inside, union)
    assert np.isnan(interval(found, images, "mean_iou")).all()


@pytest.mark.slow
def test_no_difference_is_seldom_taken_for_one_where_pictures_are_just_enough():
    dice = np.random.default_rng(11)
    wrong = []
    for _ in range(400):
        first, second, images = rows(dice, seeds=1, pictures=FEWEST, each=1)
        wrong.append(difference(first, second, images, "mean_iou", draws=300).p < 0.05)
    assert np.mean(wrong) < 0.09


def test_a_threshold_is_met_exactly():
    images, tie = np.array([0, 1]), np.array([[6, 6]])
    at, below = Row(tie, np.array([[10, 10]])), Row(tie, np.array([[11, 11]]))
    assert difference(below, at, images, "prec_0.6", draws=5).value == 100


@pytest.mark.parametrize(
    ("low", "high", "p", "paper", "says"),
    [
        (0.2, 2.0, 0.01, 1.0, "holds"),
        (-2.0, -0.2, 0.01, 1.0, "opposite"),
        (-0.4, 0.3, 0.8, 0.5, "smaller than 0.4"),
        (-0.4, 0.9, 0.4, 0.5, "undecided"),
    ],
)
def test_a_verdict_speaks_of_the_paper(low, high, p, paper, says):
    found = Difference((low + high) / 2, low, high, p, 1.0, 3)
    assert verdict(found, paper) == says
    if p < 0.05:  # a corrected p decides
        assert verdict(found, paper, 0.2) in ("undecided", "smaller than 2.0")


def test_holm_corrects_for_the_number_of_tests():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
