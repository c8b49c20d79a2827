"""How good the retrieved images are: one report, plain JSON values, from a neighbours file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData, Sample
from tvnet.files import replacing
from tvnet.retrieval.ranking import controlled, pool_of
from tvnet.settings import CONTROLS

SAME_TEXT = 0.999  # a text similarity above it is an exact tie
KS = (1, 2, 5, 10, 20, 50, 100)


def quality(neighbours: Neighbours, data: ReferData) -> dict[str, float]:
    """How good the retrieved images are: shares in per cent, similarities as means."""
    queries = _queries(neighbours, data)
    shown = np.flatnonzero(neighbours.chosen >= 0)  # a control chooses outside the candidates
    text, image = (
        table[shown, neighbours.chosen[shown]]
        for table in (neighbours.text_similarity, neighbours.image_similarity)
    )
    own = np.array([q.image_id for q in queries])
    return {
        "same category as the referent, per cent": _same_category(
            queries, neighbours.similar_id, data
        ),
        "the query's own image, per cent": 100 * _mean(own == neighbours.similar_id),
        "text similarity above 0.999, per cent": 100 * _mean(text > SAME_TEXT),
        "mean text similarity": _mean(text),
        "mean image similarity": _mean(image),
    }


def retrieval_report(neighbours: Neighbours, data: ReferData) -> dict:
    """The whole report: quality, ties, histograms, how the stages agree, k, and the controls.

    The neighbours must be those of no control. `effect of k` says what the two stages would have
    answered with fewer candidates; build a file with k = 100 to see all.
    """
    queries = _queries(neighbours, data)
    real = neighbours.candidates != BLANK
    text = np.where(real, neighbours.text_similarity, np.nan)
    image = np.where(real, neighbours.image_similarity, np.nan)
    same_text = (text > SAME_TEXT).sum(axis=1)
    chosen = neighbours.chosen[neighbours.chosen >= 0]
    pool = np.array([s.image_id for s in pool_of(data, neighbours.settings["pool"])])
    every, k = np.arange(len(queries)), neighbours.candidates.shape[1]
    of_k = []
    for some in (some for some in KS if some <= k):
        like = neighbours.image_similarity[:, :some]
        at = every, like.argmax(axis=1)
        same = _same_category(queries, neighbours.candidates[at], data)
        means = _mean(neighbours.text_similarity[at]), _mean(like[at])
        names = "k", "same category, per cent", "mean text similarity", "mean image similarity"
        of_k.append(dict(zip(names, (some, same, *means), strict=True)))
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
        "effect of k": of_k,
        "same category under the controls, per cent": {
            control: _same_category(queries, controlled(control, queries, pool), data)
            for control in CONTROLS[1:]
        },
    }


def write(path: Path, report: dict) -> None:
    """Plain JSON: NaN, which it lacks, becomes null."""
    text = json.dumps(json.loads(json.dumps(report), parse_constant=lambda _: None), indent=1)
    with replacing(path) as part:
        part.write_text(text + "\n")


def _queries(neighbours: Neighbours, data: ReferData) -> list[Sample]:
    sample_of = {s.sent_id: s for split in data.splits for s in data.samples(split)}
    return [sample_of[i] for i in neighbours.sent_id.tolist()]


def _same_category(queries: list[Sample], images: np.ndarray, data: ReferData) -> float:
    """Share, in per cent, of queries whose image holds a referent of the query's category."""
    held = {(referent.image_id, referent.category_id) for referent in data.referents}
    pairs = zip(images.tolist(), queries, strict=True)
    return 100 * _mean([(image, query.category_id) in held for image, query in pairs])


def _mean(values: np.ndarray | list) -> float:
    values = np.asarray(values)
    return float(values.mean()) if values.size else float("nan")


def _histogram(values: np.ndarray) -> dict[str, list]:
    """Counts between -1 and 1; edges beside them."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins=80, range=(-1, 1.000001))
    return {"counts": counts.tolist(), "edges": edges.round(4).tolist()}
