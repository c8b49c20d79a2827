"""Who may be a candidate, and in which order (section 3.1, and what the paper leaves open).

- The pool is the training split; what is evaluated on never enters it (D33).
- A query never sees a key of its own image, nor of one whose file holds the same bytes (D32).
- An image is a candidate once, with its best-matching text (D32).
- Similarities are compared after rounding to six decimals, and equal ones are ordered by a seeded
  hash of the key, so that neither the order of the pool nor the size of a block matters (D32).
- With ties="all", texts equally good at the cut all come through, and the images decide (D60).

Stage one answers per text, not per sentence: a text's k + 1 best images hold the k best of every
sentence with that text, because leaving out its own image removes at most one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tvnet.data.appearance import oracle
from tvnet.data.images import BLANK  # fills the places that the pool is too small to give
from tvnet.data.records import ReferData, Sample
from tvnet.retrieval.search import MICRO, NOTHING, blocks

SEED = 0  # of the hashes


def hashes(ids: Iterable, seed: int = SEED) -> np.ndarray:
    """(N,) uint64: a number per id that looks random and is always the same."""
    digests = (hashlib.blake2b(f"{seed}:{i}".encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def of_originals(data: ReferData, split: str) -> list[Sample]:
    """The sentences of a split, copies of a picture counted as one."""
    return [replace(s, image_id=data.originals[s.image_id]) for s in data.samples(split)]


def pool_of(data: ReferData, train_split: str) -> list[Sample]:
    """The sentences that may answer. Raises ValueError when there are none."""
    held_out = {data.originals[r.image_id] for r in data.referents if r.split != train_split}
    # D33. G-Ref's val shares images with train.
    pool = [s for s in of_originals(data, train_split) if s.image_id not in held_out]
    if not pool:
        raise ValueError(f"The pool is empty: every image of {data.name} is held out.")
    return pool


@dataclass(frozen=True)
class Pool:
    """The data pool: N sentences, which share V texts."""

    vectors: Any  # (V, d) unit rows, one a text, dense or scipy sparse
    text: np.ndarray  # (N,) row of each sentence's text in `vectors`
    image: np.ndarray  # (N,) image ids
    tie: np.ndarray  # (N,) uint64, the order of equals

    @classmethod
    def of(cls, samples: list[Sample], texts: list[str], vectors: Any) -> Pool:
        """From sentences, and the vectors of texts that include theirs."""
        row = {text: i for i, text in enumerate(texts)}
        used, text = np.unique([row[s.text] for s in samples], return_inverse=True)
        image = np.array([s.image_id for s in samples])
        return cls(vectors[used], text, image, hashes(s.sent_id for s in samples))


@dataclass(frozen=True)
class CsrRows:
    """Rows of unequal length: row i holds the values from start[i] to start[i + 1]."""

    start: np.ndarray  # (rows + 1,)
    image: np.ndarray  # (values,) image ids
    value: np.ndarray  # (values,) what orders them

    @classmethod
    def of(cls, row: np.ndarray, image: np.ndarray, value: np.ndarray, rows: int) -> CsrRows:
        """From values whose row numbers ascend."""
        return cls(np.searchsorted(row, np.arange(rows + 1)), image, value)


def images_of_texts(pool: Pool, limit: int | None) -> CsrRows:
    """For each of the V texts its distinct images in the order of ties, at most `limit` of them.

    `value` is the place of the image's sentence in the order of ties.
    """
    place = np.empty(len(pool.tie), dtype=np.int64)
    place[np.argsort(pool.tie, kind="stable")] = np.arange(len(place))
    order = np.lexsort((place, pool.text))
    order = order[_once(pool.text[order], pool.image[order])]
    if limit is not None:
        order = order[_rank(pool.text[order]) < limit]
    return CsrRows.of(pool.text[order], pool.image[order], place[order], pool.vectors.shape[0])


def candidates(queries: Any, pool: Pool, k: int, search: Any, ties: str = "hash") -> CsrRows:
    """Stage 1: for each query text the k + 1 images whose texts match best, best first.

    queries (U, d): unit rows, dense or scipy sparse. search: over pool.vectors (search.py).
    Returns images and similarities in millionths, fewer where the pool holds fewer images and
    more where ties="all" lets a tie through.
    """
    texts = images_of_texts(pool, k + 1 if ties == "hash" else None)
    every, todo = pool.vectors.shape[0], np.arange(queries.shape[0])
    width = first = min(every, 5 * k // 4 + 3)  # a few more, as some texts share an image
    found = [(np.empty(0, dtype=np.int64),) * 3]
    while len(todo):
        unsettled = []
        for part in blocks(todo, max(1, search.block * first // width)):
            shortlist = search.shortlist(queries[part], width)
            row, image, value, settled = best_images(*shortlist, texts, k + 1, ties)
            keep = settled[row]
            found.append((part[row[keep]], image[keep], value[keep]))
            unsettled.append(part[~settled])
        todo, width = np.concatenate(unsettled), min(every, 4 * width)
    row, image, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(row, kind="stable")
    return CsrRows.of(row[order], image[order], value[order], queries.shape[0])


def best_images(
    near: np.ndarray, micro: np.ndarray, ceiling: np.ndarray, texts: CsrRows, wanted: int, ties: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The `wanted` best distinct images of each query, from a shortlist of texts (search.py).

    texts: `images_of_texts`. Returns the images' queries, ids and similarities, best first, and
    (Q,) bool: whether no text outside the shortlist could change the answer.
    """
    length = (texts.start[near + 1] - texts.start[near]).ravel()
    before = np.cumsum(length) - length
    at = np.repeat(texts.start[near].ravel() - before, length) + np.arange(length.sum())
    row = np.repeat(np.repeat(np.arange(len(near)), near.shape[1]), length)
    value = np.repeat(micro.ravel(), length)
    order = np.lexsort((texts.value[at], -value, row))
    order = order[_once(row, texts.image[at[order]])]
    row, value, image = row[order], value[order], texts.image[at[order]]

    rank = _rank(row)
    last = np.full(len(near), NOTHING)  # similarity of the last image that is wanted
    last[row[rank == wanted - 1]] = value[rank == wanted - 1]
    settled = (last > ceiling) | (ceiling == NOTHING)
    keep = rank < wanted if ties == "hash" else value >= last[row]
    return row[keep], image[keep], value[keep], settled


def _once(group: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the first occurrence of each image within its group."""
    ids, code = np.unique(image, return_inverse=True)
    return np.sort(np.unique(group * len(ids) + code, return_index=True)[1])


def _rank(group: np.ndarray) -> np.ndarray:
    """The place of each value within its group; groups stand together."""
    return np.arange(len(group)) - np.searchsorted(group, group)


def of_sentences(
    best: CsrRows, text: np.ndarray, own: np.ndarray, k: int
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
    own: np.ndarray, found: np.ndarray, image_ids: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 2: which of its candidates looks most like the query's image.

    own (Q,), found (Q, k) ids of stage 1, image_ids (M,) ascending, features (M, d) unit rows.
    Returns the chosen column (Q,), the first of equals, and all similarities (Q, k).
    """
    own = np.searchsorted(image_ids, own)
    other = np.searchsorted(image_ids, found).clip(max=len(image_ids) - 1)
    similarity = np.empty(found.shape, dtype=np.float32)
    for row, (one, many) in enumerate(zip(own, other, strict=True)):
        # One dot product a candidate: a product of matrices rounds by where a candidate stands.
        similarity[row] = np.vecdot(features.take(many, axis=0, mode="clip"), features[one])
    similarity = similarity.round(6)
    similarity[found == BLANK] = -np.inf
    return similarity.argmax(axis=1), similarity


def through_ties(
    best: CsrRows, text: np.ndarray, own: np.ndarray, found: np.ndarray, *features: np.ndarray
) -> np.ndarray:
    """`found` of `of_sentences` where ties="all" (D60): of the images that tie at the cut those
    most like the query's, and not those that the hash puts first. features: as in `most_similar`.
    """
    k, found = found.shape[1], found.copy()
    for row in np.flatnonzero((np.diff(best.start) > k)[text]):
        part = slice(best.start[text[row]], best.start[text[row] + 1])
        others = best.image[part] != own[row]
        image, value = best.image[part][others], best.value[part][others]
        if len(value) == k or value[k - 1] > value[k]:  # nothing ties at the cut
            continue
        _, like = most_similar(own[[row]], image[None], *features)
        found[row] = image[np.lexsort((-like[0], -value))[:k]]
    return found


def two_draws(ids: Iterable, pool_images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each id an image of the pool, and another for where the first is its own."""
    pool = np.unique(pool_images)
    draws = hashes(ids, SEED + 1)
    return tuple(pool[(draws + np.uint64(k)) % np.uint64(len(pool))] for k in range(2))


def controlled(
    control: str, queries: list[Sample], samples: list[Sample], data: ReferData
) -> np.ndarray:
    """Image ids that a control puts in the place of those retrieved from the pool's samples."""
    own = np.array([s.image_id for s in queries])
    if control == "self":
        return own
    if control == "black":
        return np.full(len(queries), BLANK)
    if control == "oracle":
        return oracle(queries, samples, data)
    images = np.array([s.image_id for s in samples])
    pick, again = two_draws((s.sent_id for s in queries), images)
    return np.where(pick == own, again, pick)
