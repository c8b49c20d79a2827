"""What the shipped models find for their examples, and the rules that choose among these.

A `View` (tvnet.course.explorer.view) holds one sentence with its picture, its truth and all that
the models compute. No sentence of a figure is picked by hand.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import torch

from tvnet.course.explorer.canvas import cell_at, legacy
from tvnet.course.explorer.view import Predictors, View, known_query, look, shipped_examples
from tvnet.data.records import Sample
from tvnet.model.method import build
from tvnet.prediction import Prediction, iou
from tvnet.predictor import Predictor, load
from tvnet.rows import BEST

BEFORE = "Baseline+RES"  # the model without AMF
FOUND = 0.5  # the IoU from which on a referent counts as found, as in Prec@0.5


def with_and_without_amf() -> dict[str, Predictor]:
    """The shipped models that differ in AMF alone; the full one stands last."""
    best = load(BEST)
    return {BEFORE: load(BEFORE, retriever=best.retriever), BEST: best}


def example_views(predictors: Predictors) -> list[View]:
    """The examples that were chosen by rule when the shipped model was trained."""
    data = list(predictors.values())[-1].retriever.data
    return [
        look(predictors, known_query(predictors, example.image_id), example.text)
        for example in shipped_examples(data)
    ]


def untrained(predictor: Predictor, seed: int = 0) -> Predictor:
    """The same network with fresh weights."""
    torch.manual_seed(seed)
    fresh = build(predictor.model.settings, len(predictor.vocabulary)).eval()
    return Predictor(fresh, predictor.vocabulary, predictor.retriever)


def found_ones(views: list[View]) -> list[View]:
    """Those whose referent the full model finds; all of them where it finds none.

    Half of the examples are there because the model fails on them: they would only show that a
    mask lies on the wrong thing.
    """
    return [view for view in views if view.iou(view.rows[BEST]) >= FOUND] or views


def differ_most(views: list[View]) -> list[View]:
    """Of the found ones the two whose masks differ in most pixels with A2 and with A2 = 0."""

    def changed(view: View) -> float:
        return float((view.closed ^ view.prediction.mask).mean())

    return sorted(found_ones(views), key=changed, reverse=True)[:2]


def median_gain(views: list[View]) -> View:
    """Of the found ones the one with the median gain in IoU from BEFORE to BEST, the higher of
    two."""
    order = sorted(found_ones(views), key=lambda v: v.iou(v.rows[BEST]) - v.iou(v.rows[BEFORE]))
    return order[len(order) // 2]


def best_pair(predictor: Predictor) -> tuple[View, View]:
    """Two sentences about one picture that mean two things of one category.

    Among the pictures of the shipped examples it is the pair whose worse mask has the highest IoU:
    the best case, and a figure that shows it should say so.
    """
    predictors, data = {BEST: predictor}, predictor.retriever.data
    images = {example.image_id for example in shipped_examples(data)}
    things: dict[tuple[int, int], list[Sample]] = defaultdict(list)
    for sample in data.samples("val"):
        if sample.image_id in images:
            things[sample.image_id, sample.category_id].append(sample)
    best, chosen = -1.0, None
    for (image_id, _), samples in things.items():
        if len({sample.ann_id for sample in samples}) < 2:
            continue
        query = known_query(predictors, image_id)
        found = predictor.sentences(query.encoded, [sample.text for sample in samples])
        pairs = zip(samples, found, strict=True)
        scored = [(s, iou(prediction.mask, data.mask(s.ann_id))) for s, prediction in pairs]
        for (a, of_a), (b, of_b) in combinations(scored, 2):
            if a.ann_id != b.ann_id and min(of_a, of_b) > best:
                best, chosen = min(of_a, of_b), (query, a.text, b.text)
    query, *texts = chosen
    return tuple(look(predictors, query, text) for text in texts)


def referent_cells(view: View, least: float = 0.9) -> list[tuple[int, int]]:
    """The cells at 1/8 that the referent fills best, from the one nearest to its middle outwards.

    These are the cells that hold at least `least` times as many of its pixels as the fullest one.
    """
    rows, columns = cell_at(view.query.encoded.place, 8, legacy(view), *view.truth.shape)
    ys, xs = np.nonzero(view.truth)
    at = np.stack([rows[ys], columns[xs]], axis=1)
    cells, count = np.unique(at, axis=0, return_counts=True)
    full = cells[count >= least * count.max()]
    away = np.linalg.norm(full - at.mean(axis=0), axis=1)
    return [tuple(map(int, full[k])) for k in np.argsort(away, kind="stable")]


def half_of(row: np.ndarray) -> np.ndarray:
    """The fewest cells of a row of attention that together get half of it: (n, n) bool."""
    order = np.argsort(-row, axis=None, kind="stable")
    enough = 1 + np.searchsorted(row.flat[order].cumsum(), row.sum() / 2)
    chosen = np.zeros(row.shape, bool)
    chosen.flat[order[:enough]] = True
    return chosen


def gate_of(found: Prediction, level: int) -> np.ndarray:
    """The gate of RES at one level, the mean over its channels: (n, n)."""
    return found.trace.gate[level][0].mean(0).numpy()
