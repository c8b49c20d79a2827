"""Stage 1, the fast way: a low-precision first pass that is proved right, or done again.

1. Centre both sides. With mu the mean key, q.k = q.mu + (q - mu).(k - mu) + mu.(k - mu): the first
   term is the same for all keys of a query, the last is a bias of each key. What is left is small
   and spread out, so that few bits hold it; embeddings of transformers are neither (D61).
2. One matrix product in int8, bfloat16 or float32, tile by tile, and the best of each tile.
3. The similarities of those few in full precision (`micro_similarity`).
4. The certificate: whatever was left out is at most the worst of the first pass plus the largest
   error that its rounding can have made. Where that bound reaches the candidates, the query is
   done again in float32 with a longer shortlist, so that the answer is always the exact one.
"""

from __future__ import annotations

import time
from functools import cached_property, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tvnet.retrieval.plain import Faiss, Shortlist, micro_similarity
from tvnet.retrieval.rules import MICRO, NOTHING

PRECISIONS = ("int8", "bfloat16", "float32")
DTYPES = {"int8": torch.int8, "bfloat16": torch.bfloat16, "float32": torch.float32}
FLOAT32 = 2.0**-24  # relative error of one float32 rounding
BFLOAT16 = 2.0**-8  # twice that of one bfloat16 rounding
RUN = 64  # columns whose largest value stands for them in the search for the best
TILE = 2**16  # keys a product, so that a million keys need no larger buffer


def product(queries: Tensor, keys: Tensor, out: Tensor) -> Tensor:
    """queries (Q, d) times keys (K, d) transposed, into out (Q, K): the one that the dtype has."""
    if queries.dtype == torch.int8:
        return torch._int_mm(queries, keys.T, out=out)
    if queries.dtype == torch.bfloat16 and out.dtype == torch.float32:
        return torch.mm(queries, keys.T, out_dtype=torch.float32, out=out)  # CUDA alone has it
    return torch.mm(queries, keys.T, out=out)


def largest(values: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The `width` largest values of each row and where they are, in any order; all of a short row.

    The largest stand in the runs of columns with the largest maxima, and those are quick to find.
    """
    count = values.shape[1]
    whole = count - count % RUN
    if width * RUN * 4 > count:
        top = values.topk(min(width, count), dim=1, sorted=False)
        return top.values, top.indices
    maxima = values[:, :whole].unflatten(1, (-1, RUN)).amax(dim=2)
    runs = maxima.topk(width, dim=1, sorted=False).indices
    within = torch.arange(RUN, device=values.device)
    rest = torch.arange(whole, count, device=values.device).expand(len(values), -1)
    at = torch.cat([(runs[..., None] * RUN + within).flatten(1), rest], dim=1)
    top = values.gather(1, at).topk(width, dim=1, sorted=False)
    return top.values, at.gather(1, top.indices)


def rounded(rows: Tensor, precision: str) -> tuple[Tensor, Tensor, Tensor]:
    """Rows in the bits of a precision, what each is to be multiplied by, and what they then are."""
    if precision == "bfloat16":
        return rows.bfloat16(), rows.new_ones(len(rows)), rows.bfloat16().float()
    scale = rows.abs().amax(dim=1) / 127
    scale = torch.where(scale > 0, scale, 1.0)  # a key that is the mean itself
    low = (rows / scale[:, None]).round()
    return low.to(torch.int8), scale, low * scale[:, None]


def out_dtype(precision: str, device: str) -> torch.dtype:
    """What the products of a precision are kept in; the CPU has no float32 of bfloat16."""
    if precision == "int8":
        return torch.int32
    on_cpu = precision == "bfloat16" and device == "cpu"
    return torch.bfloat16 if on_cpu else torch.float32


SIZE = (64, 768, 4096)  # queries, length and keys of the product that is timed


def rate(precision: str, device: str = "cpu", size: tuple[int, int, int] = SIZE) -> float:
    """Measured multiplications and additions a second of the matrix product; 0 where it fails."""
    q, d, k = size
    queries = torch.ones(q, d, dtype=DTYPES[precision], device=device)
    keys = torch.ones(k, d, dtype=DTYPES[precision], device=device)
    out = torch.empty(q, k, dtype=out_dtype(precision, device), device=device)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        try:
            product(queries, keys, out)[0, 0].item()  # .item() waits for a GPU
        except (RuntimeError, NotImplementedError, TypeError):
            return 0.0
        seconds.append(time.perf_counter() - start)
    return 2 * q * d * k / min(seconds[1:])


@lru_cache
def probe(device: str = "cpu") -> str:
    """The precision whose product is fastest here: int8 with VNNI, bfloat16 with AMX, and so on.

    The answers of all are the same, so that a wrong guess costs time only.
    """
    if device != "cpu":
        return "bfloat16"
    return max(PRECISIONS, key=rate)


class Fast:
    """A search as `plain` describes it, over keys (V, d) float32 unit rows."""

    def __init__(self, keys: np.ndarray, precision: str = "auto", device: str = "cpu"):
        self.precision = probe(device) if precision == "auto" else precision
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"There is no precision '{precision}': choose auto, {', '.join(PRECISIONS)}."
            )
        self.keys, self.device = keys, device
        self.block = 512 if device == "cpu" else 8192
        mean = self._centre()
        self.mean = mean.to(device)
        self._prepare_keys(mean)

    @cached_property
    def exact(self) -> Fast | Faiss:
        """A search in float32, for what the first pass did not settle."""
        if self.device == "cpu":
            return Faiss(self.keys)
        return self if self.precision == "float32" else Fast(self.keys, "float32", self.device)

    @cached_property
    def _device_keys(self) -> Tensor:
        return torch.from_numpy(self.keys).to(self.device)

    def _parts(self) -> list[slice]:
        return [slice(i, min(i + 8192, len(self.keys))) for i in range(0, len(self.keys), 8192)]

    def _centre(self) -> Tensor:
        """mu (d,); float32 needs none."""
        if self.precision == "float32":
            return torch.zeros(self.keys.shape[1])
        return torch.from_numpy(self.keys.mean(axis=0, dtype=np.float64).astype(np.float32))

    def _prepare_keys(self, mean: Tensor) -> None:
        """The keys as the first pass multiplies them, their biases, and the errors of both."""
        self.error = 0.0  # the longest difference between a key and what the first pass holds
        self.longest = 1.001  # the longest key of the first pass
        if self.precision == "float32":
            self.low = self._device_keys
            return
        count, d = self.keys.shape
        width = d if self.precision == "int8" else -(-(d + 2) // 16) * 16
        self.low = torch.zeros(count, width, dtype=DTYPES[self.precision])
        self.bias, self.scale = torch.empty(count), torch.empty(count)
        self.longest = bias_error = 0.0
        for part in self._parts():
            centred = torch.from_numpy(self.keys[part]) - mean
            bias = centred.double() @ mean.double()
            low, scale, restored = rounded(centred, self.precision)
            self.low[part, :d], self.scale[part], self.bias[part] = low, scale, bias.float()
            if self.precision == "bfloat16":  # two more columns, times one, hold the bias
                self.low[part, d] = bias
                self.low[part, d + 1] = bias - self.low[part, d].double()
                rest = bias - self.low[part, d : d + 2].double().sum(dim=1)
                bias_error = max(bias_error, float(rest.abs().max()))
            self.error = max(self.error, float((centred - restored).norm(dim=1).max()))
            self.longest = max(self.longest, float(centred.norm(dim=1).max()))
        self.bias_error = bias_error
        self.low, self.bias, self.scale = (
            held.to(self.device) for held in (self.low, self.bias, self.scale)
        )

    def _prepare_queries(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The queries as the first pass multiplies them, the units of its results, its errors.

        With q', k' what the first pass holds, q.k - q'.k' = q'.(k - k') + (q - q').k.
        """
        d = rows.shape[1]
        if self.precision == "float32":
            error = 1.1 * d * FLOAT32 * self.longest * rows.norm(dim=1)
            return rows, torch.ones_like(error), error
        centred = rows - self.mean
        low, scale, restored = rounded(centred, self.precision)
        lost, held = (centred - restored).norm(dim=1), restored.norm(dim=1)
        error = held * self.error + lost * self.longest + self.bias_error + 1e-6
        if self.precision == "bfloat16":
            low = F.pad(low, (0, 2), value=1.0)
            low = F.pad(low, (0, self.low.shape[1] - d - 2))
            error += 1.1 * (d + 2) * FLOAT32 * (held + 1.5) * (self.longest + self.error + 1)
        return low, scale, error

    def _first_pass(self, low: Tensor, unit: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """The `width` best keys of each query and the worst value among them, in units."""
        most = min(TILE, len(self.low))
        dtype = out_dtype(self.precision, self.device)
        buffer = torch.empty(len(low) * most, dtype=dtype, device=self.device)
        scaled = torch.empty(len(low) * most if self.precision == "int8" else 0, device=self.device)
        best = None
        for start in range(0, len(self.low), TILE):
            tile = slice(start, start + TILE)
            keys = self.low[tile]
            shape = (len(low), len(keys))
            values = product(low, keys, buffer[: shape[0] * shape[1]].view(shape))
            if self.precision == "int8":
                floats = scaled[: shape[0] * shape[1]].view(shape)
                values = torch.mul(values, self.scale[tile], out=floats)
                values.addr_(1 / unit, self.bias[tile])
            top, at = largest(values, width)
            at += start
            if best is not None:
                both = [torch.cat(pair, dim=1) for pair in zip(best, (top, at), strict=True)]
                top, place = largest(both[0], width)
                at = both[1].gather(1, place)
            best = (top, at)
        return best[1], best[0].amin(dim=1)

    def shortlist(self, queries: np.ndarray, width: int) -> Shortlist:
        """See `plain`; the ceiling is the first pass's worst value with its error."""
        width = min(len(self.keys), width * (2 if self.precision == "int8" else 1))
        rows = torch.from_numpy(queries).to(self.device)
        low, unit, error = self._prepare_queries(rows)
        near, worst = self._first_pass(low, unit, width)
        worst = worst.double() * unit
        if out_dtype(self.precision, self.device) == torch.bfloat16:
            error = error + worst.abs() * BFLOAT16
        ceiling = rows.double() @ self.mean.double() + worst + error
        ceiling = (ceiling * MICRO).ceil().long().cpu().numpy()
        if width == len(self.keys):
            ceiling[:] = NOTHING
        if self.device == "cpu":
            near = near.numpy()
            return near, micro_similarity(queries, self.keys, near), ceiling
        micro = self._micro_on_device(rows, near)
        return near.cpu().numpy(), micro.cpu().numpy(), ceiling

    def _micro_on_device(self, queries: Tensor, near: Tensor) -> Tensor:
        """`micro_similarity` on a GPU, where the sums of float64 are as good."""
        micro = torch.empty(near.shape, dtype=torch.int64, device=self.device)
        step = max(1, 2**26 // (near.shape[1] * queries.shape[1]))
        for start in range(0, len(near), step):
            part = slice(start, start + step)
            rows = self._device_keys[near[part]].double()
            similarity = torch.einsum("qd,qwd->qw", queries[part].double(), rows)
            micro[part] = (similarity * MICRO).round().long()
        return micro
