"""How the texts read: sentences of a usual length, short paragraphs, graded exercises."""

import re
from pathlib import Path
from statistics import median

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "notebooks/INSTRUCTORS.md")]
KINDS = {"by hand", "code", "a failure", "open"}
EXERCISE = re.compile(
    r"^\*\*(\d) · [^*]+\*\* \(([\w ]+), difficulty [123](?: of 3)?, "
    r"importance [123](?: of 3)?, \d+ minutes\)\.",
    re.M,
)


def words(text):
    return len(re.findall(r"\w\S*", text))


def paragraphs(text):
    """Without code, tables, formulas, headings and pictures; each item of a list is one."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for block in re.split(r"\n\s*\n", text):
        if not re.match(r" {4}|[|#<]|!\[|\$\$", block):
            yield from re.split(r"\n(?=(?:[-*]|\d+\.) )", block)


def texts_of(path):
    if path.suffix == ".md":
        return [re.sub(r"<!-- (\w+) -->.*<!-- /\1 -->", "", path.read_text("utf-8"), flags=re.S)]
    cells = nbformat.read(path, 4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


@pytest.mark.parametrize("path", [*PATHS, *PAGES], ids=lambda path: path.stem)
def test_sentences_and_paragraphs_have_a_length_that_one_reads_once(path):
    lengths = []
    for paragraph in (p for text in texts_of(path) for p in paragraphs(text)):
        assert len(paragraph.split()) <= 90, paragraph
        found = re.split(r"(?<=[.?!:])\s+(?=[A-Z\"“$`(*])", paragraph)
        lengths += [n for n in map(words, found) if n > 2]
    assert 10 <= median(lengths) <= 20
    assert max(lengths) <= 60


@pytest.mark.parametrize("path", PATHS[1:9], ids=lambda path: path.stem)
def test_exercises_are_numbered_and_of_every_kind(path):
    text = "\n\n".join(texts_of(path))
    found = EXERCISE.findall(text)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    assert {kind for _, kind in found} == KINDS
    # Each has a folded answer, and the three questions have one.
    assert text.count("<details><summary>") == len(found) + 1
