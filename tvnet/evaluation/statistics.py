"""How sure a difference between two rows is: paired, over pictures and seeds.

Sentences of one picture are not independent of each other, and a network trained again is another
network. So pictures and seeds are resampled together, and both rows are read on the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tvnet.evaluation.metrics import PerSentence, hits

LEVEL = 0.05  # the probability of a verdict where there is no difference
POWER = 0.8  # how often a difference of the size `detectable` is seen
DRAWS = 2000
FEWEST = 30  # pictures: of fewer, resampling makes intervals that are much too narrow


@dataclass(frozen=True)
class Row:
    """One row of Table 1 on one split: intersections and unions in pixels (seeds, sentences)."""

    intersection: np.ndarray
    union: np.ndarray

    def sums(self, metric: str, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of a metric, summed over each picture: (seeds, pictures).

        `which` (sentences,) numbers the pictures from 0.
        """
        if metric == "overall_iou":
            above, below = self.intersection, self.union
        else:
            below = np.ones_like(self.union)
            above = self.intersection / self.union
            if metric.startswith("prec_"):
                x = float(metric.removeprefix("prec_"))
                above = hits(self.intersection, self.union, x)
        pictures = which.max() + 1
        return tuple(
            np.stack([np.bincount(which, seed, minlength=pictures) for seed in values])
            for values in (above, below)
        )

    def value(self, metric: str) -> float:
        """Of all sentences, in per cent, as the mean over the seeds."""
        above, below = self.sums(metric, np.zeros(self.union.shape[1], dtype=np.int64))
        return 100 * float((above / below).mean())


@dataclass(frozen=True)
class Difference:
    """Second row minus first, in percentage points, with its 95 % interval.

    `p` is two-sided; `detectable` is the smallest true difference that this design would tell
    from none in four of five repetitions.
    """

    value: float
    low: float
    high: float
    p: float
    detectable: float
    seeds: int


def difference(
    first: Row, second: Row, image_ids: np.ndarray, metric: str, draws: int = DRAWS
) -> Difference:
    """Compare two rows of the same seeds on the same sentences; image_ids (sentences,).

    The standard error is that of `draws` resamples of pictures and seeds. Few seeds know their own
    scatter badly: a resample of S of them has (S - 1) / S of it, which is corrected, and the
    interval is that of Student's t with Welch and Satterthwaite's degrees of freedom. With one seed
    it speaks of these very networks only. Of fewer than FEWEST pictures nothing is concluded.
    """
    from scipy import stats  # training measures without it

    _, which = np.unique(image_ids, return_inverse=True)
    rows = [row.sums(metric, which) for row in (first, second)]
    seeds, pictures = rows[0][0].shape

    def values(weights: np.ndarray) -> np.ndarray:
        """(draws, seeds): the difference of each seed where pictures count this often."""
        a, b = (weights @ above.T / (weights @ below.T) for above, below in rows)
        return 100 * (b - a)

    value = float(values(np.ones((1, pictures))).mean())
    if pictures < FEWEST:
        return Difference(value, -100.0, 100.0, 1.0, 100.0, seeds)
    often, again = _resamples(pictures, seeds, draws)
    drawn = values(often)
    over_pictures = drawn.mean(1)
    again = np.take_along_axis(drawn, again, 1).mean(1)
    widen = (seeds / (seeds - 1)) ** 0.5 if seeds > 1 else 1.0
    error = np.std(over_pictures + widen * (again - over_pictures))
    of_seeds = max(0.0, error**2 - np.var(over_pictures)) if seeds > 1 else 0.0
    freedom = (seeds - 1) * (error**2 / of_seeds) ** 2 if of_seeds else np.inf
    if error < 1e-9:  # every picture differs by the same, which is nothing where the rows agree
        return Difference(value, value, value, float(abs(value) < 1e-9), 0.0, seeds)
    t = stats.t(freedom) if np.isfinite(freedom) else stats.norm
    half = float(t.ppf(1 - LEVEL / 2) * error)
    seen = float((t.ppf(1 - LEVEL / 2) + t.ppf(POWER)) * error)
    p = float(2 * t.sf(abs(value) / error))
    return Difference(value, value - half, value + half, p, seen, seeds)


@lru_cache(maxsize=4)  # every contrast of a table is resampled in the same way
def _resamples(pictures: int, seeds: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each picture counts (draws, pictures), and which seeds are read (draws, seeds)."""
    dice = np.random.default_rng(0)
    often = dice.multinomial(pictures, np.full(pictures, 1 / pictures), draws)
    return often.astype(float), dice.integers(seeds, size=(draws, seeds))


def interval(found: PerSentence, image_ids: np.ndarray, metric: str) -> tuple[float, float]:
    """The middle 95 % of one network's metric, in per cent, where its pictures are resampled.

    image_ids (sentences,). (nan, nan) where there are fewer than FEWEST pictures.
    """
    _, which = np.unique(image_ids, return_inverse=True)
    above, below = Row(found.intersection[None], found.union[None]).sums(metric, which)
    pictures = above.shape[1]
    if pictures < FEWEST:
        return np.nan, np.nan
    weights, _ = _resamples(pictures, 1, DRAWS)
    low, high = np.quantile((weights @ above[0]) / (weights @ below[0]), [LEVEL / 2, 1 - LEVEL / 2])
    return 100 * float(low), 100 * float(high)


def verdict(found: Difference, paper: float | None, p: float | None = None) -> str:
    """What a difference says of the paper's own, whose sign is its direction.

    "holds" or "opposite" where p (corrected for the number of tests, or its own) is below LEVEL;
    "smaller than X" where the interval ends below the paper's difference in both directions;
    else "undecided". Where the paper prints none (None), any gain is its direction, and the
    interval's end is said, unless it is the 100 points of too few pictures.
    """
    if (found.p if p is None else p) < LEVEL:
        return "holds" if found.value * (1 if paper is None else paper) > 0 else "opposite"
    bound = max(abs(found.low), abs(found.high))
    bounded = bound < (100 if paper is None else abs(paper))
    return f"smaller than {bound:.1f}" if bounded else "undecided"


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for how many there are: the smallest times n, the next times n - 1, ...

    If none of the effects is real, any of the results falls below a level with at most that
    probability (Holm 1979).
    """
    corrected, least = [0.0] * len(values), 0.0
    for k, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - k) * values[i]))
        corrected[i] = least
    return corrected
