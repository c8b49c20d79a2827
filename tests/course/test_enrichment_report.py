"""The tables about the retrieved image."""

import numpy as np
import pytest

from tests.course.test_contrasts import N, sentences  # noqa: F401  a fixture
from tvnet.course.enrichment_report import inside_markdown, slices_markdown, swaps_markdown
from tvnet.evaluation.inside_res import Inside, Level
from tvnet.evaluation.metrics import PerSentence

ROW = "Baseline+RES"


@pytest.fixture
def swapped(sentences):  # noqa: F811
    """Random images cost two points of IoU in the first half of the sentences, black ones none."""
    found = {}
    for control, loss in {"random": 20, "black": 0}.items():
        for seed in range(3):
            inside, union = sentences.runs[ROW, seed].copy()
            inside[: N // 2] -= loss
            more = (sentences.share, np.ones(N))
            found[f"{ROW}, {control}", seed] = PerSentence(sentences.sent_id, inside, union, *more)
    return sentences.joined(found)


def test_each_control_that_was_measured_has_a_line(swapped):
    lines = swaps_markdown(swapped, ROW).splitlines()
    names = [line.split("|")[1].strip() for line in lines[2:]]
    assert names == ["retrieved", "random", "black"]
    assert lines[2].endswith("|  |  |") and "| -1.00 [-1." in lines[3]
    assert lines[4].endswith("| +0.00 [+0.00, +0.00] | 0.00 |")


def test_a_difference_stands_in_the_slice_that_it_was_made_in(swapped):
    first = np.arange(N) < N // 2
    steps = {"+RES": ("Baseline", ROW), "retrieved": (f"{ROW}, random", ROW)}
    slices = {"first half": first, "none": np.zeros(N, dtype=bool)}
    text = slices_markdown(swapped, slices, steps)
    table = {tuple(c.strip() for c in r.split("|")[1:4:2]): r for r in text.splitlines()[2:]}
    assert len(table) == 8  # all, the half, the rest, and "not: none"; the empty one is left out
    assert "**+2.00 [+2.00, +2.00]**" in table["first half", "mean IoU"]
    assert "+0.00 [+0.00, +0.00]" in table["not: first half", "mean IoU"]
    assert f"| {N // 2} |" in table["first half", "Prec@0.5"]


def test_runs_on_other_sentences_are_not_compared(sentences):  # noqa: F811
    other = PerSentence(*np.ones((5, N), dtype=np.int64))
    with pytest.raises(ValueError, match="CMPC with seed 4 was measured on other sentences"):
        sentences.joined({("CMPC", 4): other})


def test_what_res_does_is_a_line_a_level():
    level = Level(entropy=0.755, gate=0.5, added=0.041, constant=0.78, specific=0.4)
    text = inside_markdown(Inside({3: level, 4: level, 5: level}, 0.0009, 0.012))
    assert "| 3 | 0.76 | 0.50 | 4.1 % | 78.0 % | 40.0 % |" in text
    assert "0.09 % of the pixels" in text and text.endswith("a mask marks, 1.2 %.")
