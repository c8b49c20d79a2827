"""The answers to the exercises of notebooks 01, 07 and 08, as short as they can be said."""

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


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy summed over pixels, averaged over the B images of (B, 1, H, W)."""
    total = F.binary_cross_entropy_with_logits(logits, mask.float(), reduction="sum")
    return total / len(logits)


def rate_at(step: int, steps: int, first: float, last: float) -> float:
    """Polynomial decay of power 0.9 from `first` at step 0 to `last` at `steps`."""
    return (first - last) * (1 - min(step, steps) / steps) ** 0.9 + last


def shuffled(words: Tensor, lengths: Tensor, mask: Tensor, order: Tensor) -> tuple:
    """One batch in another order, every sentence still beside its own length and mask."""
    return words[torch.as_tensor(order)], lengths[order], mask[order]
