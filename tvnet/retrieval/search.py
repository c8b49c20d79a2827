"""Stage one: which texts of the pool are most similar to a text, exactly.

A search answers `shortlist(queries, width)`: for each query the `width` most similar texts, their
similarities in millionths, and a ceiling that no other text exceeds. Its first pass rounds, as
float32 does; what decides is summed in float64. Where the ceiling reaches the candidates, the
caller asks for a longer shortlist, so that the answer is always that of the slow, exact search.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

MICRO = 1e6  # similarities travel as whole millionths, so that comparing them is exact
NOTHING = np.iinfo(np.int64).min  # below every similarity: the ceiling of a complete shortlist
GATHERED = 4096  # rows at a time, so that a million keys need no copy
Shortlist = tuple[np.ndarray, np.ndarray, np.ndarray]  # (Q, w) rows, (Q, w) micro, (Q,) ceiling


def blocks(rows: Any, size: int) -> Iterator[Any]:
    """The rows, at most `size` at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def micro_similarity(queries: np.ndarray, keys: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(Q, w) int64: cosines of queries (Q, d) and keys[near] in millionths.

    They depend on the two rows alone, not on their neighbours in a block.
    """
    similarity = np.empty(near.shape)
    for query, ids, line in zip(queries.astype(np.float64), near, similarity, strict=True):
        for some, out in zip(blocks(ids, GATHERED), blocks(line, GATHERED), strict=True):
            np.vecdot(keys.take(some, axis=0, mode="clip").astype(np.float64), query, out=out)
    return np.rint(similarity * MICRO).astype(np.int64)


class Faiss:
    """Keys (V, d) float32 unit rows, whose inner products are cosines, on the CPU."""

    block = 1024  # queries at a time

    def __init__(self, keys: np.ndarray):
        self.keys = keys
        self.error = 1.1 * keys.shape[1] * 2.0**-24  # of a float32 sum of d products of unit rows

    def nearest(self, queries: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Similarities and rows (Q, width), the largest first."""
        import faiss

        return faiss.knn(queries, self.keys, width, metric=faiss.METRIC_INNER_PRODUCT)

    def shortlist(self, queries: np.ndarray, width: int) -> Shortlist:
        similarity, near = self.nearest(queries, width)
        ceiling = np.ceil((similarity[:, -1] + self.error) * MICRO).astype(np.int64)
        if width == len(self.keys):
            ceiling[:] = NOTHING
        return near, micro_similarity(queries, self.keys, near), ceiling


class OnGpu(Faiss):
    """The same with a GPU: one matrix product and its largest values, `tile` keys at a time."""

    block, tile = 8192, 2**16

    def __init__(self, keys: np.ndarray, device: str):
        super().__init__(keys)
        torch.set_float32_matmul_precision("highest")  # the error above is that of float32
        self.there = torch.from_numpy(keys).to(device)

    def nearest(self, queries: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        rows = torch.from_numpy(queries).to(self.there.device)
        values, at = rows.new_empty(len(rows), 0), rows.new_empty(len(rows), 0, dtype=torch.long)
        for number, keys in enumerate(blocks(self.there, self.tile)):
            found = (rows @ keys.T).topk(min(width, len(keys)), dim=1)
            values = torch.cat([values, found.values], dim=1)
            at = torch.cat([at, found.indices + number * self.tile], dim=1)
            values, place = values.topk(min(width, values.shape[1]), dim=1)
            at = at.gather(1, place)
        return values.cpu().numpy(), at.cpu().numpy()


class Sparse:
    """Sparse rows (TF-IDF): the whole product is exact."""

    block = 256

    def __init__(self, keys: Any):
        self.columns = keys.T.tocsr()

    def shortlist(self, queries: Any, width: int) -> Shortlist:
        micro = np.rint((queries @ self.columns).toarray() * MICRO).astype(np.int64)
        if width == micro.shape[1]:
            near = np.broadcast_to(np.arange(width), micro.shape)
            return near, micro, np.full(len(micro), NOTHING)
        near = np.argpartition(-micro, width - 1, axis=1)[:, :width]
        micro = np.take_along_axis(micro, near, axis=1)
        return near, micro, micro.min(axis=1)


def search_over(keys: Any, device: str = "cpu") -> Faiss | Sparse:
    """The search for keys of this kind on this device."""
    if not isinstance(keys, np.ndarray):
        return Sparse(keys)
    return Faiss(keys) if device == "cpu" else OnGpu(keys, device)
