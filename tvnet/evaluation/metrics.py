"""Overall IoU, mean IoU and Prec@X (Eq. 6, Eq. 7), kept as integers until the last division."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
BINS = {"all": (0.0, 1.01), "small": (0.0, 0.05), "medium": (0.05, 0.10), "big": (0.10, 1.01)}


@dataclass(frozen=True)
class PerSentence:
    """One evaluated split. Every array holds one integer per SENTENCE.

    `area` and `pixels` are the referent's and the image's pixels at original size.
    """

    sent_id: np.ndarray
    intersection: np.ndarray
    union: np.ndarray
    area: np.ndarray
    pixels: np.ndarray

    def iou(self) -> np.ndarray:
        """I / U per sentence. U is never 0: evaluation refuses an empty referent."""
        return self.intersection / self.union

    def within(self, size_bin: str) -> PerSentence:
        """Only the sentences whose referent's share of the image falls in the bin (P4.2, D35)."""
        keep = in_bin(self.area / self.pixels, size_bin)
        return PerSentence(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def in_bin(share: np.ndarray, size_bin: str) -> np.ndarray:
    """Whether a referent that fills this share of its image falls in the bin."""
    low, high = BINS[size_bin]
    return (share >= low) & (share < high)


def hits(intersection: np.ndarray, union: np.ndarray, x: float) -> np.ndarray:
    """Whether I / U >= X, in integers: 10 I >= 10 X U, with no rounding at the border."""
    return 10 * intersection >= round(10 * x) * union


def counters(found: PerSentence) -> dict:
    """The integers behind every figure, JSON-ready: n, sums of I and U, hits per threshold."""
    return {
        "n": len(found.sent_id),
        "intersection": int(found.intersection.sum()),
        "union": int(found.union.sum()),
        "hits": [int(hits(found.intersection, found.union, x).sum()) for x in THRESHOLDS],
        "iou_sum": float(found.iou().sum()),
    }


def by_size(found: dict[str, PerSentence]) -> dict[str, dict[str, dict]]:
    """{evaluator: {size bin: counters}}, as results keep them."""
    return {
        evaluator: {size_bin: counters(rows.within(size_bin)) for size_bin in BINS}
        for evaluator, rows in found.items()
    }


def figures(count: dict) -> dict[str, float]:
    """Percentages from the counters; NaN where a bin holds no sentence."""
    n = count["n"] or float("nan")
    table = {f"prec_{x}": 100 * h / n for x, h in zip(THRESHOLDS, count["hits"], strict=True)}
    table["overall_iou"] = 100 * count["intersection"] / (count["union"] or float("nan"))
    table["mean_iou"] = 100 * count["iou_sum"] / n
    return table
