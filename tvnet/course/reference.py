"""The answers to the exercises, in the order of the notebooks, as short as possible."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def union_of(parts: np.ndarray) -> np.ndarray:
    """(n, H, W) bool polygons of one referent -> (H, W) bool, without holes."""
    return parts.any(axis=0)


def shared_images(train: list[int], val: list[int]) -> float:
    """The share of val's distinct images that train holds too."""
    held_out = set(val)
    return len(held_out & set(train)) / len(held_out)


def last_state(states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, d) states and (B) lengths -> (B, d), the state after each sentence's last word."""
    return states[torch.arange(len(lengths)), lengths - 1]


def to_square(x: float, y: float, width: int, height: int, size: int) -> tuple[float, float]:
    """A pixel of a width x height picture -> its place in the centred, padded square."""
    scale = size / max(width, height)
    return x * scale + (size - width * scale) / 2, y * scale + (size - height * scale) / 2


def candidates(similarity: np.ndarray, images: np.ndarray, own: int, k: int) -> list[int]:
    """Stage one: the k images whose best sentences are most similar, without the query's own."""
    ranked = images[np.argsort(-similarity, kind="stable")].tolist()
    return list(dict.fromkeys(image for image in ranked if image != own))[:k]


def second_stage(candidates: np.ndarray, pool: np.ndarray, own: np.ndarray) -> int:
    """Stage two: the candidate whose image vector has the largest cosine with the query's."""
    vectors = pool[candidates]
    cosine = vectors @ own / np.linalg.norm(vectors, axis=1) / np.linalg.norm(own)
    return int(candidates[cosine.argmax()])


def attention(q: Tensor, k: Tensor, valid: Tensor) -> Tensor:
    """(N, d) queries, (M, d) keys, (M) bool -> A (N, M) of Eq. 1, scaled, padding left out."""
    scores = q @ k.T / q.shape[1] ** 0.5
    return scores.masked_fill(~valid, -torch.inf).softmax(dim=1)


def enriched(V_in: Tensor, gate: Tensor, borrowed: Tensor) -> Tensor:
    """Eq. 2 from the gate's logits; all (B, d, h, w)."""
    return V_in + gate.sigmoid() * borrowed


def coordinates_of(row: int, col: int, h: int, w: int) -> tuple[float, ...]:
    """O at one cell: left, top, right, bottom, centre x, y in [-1, 1]; width, height as shares."""
    left, top = 2 * col / w - 1, 2 * row / h - 1
    right, bottom = left + 2 / w, top + 2 / h
    return left, top, right, bottom, left + 1 / w, top + 1 / h, 1 / w, 1 / h


def lstm_step(i: Tensor, f: Tensor, o: Tensor, g: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The gates before their sigmoids and the old memory -> the new state and memory."""
    c = (f + 1).sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def unshuffle(x: Tensor) -> Tensor:
    """(B, C, 2h, 2w) -> (B, 4C, h, w), the inverse of pixel shuffle."""
    return F.pixel_unshuffle(x, 2)


def gated_detail(U: Tensor, V2_prime: Tensor, gate: Tensor) -> Tensor:
    """[U; A2 * V2'] of Eq. 5 from the gate's logits (B, 1, H, W)."""
    return torch.cat([U, gate.sigmoid() * V2_prime], dim=1)


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy summed over pixels, averaged over the B images of (B, 1, H, W)."""
    total = F.binary_cross_entropy_with_logits(logits, mask.float(), reduction="sum")
    return total / len(logits)


def rate_at(step: int, steps: int, first: float, last: float) -> float:
    """Polynomial decay of power 0.9 from `first` at step 0 to `last` at `steps`."""
    return (first - last) * (1 - min(step, steps) / steps) ** 0.9 + last


def shuffled(words: Tensor, lengths: Tensor, mask: Tensor, order: Tensor) -> tuple:
    """One batch in another order, every sentence with its own length and mask."""
    return words[torch.as_tensor(order)], lengths[order], mask[order]


def size_bin(area: int, pixels: int) -> str:
    """ "small" below 5 % of the image, "medium" below 10 %, else "big"."""
    share = area / pixels
    return "small" if share < 0.05 else "medium" if share < 0.10 else "big"


def overall_iou(intersection: np.ndarray, union: np.ndarray) -> float:
    """Eq. 6: all intersections over all unions."""
    return float(intersection.sum() / union.sum())


def precision_at(iou: np.ndarray, threshold: float) -> float:
    """Eq. 7: the share of sentences whose IoU reaches the threshold."""
    return float((iou >= threshold).mean())
