"""Which of the paper's steps hold here: differences between rows, sentence by sentence.

CONTRASTS and MEASURES were fixed before the first run; their verdicts are corrected for how many
they are. Every other step of Table 1 is shown beside them with its interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tvnet.course.tables import COLUMNS, HEADINGS, SIZES, STEPS, paper_table, table
from tvnet.evaluation.sentences import Sentences
from tvnet.evaluation.statistics import Difference, difference, holm, verdict

CONTRASTS = (
    ("Baseline", "Baseline+RES"),  # the retrieved image helps
    ("Baseline+RES", "Baseline+RES+AMF"),  # high-resolution detail helps
    ("Baseline+RES+Cct", "Baseline+RES+AMF"),  # taken adaptively, more than by concatenation
    ("CMPC", "Baseline+RES+AMF"),  # the whole is better than the system before it
)
MEASURES = ("prec_0.5", "prec_0.8", "mean_iou")
SHOWN = ("prec_0.5", "prec_0.9", "overall_iou")
NAMES = HEADINGS | {"mean_iou": "mean IoU"}


@dataclass(frozen=True)
class Contrast:
    """One step of Table 1 in one measure: what the paper prints, and what was measured.

    paper: its difference in points, None where it prints none; then any gain is its direction.
    p: corrected for the contrasts that it stands among.
    """

    step: tuple[str, str]
    size: str
    measure: str
    paper: float | None
    ours: Difference
    p: float

    @property
    def verdict(self) -> str:
        """ "holds", "opposite", "smaller than X" or "undecided"."""
        return verdict(self.ours, self.paper, self.p)


def fixed(sentences: Sentences) -> list[Contrast]:
    """The contrasts that decide."""
    return contrasts_of(sentences, CONTRASTS, ("all",), MEASURES)


def every(
    sentences: Sentences, steps: tuple[tuple[str, str], ...] = STEPS, shown: tuple[str, ...] = SHOWN
) -> list[Contrast]:
    """The steps of the paper's Table 1, of all and of small referents.

    All columns are corrected for, so that a verdict does not depend on what is shown.
    """
    return [c for c in contrasts_of(sentences, steps, SIZES, COLUMNS) if c.measure in shown]


@lru_cache(maxsize=4)  # the claims ask for the same steps again and again
def contrasts_of(
    sentences: Sentences,
    steps: tuple[tuple[str, str], ...],
    sizes: tuple[str, ...],
    measures: tuple[str, ...],
) -> list[Contrast]:
    """Of the steps whose rows were run, in the order of the sizes; p corrected for all of them."""
    ours = {}
    for size in sizes:
        for step in filter(lambda rows: sentences.has(*rows), steps):
            pair = sentences.pair(*step, size)
            ours |= {(step, size, measure): difference(*pair, measure) for measure in measures}
    corrected = holm([found.p for found in ours.values()])
    return [
        Contrast(*key, _printed(*key), found, p)
        for (key, found), p in zip(ours.items(), corrected, strict=True)
    ]


def _printed(step: tuple[str, str], size: str, measure: str) -> float | None:
    """What the second row of the paper's Table 1 has more than the first, where it prints both."""
    rows = paper_table()[size]
    if measure not in COLUMNS or not set(step) <= rows.keys():
        return None
    first, second = (rows[row][COLUMNS.index(measure)] for row in step)
    return round(second - first, 2)


def interval(found: Difference, form: str = "+.1f") -> str:
    """A difference with its 95 % interval."""
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def markdown(found: list[Contrast]) -> str:
    """One line a contrast: the paper's difference, ours with its 95 % interval, the smallest that
    would have been seen, and the verdict."""
    if not found:
        return "The rows that are compared here have not been run yet: `make evening` runs them."
    rows = []
    for c in found:
        paper = "" if c.paper is None else f"{c.paper:+.2f}"
        cells = [c.size, " → ".join(c.step), NAMES[c.measure], paper, interval(c.ours)]
        rows.append([*cells, f"{c.ours.detectable:.1f}", f"{c.p:.3f}", c.verdict])
    head = ["size", "step", "measure", "paper", "ours", "could be seen from", "p", "verdict"]
    return table(head, rows)


def in_words(found: list[Contrast]) -> str:
    """How many of the contrasts hold, are opposite, bounded or undecided, and which."""
    lines = []
    for name, start in (
        ("holds", "The paper's direction holds for"),
        ("opposite", "We measure the opposite for"),
        ("smaller", "The difference is smaller than the paper's for"),
        ("undecided", "No decision is possible for"),
    ):
        chosen = [c for c in found if c.verdict.startswith(name)]
        named = "; ".join(f"{' → '.join(c.step)} in {NAMES[c.measure]} ({c.size})" for c in chosen)
        lines.append(f"- {start} {len(chosen)} of {len(found)}" + (f": {named}." if named else "."))
    return "\n".join(lines)
