"""The two stages of retrieval (section 3.1): candidates by text, then the most similar image.

Everything here is arithmetic on arrays. The rules that the paper leaves open (D32):

- a query never sees a key of its own image;
- an image is a candidate once, with its best-matching text;
- similarities are compared after rounding to six decimals, and equal ones are ordered by a seeded
  hash of the key, so that neither the order of the pool nor the size of a block can matter.
"""

from __future__ import annotations

import hashlib

import numpy as np

BLANK = -1  # fills the places of candidates that the pool is too small to give
DECIMALS = 6


def tie_keys(ids: np.ndarray, seed: int) -> np.ndarray:
    """(N,) uint64: a number per id that looks random and is always the same."""
    digests = (hashlib.blake2b(f"{seed}:{i}".encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def candidates(
    query_text: np.ndarray,
    query_image: np.ndarray,
    key_text: np.ndarray,
    key_image: np.ndarray,
    key_tie: np.ndarray,
    k: int,
    block: int = 256,
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 1: for each query the k images whose texts match best.

    query_text (Q, d) and key_text (N, d): unit rows, dense or scipy sparse. query_image (Q,) and
    key_image (N,): image ids. key_tie (N,): order of equals. Returns image ids (Q, k) and
    similarities (Q, k), best first; BLANK and 0 where the pool holds fewer other images.
    """
    by_tie = np.argsort(key_tie, kind="stable")
    key_text, key_image = key_text[by_tie], key_image[by_tie]
    found = np.full((query_text.shape[0], k), BLANK, dtype=np.int64)
    score = np.zeros((query_text.shape[0], k), dtype=np.float32)
    for start in range(0, query_text.shape[0], block):
        product = query_text[start : start + block] @ key_text.T
        dense = product if isinstance(product, np.ndarray) else product.toarray()
        similarity = np.round(dense, DECIMALS)
        for row, scores in enumerate(similarity):
            images, values = _best_images(scores, key_image, query_image[start + row], k)
            found[start + row, : len(images)] = images
            score[start + row, : len(images)] = values
    return found, score


def _best_images(
    scores: np.ndarray, key_image: np.ndarray, own: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best distinct images other than `own`; keys stand in tie order already."""
    size = min(len(scores), 8 * k)
    while True:
        # Everything at least as good as the size-th best, so that no tie is cut in two.
        floor = np.partition(scores, len(scores) - size)[len(scores) - size]
        near = np.flatnonzero(scores >= floor)
        near = near[np.argsort(-scores[near], kind="stable")]
        near = near[key_image[near] != own]
        _, first = np.unique(key_image[near], return_index=True)
        best = near[np.sort(first)][:k]
        if len(best) == k or size == len(scores):
            return key_image[best], scores[best]
        size = min(len(scores), 4 * size)


def most_similar(
    query_image: np.ndarray, found: np.ndarray, image_ids: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 2: which of its candidates looks most like the query's image.

    query_image (Q,), found (Q, k) ids of stage 1, image_ids (M,) ascending, features (M, d) unit
    rows. Returns the chosen column (Q,), the first of equals, and all similarities (Q, k).
    """
    similarity = np.full(found.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(found), 64):  # small blocks: the gathered rows stay in cache
        part = slice(start, start + 64)
        own = features[np.searchsorted(image_ids, query_image[part])]
        other = features[np.searchsorted(image_ids, found[part]).clip(max=len(image_ids) - 1)]
        similarity[part] = np.einsum("qd,qkd->qk", own, other).round(DECIMALS)
    similarity[found == BLANK] = -np.inf
    return similarity.argmax(axis=1), similarity
