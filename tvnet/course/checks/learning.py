"""Checks for the exercises of notebooks 07 and 08: training and evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from tvnet.course import reference
from tvnet.course.checks.verdict import verdict


def mask_loss(yours: Callable) -> str:
    """Exercise of notebook 07: the loss of the whole recipe."""
    random = torch.Generator().manual_seed(0)
    cases = []
    for shape in ((1, 1, 1, 1), (1, 1, 1, 2), (2, 1, 1, 2), (3, 1, 4, 5)):
        logits = torch.randn(shape, generator=random)
        cases.append((logits, torch.rand(shape, generator=random) < 0.4))
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    mistakes = {
        "you average over the pixels, so weight decay weighs H * W times more": (
            lambda z, m: bce(z, m.float())
        ),
        "you sum over the images too; the sum over pixels is averaged over the batch": (
            lambda z, m: bce(z, m.float(), reduction="sum")
        ),
        "logits and mask are exchanged": (lambda z, m: bce(m.float(), z, reduction="sum") / len(z)),
        "you pass the logits through a sigmoid twice": (
            lambda z, m: bce(z.sigmoid(), m.float(), reduction="sum") / len(z)
        ),
        "you leave out the pixels outside the mask": (
            lambda z, m: -(z.sigmoid().log() * m).sum() / len(z)
        ),
    }
    return verdict(yours, reference.mask_loss, cases, mistakes)


def rate_at(yours: Callable) -> str:
    """Exercise of notebook 07: polynomial decay."""
    cases = [(0, 10, 2.5e-4, 1e-5), (10, 10, 2.5e-4, 1e-5), (5, 10, 2.5e-4, 1e-5)]
    cases += [(15, 10, 2.5e-4, 1e-5), (1, 4, 1.0, 0.0), (333, 1000, 6e-3, 1e-5)]
    mistakes = {
        "at the last step it must be `last`, not zero: decay only the difference": (
            lambda t, n, a, b: a * (1 - min(t, n) / n) ** 0.9
        ),
        "`first` and `last` are exchanged": (lambda t, n, a, b: reference.rate_at(t, n, b, a)),
        "this is a straight line; the power 0.9 is missing": (
            lambda t, n, a, b: (a - b) * (1 - min(t, n) / n) + b
        ),
        "it rises: the share of steps LEFT is raised to the power": (
            lambda t, n, a, b: (a - b) * (min(t, n) / n) ** 0.9 + b
        ),
        "after the last step the rate stays at `last`": (
            lambda t, n, a, b: (a - b) * (1 - t / n) ** 0.9 + b,
            lambda t, n, a, b: (a - b) * float(torch.tensor(1 - t / n) ** 0.9) + b,
            lambda t, n, a, b: (a - b) * abs(1 - t / n) ** 0.9 + b,
        ),
    }
    return verdict(yours, reference.rate_at, cases, mistakes)


def shuffled(yours: Callable) -> str:
    """Exercise of notebook 07: the planted bug, corrected."""
    cases = []
    for order in ([0], [1, 0], [2, 0, 1]):
        n = len(order)
        words, lengths = torch.arange(2 * n).reshape(n, 2), torch.arange(n) + 1
        cases.append((words, lengths, (torch.arange(n) % 2 == 0)[:, None], torch.tensor(order)))
    back = reference.shuffled
    mistakes = {
        "the sentences move and the masks stay: each sentence gets another's mask": (
            lambda w, n, m, o: (w[o], n[o], m)
        ),
        "the lengths stay behind, so sentences are cut at other sentences' ends": (
            lambda w, n, m, o: (w[o], n, m[o])
        ),
        "nothing has moved": lambda w, n, m, o: (w, n, m),
        "you return the three in another order; asked for is words, lengths, mask": (
            lambda w, n, m, o: (w[o], m[o], n[o]),
            lambda w, n, m, o: (n[o], w[o], m[o]),
            lambda w, n, m, o: (m[o], w[o], n[o]),
        ),
        "row i must be row order[i] of before; you send row i to order[i]": (
            lambda w, n, m, o: back(w, n, m, o.argsort())
        ),
    }
    return verdict(yours, reference.shuffled, cases, mistakes)


def size_bin(yours: Callable) -> str:
    """Exercise of notebook 08: small, medium or big."""
    cases = [
        (1, 100), (1, 10**4), (5, 100), (10, 100), (50, 100), (49, 1000), (99, 1000),
        (3000, 10**4),
    ]  # fmt: skip

    def inclusive(area: int, pixels: int) -> str:
        share = area / pixels
        return "small" if share <= 0.05 else "medium" if share <= 0.10 else "big"

    def absolute(area: int, pixels: int) -> str:
        return "small" if area < 32**2 else "medium" if area < 96**2 else "big"

    def as_per_cent(area: int, pixels: int) -> str:
        share = area / pixels
        return "small" if share < 5 else "medium" if share < 10 else "big"

    mistakes = {
        "exactly 5 % is no longer small, exactly 10 % no longer medium": inclusive,
        "these are COCO's absolute areas; the paper takes a share of the image": absolute,
        "5 % is 0.05: you compare the share with 5": as_per_cent,
        "area and pixels are exchanged: divide the mask by the image": (
            lambda a, p: reference.size_bin(p, a)
        ),
    }
    return verdict(yours, reference.size_bin, cases, mistakes)


def overall_iou(yours: Callable) -> str:
    """Exercise of notebook 08: Eq. 6."""
    pairs = [([1], [2]), ([0, 3], [1, 3]), ([50, 9], [100, 10]), ([0, 2], [4, 4])]
    pairs += [([900, 1, 2, 0], [1000, 2, 4, 30])]
    cases = [(np.array(i), np.array(u)) for i, u in pairs]
    mistakes = {
        "you average the ratios, which is mean IoU; divide the sums": lambda i, u: (i / u).mean(),
        "you divide union by intersection": lambda i, u: u.sum() / i.sum(),
        "you give one ratio per sentence; sum first": lambda i, u: i / u,
        "you give per cent; the check expects a share": lambda i, u: 100 * i.sum() / u.sum(),
        "you divide by the intersection plus the union": lambda i, u: i.sum() / (i + u).sum(),
    }
    return verdict(yours, reference.overall_iou, cases, mistakes)


def precision_at(yours: Callable) -> str:
    """Exercise of notebook 08: Eq. 7."""
    values = [([0.6], 0.5), ([0.5], 0.5), ([0.4, 0.9], 0.5), ([0.7, 0.2, 0.9, 0.71], 0.7)]
    values += [([0.7, 0.4, 0.9, 0.66, 0.695, 0.55], 0.7)]
    cases = [(np.array(iou), x) for iou, x in values]
    mistakes = {
        "Eq. 7 counts an IoU that equals the threshold": lambda v, x: (v > x).mean(),
        "you return a count; divide by the number of sentences": lambda v, x: (v >= x).sum(),
        "you average the IoUs that pass; each of them counts as 1": (
            lambda v, x: np.where(v >= x, v, 0).mean()
        ),
        "you count the sentences that miss the threshold": lambda v, x: (v < x).mean(),
        "you give per cent; the check expects a share": lambda v, x: 100 * (v >= x).mean(),
    }
    return verdict(yours, reference.precision_at, cases, mistakes)
