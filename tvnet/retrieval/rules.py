"""Who may be a candidate, and in which order: what the paper leaves open (D32).

- A query never sees a key of its own image, nor of one whose file holds the same bytes.
- An image is a candidate once, with its best-matching text.
- Similarities are compared after rounding to six decimals, and equal ones are ordered by a seeded
  hash of the key, so that neither the order of the pool nor the size of a block can matter.
- With ties="all", texts equally good at the cut all come through, and the images decide (D60).

Rounded similarities travel as whole millionths ("micro"), so that comparing them is exact.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

BLANK = -1  # fills the places of candidates that the pool is too small to give
MICRO = 1e6
NOTHING = np.iinfo(np.int64).min  # below every similarity: the ceiling of a complete shortlist
TIES = ("hash", "all")


def tie_keys(ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) uint64: a number per id that looks random and is always the same."""
    digests = (hashlib.blake2b(f"{seed}:{i}".encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def refuse_rules(k: int, ties: str) -> None:
    """ValueError on a k or a rule for ties that there is not."""
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least one candidate.")
    if ties not in TIES:
        raise ValueError(f"There is no rule '{ties}' for ties: choose one of {', '.join(TIES)}.")


@dataclass(frozen=True)
class Pool:
    """The data pool: N sentences, which share V texts."""

    vectors: Any  # (V, d) unit rows, one a text, dense or scipy sparse
    text: np.ndarray  # (N,) row of each sentence's text in `vectors`
    image: np.ndarray  # (N,) image ids
    tie: np.ndarray  # (N,) uint64, the order of equals


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row i holds the values from start[i] to start[i + 1]."""

    start: np.ndarray  # (rows + 1,)
    image: np.ndarray  # (values,) image ids
    value: np.ndarray  # (values,) what orders them

    @classmethod
    def of(cls, row: np.ndarray, image: np.ndarray, value: np.ndarray, rows: int) -> Ragged:
        """From values whose row numbers ascend."""
        return cls(np.searchsorted(row, np.arange(rows + 1)), image, value)


def images_of_texts(pool: Pool, limit: int | None) -> Ragged:
    """For each of the V texts its distinct images in tie order, at most `limit` of them.

    `value` is the place of the image's sentence in the order of ties.
    """
    place = np.empty(len(pool.tie), dtype=np.int64)
    place[np.argsort(pool.tie, kind="stable")] = np.arange(len(place))
    order = np.lexsort((place, pool.text))
    order = order[_once(pool.text[order], pool.image[order])]
    text = pool.text[order]
    if limit is not None:
        order = order[_rank(text) < limit]
        text = pool.text[order]
    return Ragged.of(text, pool.image[order], place[order], pool.vectors.shape[0])


def best_images(
    near: np.ndarray,
    micro: np.ndarray,
    ceiling: np.ndarray,
    texts: Ragged,
    wanted: int,
    ties: str = "hash",
) -> tuple[Ragged, np.ndarray]:
    """The `wanted` best distinct images of each query, from a shortlist of texts.

    near (Q, w): texts. micro (Q, w): their similarities. ceiling (Q,): no other text is more
    similar. texts: `images_of_texts`. Returns the images with their similarities, best first,
    and (Q,) bool: whether no text outside the shortlist could change the answer.
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
    complete = (last > ceiling) | (ceiling == NOTHING)
    keep = rank < wanted if ties == "hash" else value >= last[row]
    return Ragged.of(row[keep], image[keep], value[keep], len(near)), complete


def _once(group: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Indices, ascending, of the first occurrence of each image within its group."""
    ids, code = np.unique(image, return_inverse=True)
    return np.sort(np.unique(group * len(ids) + code, return_index=True)[1])


def _rank(group: np.ndarray) -> np.ndarray:
    """The place of each value within its group; groups stand together."""
    return np.arange(len(group)) - np.searchsorted(group, group)
