"""DenseCRF (Kraehenbuehl and Koltun 2011), as prior work refines its masks; TV-Net has none.

Every pixel pulls every other to its own side, the more the nearer they are in place and colour
(D45).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from tvnet.data.dataset import Batch
from tvnet.data.images import open_square
from tvnet.data.records import ReferData

# CMPC's, and the same in LSCM, CMSA and BRINet: place sigma (pixels), colour sigma, weight.
SMOOTH = (3.0, None, 3.0)
ALIKE = (20.0, 3.0, 10.0)
ITERATIONS = 5


class Lattice:
    """A Gaussian filter of width 1 among N points in d dimensions, in time linear in N.

    Adams, Baek and Davis 2010: points are spread over the d + 1 corners of their cell in the
    permutohedral lattice, corners are blurred along its d + 1 directions, and points read back.
    """

    def __init__(self, points: np.ndarray):
        """points: (N, d) float."""
        n, d = points.shape
        k = np.arange(1, d + 1)
        # Into the plane of d + 1 coordinates that sum to 0, where the blur has width 1.
        basis = np.triu(np.ones((d + 1, d)), 0) - np.eye(d + 1, d, -1) * k
        raised = (points * (d + 1) * np.sqrt(2 / 3 / (k * (k + 1)))) @ basis.T
        base = np.round(raised / (d + 1)) * (d + 1)
        rank = np.argsort(np.argsort(base - raised, axis=1), axis=1)  # 0: the largest remainder
        rank += (base.sum(1, keepdims=True) / (d + 1)).astype(int)
        base += (d + 1.0) * ((rank < 0).astype(int) - (rank > d))
        rank %= d + 1
        ordered = np.empty_like(raised)
        np.put_along_axis(ordered, rank, (raised - base) / (d + 1), axis=1)
        steps = -np.diff(ordered, axis=1)[:, ::-1]
        weights = np.concatenate([1 - steps.sum(1, keepdims=True), steps], axis=1)  # (N, d + 1)
        corner = np.arange(d + 1)[:, None]
        corners = base[:, None] + corner - (d + 1) * (rank[:, None] > d - corner)
        # A corner as one number; a step along a direction is then one difference.
        corners = corners[..., :d].astype(np.int64)
        low, high = corners.min((0, 1)) - d - 1, corners.max((0, 1)) + d + 2
        place = np.concatenate([[1], np.cumprod(high - low)[:-1]])
        codes, at = np.unique((corners - low) @ place, return_inverse=True)
        rows = np.repeat(np.arange(n), d + 1)
        entries = weights.ravel().astype(np.float32), (rows, at.ravel())
        self.spread = csr_matrix(entries, shape=(n, len(codes)))
        self.neighbours = []
        for axis in range(d + 1):
            step = place.sum() - (d + 1) * (place[axis] if axis < d else 0)
            self.neighbours.append([self._find(codes, codes + s) for s in (step, -step)])
        self.gain = 1 / (1 + 2.0**-d)

    @staticmethod
    def _find(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Where each wanted corner is, or len(codes) where there is none."""
        at = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
        return np.where(codes[at] == wanted, at, len(codes))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(N, C) float32 -> (N, C): each point's sum over all points, weighted by nearness."""
        blurred = self.spread.T @ values
        nothing = np.zeros((1, values.shape[1]), values.dtype)
        for one, other in self.neighbours:
            around = np.concatenate([blurred, nothing])
            blurred = blurred + 0.5 * (around[one] + around[other])
        return self.spread @ blurred * self.gain


def kernels(image: np.ndarray) -> list[tuple[float, Callable[[np.ndarray], np.ndarray]]]:
    """The two weighted filters of an image (S, S, 3) uint8, each normalised from both sides."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    where = np.stack([x.ravel(), y.ravel()], axis=1)
    found = []
    for place, colour, weight in (SMOOTH, ALIKE):
        points = where / place
        if colour is not None:
            points = np.concatenate([points, image.reshape(-1, 3) / colour], axis=1)
        lattice = Lattice(points)
        norm = 1 / np.sqrt(lattice(np.ones((len(points), 1), np.float32)) + 1e-20)

        def pull(values: np.ndarray, lattice: Lattice = lattice, norm: np.ndarray = norm):
            return norm * lattice(norm * values)

        found.append((weight, pull))
    return found


def refine(logits: np.ndarray, image: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """Logits (C, S, S) of C masks of one image (S, S, 3) uint8 -> logits after mean field.

    With two labels a pixel's belief is one number, tanh(x / 2), from -1 to 1: what speaks for one
    label speaks against the other.
    """
    unary = np.ascontiguousarray(logits.reshape(len(logits), -1).T, dtype=np.float32)
    pulls, x = kernels(image), unary
    for _ in range(iterations):
        belief = np.tanh(x / 2)
        x = unary + sum(weight * pull(belief) for weight, pull in pulls)
    return x.T.reshape(logits.shape)


def refine_batch(data: ReferData, batch: Batch, logits: Tensor) -> Tensor:
    """Logits (B, 1, S, S) of a data set's batch, refined; those of one image together, on the CPU.

    `evaluate` takes it as `refine`.
    """
    refined = torch.empty_like(logits)
    for image_id in batch.image_id.unique().tolist():
        mine = batch.image_id == image_id
        image = open_square(data, image_id, logits.shape[-1])
        found = refine(logits[mine, 0].float().cpu().numpy(), image)
        refined[mine, 0] = torch.from_numpy(found).to(refined)
    return refined
