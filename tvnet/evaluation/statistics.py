"""A paired t-test over seeds, and Holm's correction for many tests."""

from __future__ import annotations

from statistics import mean, stdev

from scipy import stats

LEVEL = 0.05  # the probability that any verdict of the table is due to chance


def p_value(differences: list[float]) -> float:
    """Two-sided, of a t-test that their mean is zero; 1 where there is nothing to test."""
    n, m = len(differences), mean(differences)
    if n < 2 or m == 0:
        return 1.0
    sd = stdev(differences)
    return float(2 * stats.t.sf(abs(m) / sd * n**0.5, n - 1)) if sd else 0.0


def holm(values: list[float]) -> list[float]:
    """p values corrected for how many there are: the smallest times n, the next times n - 1, ...

    If none of the effects is real, any of the results falls below a level with at most that
    probability (Holm 1979).
    """
    corrected, least = [0.0] * len(values), 0.0
    for k, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - k) * values[i]))
        corrected[i] = least
    return corrected
