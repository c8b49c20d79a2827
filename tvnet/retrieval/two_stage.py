"""The two stages of retrieval (section 3.1): candidates by text, then the most similar image.

Arithmetic on arrays. Stage 1 answers per text, not per sentence: a text's k + 1 best images hold
the k best of every sentence with that text, because leaving out the sentence's own image removes
at most one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tvnet.retrieval.rules import (
    BLANK,
    MICRO,
    Pool,
    Ragged,
    best_images,
    images_of_texts,
    refuse_rules,
)


def candidates(queries: Any, pool: Pool, k: int, search: Any, ties: str = "hash") -> Ragged:
    """Stage 1: for each query text the k + 1 images whose texts match best, best first.

    queries (U, d): unit rows, dense or scipy sparse. search: over pool.vectors, see `plain` and
    `fast`. Returns images and similarities in millionths, fewer where the pool holds fewer images
    and more where ties="all" lets a tie through. Raises ValueError on k < 1 or unknown ties.
    """
    refuse_rules(k, ties)
    texts = images_of_texts(pool, k + 1 if ties == "hash" else None)
    everything = pool.vectors.shape[0]
    todo = np.arange(queries.shape[0])
    width = first = min(everything, 2 * k + 8)
    found: list[tuple[np.ndarray, ...]] = []
    while len(todo):
        open_ = []
        for part in _blocks(todo, max(1, search.block * first // width)):
            best, complete = best_images(
                *search.shortlist(queries[part], width), texts, k + 1, ties
            )
            row = np.repeat(np.arange(len(part)), np.diff(best.start))
            keep = complete[row]
            found.append((part[row[keep]], best.image[keep], best.value[keep]))
            open_.append(part[~complete])
        # A query whose shortlist did not settle its answer gets a longer one, at last an exact one.
        todo, search = np.concatenate(open_), search if width == first else search.exact
        width = min(everything, 4 * width)
    row, image, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(row, kind="stable")
    return Ragged.of(row[order], image[order], value[order], queries.shape[0])


def _blocks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def of_sentences(
    best: Ragged, text: np.ndarray, own: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each sentence's k candidates: its text's best images without its own image.

    text (Q,): row in `best`. own (Q,): image ids. Returns image ids (Q, k) and similarities
    (Q, k), best first; BLANK and 0 where the pool holds fewer other images.
    """
    place = best.start[:-1, None] + np.arange(k + 1)
    held = place < best.start[1:, None]
    place = np.where(held, place, 0)
    image = np.where(held, best.image[place], BLANK)
    score = np.where(held, best.value[place] / MICRO, 0).astype(np.float32)
    is_own = image[text] == own[:, None]
    skip = np.where(is_own.any(axis=1), is_own.argmax(axis=1), k)
    column = np.arange(k) + (np.arange(k) >= skip[:, None])
    return image[text[:, None], column], score[text[:, None], column]


def most_similar(
    query_image: np.ndarray,
    found: np.ndarray,
    image_ids: np.ndarray,
    features: np.ndarray,
    text: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 2: which of its candidates looks most like the query's image.

    query_image (Q,), found (Q, k) ids of stage 1, image_ids (M,) ascending, features (M, d) unit
    rows. text (Q,): queries of equal text share candidates, which are then gathered once. Returns
    the chosen column (Q,), the first of equals, and all similarities (Q, k).
    """
    own = np.searchsorted(image_ids, query_image)
    other = np.searchsorted(image_ids, found).clip(max=len(image_ids) - 1)
    similarity = np.empty(found.shape, dtype=np.float32)
    text = np.arange(len(found)) if text is None else text
    order = np.argsort(text, kind="stable")
    gathered = np.empty((found.shape[1], features.shape[1]), dtype=features.dtype)
    for group in np.split(order, np.flatnonzero(np.diff(text[order])) + 1):
        if len(group) == 1:
            row = group[0]
            np.take(features, other[row], axis=0, out=gathered, mode="clip")
            np.einsum("d,kd->k", features[own[row]], gathered, out=similarity[row])
            continue
        shared, column = np.unique(other[group], return_inverse=True)
        rows = features[shared]
        for row, columns in zip(group, column.reshape(len(group), -1), strict=True):
            similarity[row] = np.einsum("d,kd->k", features[own[row]], rows)[columns]
    similarity = similarity.round(6)
    similarity[found == BLANK] = -np.inf
    return similarity.argmax(axis=1), similarity


def through_ties(
    best: Ragged,
    text: np.ndarray,
    own: np.ndarray,
    found: np.ndarray,
    image_ids: np.ndarray,
    features: np.ndarray,
) -> np.ndarray:
    """`found`, with the places at the cut given to the images most like the query's (D60).

    For ties="all": where more images tie at the k-th similarity than there are places, the image
    decides which of them are candidates, and not the hash.
    """
    k, found = found.shape[1], found.copy()
    for row in np.flatnonzero((np.diff(best.start) > k + 1)[text]):
        part = slice(best.start[text[row]], best.start[text[row] + 1])
        others = best.image[part] != own[row]
        image, value = best.image[part][others], best.value[part][others]
        _, like = most_similar(own[[row]], image[None], image_ids, features)
        found[row] = image[np.lexsort((-like[0], -value))[:k]]
    return found
