"""How good the retrieved images are: one report, plain JSON values, from a neighbours file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData, Sample
from tvnet.data.whole import aside
from tvnet.retrieval.retrieve import controlled, pool_of

SAME_TEXT = 0.999  # a text similarity above it is an exact tie
KS = (1, 2, 5, 10, 20, 50, 100)


def quality(neighbours: Neighbours, data: ReferData) -> dict[str, float]:
    """How good the retrieved images are: shares in per cent, similarities as means."""
    queries = _queries(neighbours, data)
    similar = neighbours.similar_id
    shown = np.flatnonzero(neighbours.chosen >= 0)  # a control chooses outside the candidates
    at = shown, neighbours.chosen[shown]
    text, image = neighbours.text_similarity[at], neighbours.image_similarity[at]
    own = np.array([q.image_id for q in queries])
    return {
        "same category as the referent, per cent": _same_category(queries, similar, data),
        "the query's own image, per cent": 100 * float((own == similar).mean()),
        "text similarity above 0.999, per cent": 100 * _mean(text > SAME_TEXT),
        "mean text similarity": _mean(text),
        "mean image similarity": _mean(image),
    }


def instruments(neighbours: Neighbours, data: ReferData) -> dict:
    """The whole report: quality, ties, histograms, how the stages agree, k, and the controls.

    The neighbours must be those of no control. `effect of k` holds as many ks as the file has
    candidates: build one with k = 100 to see all.
    """
    queries = _queries(neighbours, data)
    real = neighbours.candidates != BLANK
    text = np.where(real, neighbours.text_similarity, np.nan)
    image = np.where(real, neighbours.image_similarity, np.nan)
    same_text = (text > SAME_TEXT).sum(axis=1)
    chosen = neighbours.chosen[neighbours.chosen >= 0]
    pool = np.array([s.image_id for s in pool_of(data, neighbours.settings["pool"])])
    k = neighbours.candidates.shape[1]
    shares = {
        control: _same_category(queries, controlled(control, queries, pool), data)
        for control in ("random", "self", "zero")
    }
    return {
        "settings": neighbours.settings,
        "sentences": len(queries),
        "quality": quality(neighbours, data),
        "exact-text ties": {
            "sentences with one, per cent": 100 * _mean(same_text > 0),
            "sentences with nothing else, per cent": 100 * _mean(same_text == real.sum(axis=1)),
            "mean number among the candidates": _mean(same_text),
        },
        "text similarity": {
            "of the first candidate": _histogram(text[:, 0]),
            "of the last candidate": _histogram(text[:, -1]),
        },
        "image similarity": {
            "of the chosen": _histogram(np.nanmax(image, axis=1, initial=-1)),
            "of all candidates": _histogram(image),
        },
        "agreement of the stages": {
            "the text's first is the image's first, per cent": 100 * _mean(chosen == 0),
            "by chance, per cent": 100 * _mean(1 / real.sum(axis=1).clip(min=1)),
            "text rank of the chosen, counts": np.bincount(chosen, minlength=k).tolist(),
        },
        "effect of k": [_at_k(neighbours, queries, data, n) for n in KS if n <= k],
        "same category under the controls, per cent": shares,
    }


def write(path: Path, report: dict) -> None:
    """Write aside, then rename. NaN, which JSON lacks, becomes null."""
    text = json.dumps(json.loads(json.dumps(report), parse_constant=lambda _: None), indent=1)
    with aside(path) as part:
        part.write_text(text + "\n")


def _at_k(neighbours: Neighbours, queries: list[Sample], data: ReferData, k: int) -> dict:
    """What the two stages would have answered with k candidates: the first k of these."""
    like = neighbours.image_similarity[:, :k]
    rows, column = np.arange(len(queries)), like.argmax(axis=1)
    return {
        "k": k,
        "same category, per cent": _same_category(
            queries, neighbours.candidates[rows, column], data
        ),
        "mean text similarity": _mean(neighbours.text_similarity[rows, column]),
        "mean image similarity": _mean(like[rows, column]),
    }


def _queries(neighbours: Neighbours, data: ReferData) -> list[Sample]:
    sample_of = {s.sent_id: s for split in data.splits for s in data.samples(split)}
    return [sample_of[i] for i in neighbours.sent_id.tolist()]


def _same_category(queries: list[Sample], images: np.ndarray, data: ReferData) -> float:
    """Share, in per cent, of queries whose image holds a referent of the query's category."""
    categories: dict[int, set[int]] = {}
    for referent in data.referents:
        categories.setdefault(referent.image_id, set()).add(referent.category_id)
    pairs = zip(queries, images.tolist(), strict=True)
    return 100 * _mean([q.category_id in categories.get(i, ()) for q, i in pairs])


def _mean(values: np.ndarray | list) -> float:
    values = np.asarray(values)
    return float(values.mean()) if values.size else float("nan")


def _histogram(values: np.ndarray) -> dict[str, list]:
    """Counts between -1 and 1; edges beside them."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins=80, range=(-1, 1.000001))
    return {"counts": counts.tolist(), "edges": edges.round(4).tolist()}
