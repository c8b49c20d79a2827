"""Stage 1, the plain way: the references that the fast way must equal.

A search answers `shortlist(queries, width)`: for each query the `width` texts that match best,
their similarities in millionths, and a ceiling that no other text exceeds. `exact` is the search
for the queries whose shortlist did not settle the answer; here each is its own.
"""

from __future__ import annotations

import numpy as np

from tvnet.retrieval.rules import MICRO, NOTHING

Shortlist = tuple[np.ndarray, np.ndarray, np.ndarray]  # (Q, w) rows, (Q, w) micro, (Q,) ceiling


def micro_similarity(queries: np.ndarray, keys: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(Q, w) int64: cosines of queries (Q, d) and keys[near] in millionths, summed in float64.

    What decides. It depends on the two rows alone, not on their neighbours in a block.
    """
    similarity = np.empty(near.shape)
    wide = queries.astype(np.float64)
    step = min(near.shape[1], 1 + 100_000 // queries.shape[1])  # gathered rows that stay in cache
    held, rows = (np.empty((step, queries.shape[1]), dtype) for dtype in (keys.dtype, np.float64))
    for query, ids, found in zip(wide, near, similarity, strict=True):
        for start in range(0, len(ids), step):
            some = ids[start : start + step]
            part = slice(len(some))
            np.take(keys, some, axis=0, out=held[part], mode="clip")
            rows[part] = held[part]
            np.einsum("wd,d->w", rows[part], query, out=found[start : start + step])
    return np.rint(similarity * MICRO).astype(np.int64)


class Faiss:
    """Every query against every text in float32, with faiss."""

    block = 1024

    def __init__(self, keys: np.ndarray):
        import faiss

        self.keys, self.exact = keys, self
        self.index = faiss.IndexFlatIP(
            keys.shape[1]
        )  # on unit rows the inner product is the cosine
        self.index.add(keys)
        # |error| of a float32 sum of d products of unit rows, whatever its order.
        self.error = 1.1 * keys.shape[1] * 2.0**-24

    def shortlist(self, queries: np.ndarray, width: int) -> Shortlist:
        similarity, near = self.index.search(queries, width)
        micro = micro_similarity(queries, self.keys, near)
        ceiling = np.ceil((similarity[:, -1] + self.error) * MICRO).astype(np.int64)
        if width == len(self.keys):
            ceiling[:] = NOTHING
        return near, micro, ceiling


class Sparse:
    """Sparse rows (TF-IDF) against sparse rows: the exact product, then a partition."""

    block = 256

    def __init__(self, keys):
        self.columns, self.exact = keys.T.tocsr(), self

    def shortlist(self, queries, width: int) -> Shortlist:
        micro = np.rint((queries @ self.columns).toarray() * MICRO).astype(np.int64)
        if width == micro.shape[1]:
            near = np.broadcast_to(np.arange(width), micro.shape)
            return near, micro, np.full(len(micro), NOTHING)
        near = np.argpartition(-micro, width - 1, axis=1)[:, :width]
        micro = np.take_along_axis(micro, near, axis=1)
        return near, micro, micro.min(axis=1)
