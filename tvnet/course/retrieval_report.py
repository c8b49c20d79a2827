"""How good the retrieved images are: one report, plain JSON values, from a neighbours file."""

from __future__ import annotations

import numpy as np

from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData, Sample
from tvnet.evaluation.slices import same_category
from tvnet.retrieval.ranking import controlled, pool_of
from tvnet.settings import CONTROLS

SAME_TEXT = 0.999  # a text similarity above it is an exact tie
KS = (1, 2, 5, 10, 20, 50, 100)


def quality(neighbours: Neighbours, data: ReferData) -> dict[str, float | None]:
    """Shares in per cent, similarities as means; None where a control chose every image."""
    queries = data.samples_of(neighbours.sent_id)
    shown = np.flatnonzero(neighbours.chosen >= 0)  # a control chooses outside the candidates
    at = shown, neighbours.chosen[shown]
    own = [q.image_id for q in queries]
    same = _same_category(queries, neighbours.similar_id, data)
    return {
        "same category as the referent, per cent": same,
        "the query's own image, per cent": _per_cent(neighbours.similar_id == own),
        "text similarity above 0.999, per cent": _per_cent(
            neighbours.text_similarity[at] > SAME_TEXT
        ),
        "mean text similarity": _mean(neighbours.text_similarity[at]),
        "mean image similarity": _mean(neighbours.image_similarity[at]),
    }


def retrieval_report(neighbours: Neighbours, data: ReferData) -> dict:
    """The whole report: quality, ties, histograms, how the stages agree, k, and the controls.

    The neighbours must be those of no control. `effect of k` says what the two stages would have
    answered with fewer candidates; build a file with k = 100 to see all.
    """
    queries = data.samples_of(neighbours.sent_id)
    real = neighbours.candidates != BLANK
    text = np.where(real, neighbours.text_similarity, np.nan)
    image = np.where(real, neighbours.image_similarity, np.nan)
    same_text = (text > SAME_TEXT).sum(axis=1)
    chosen = neighbours.chosen[neighbours.chosen >= 0]
    pool = pool_of(data, neighbours.settings["pool"])
    k = neighbours.candidates.shape[1]
    return {
        "settings": neighbours.settings,
        "sentences": len(queries),
        "quality": quality(neighbours, data),
        "exact-text ties": {
            "sentences with one, per cent": _per_cent(same_text > 0),
            "sentences with nothing else, per cent": _per_cent(same_text == real.sum(axis=1)),
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
            "the text's first is the image's first, per cent": _per_cent(chosen == 0),
            "by chance, per cent": _per_cent(1 / real.sum(axis=1).clip(min=1)),
            "text rank of the chosen, counts": np.bincount(chosen, minlength=k).tolist(),
        },
        "effect of k": [_with_k(some, neighbours, queries, data) for some in KS if some <= k],
        "same category under the controls, per cent": {
            control: _same_category(queries, controlled(control, queries, pool, data), data)
            for control in CONTROLS
            if control not in ("none", "oracle")  # the one is above, the other's is the category
        },
    }


def _with_k(k: int, neighbours: Neighbours, queries: list[Sample], data: ReferData) -> dict:
    like = neighbours.image_similarity[:, :k]
    at = np.arange(len(queries)), like.argmax(axis=1)
    return {
        "k": k,
        "same category, per cent": _same_category(queries, neighbours.candidates[at], data),
        "mean text similarity": _mean(neighbours.text_similarity[at]),
        "mean image similarity": _mean(like[at]),
    }


def _same_category(queries: list[Sample], images: np.ndarray, data: ReferData) -> float | None:
    """Share of queries whose image holds a referent of the query's category."""
    return _per_cent(same_category(queries, images, data))


def _per_cent(values: np.ndarray | list) -> float | None:
    return 100 * float(np.mean(values)) if len(values) else None


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _histogram(values: np.ndarray) -> dict[str, list]:
    """Counts between -1 and 1; edges beside them."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins=80, range=(-1, 1.000001))
    return {"counts": counts.tolist(), "edges": edges.round(4).tolist()}
