"""CONTRIBUTING.md and tvnet/README.md name what exists: parts, files, commands, quoted lines."""

import re
from pathlib import Path

import pytest

from tests.test_packaging import PARTS

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING, HOUSE = ROOT / "CONTRIBUTING.md", ROOT / "tvnet" / "README.md"
PLACES = [ROOT, *(ROOT / "tvnet" / part for part in ("", "model", "data", "course"))]
NAME = r"[\w./-]+(?:\.(?:py|yaml|ipynb|md)|/)"


def drawn():
    """{part: what the drawing says of it}, from top to bottom."""
    return dict(re.findall(r"^ {4}([\w.]+) {2,}(\S.*)$", HOUSE.read_text(), re.M))


@pytest.mark.parametrize("guide", [CONTRIBUTING, HOUSE], ids=lambda path: path.name)
def test_every_file_that_a_guide_names_exists(guide):
    text = guide.read_text()
    for name in re.findall(rf"`({NAME})`", text):
        assert any((place / name).exists() for place in PLACES), name
    for name in re.findall(r"\]\((.+?)\)", text):
        assert (guide.parent / name).exists(), name
    assert len(text.splitlines()) < 70  # a screen


def test_the_drawing_holds_every_part_above_all_that_it_imports():
    order = [f"tvnet.{part}" for part in drawn()]
    assert set(order) == {part for part in PARTS if part != "data_setup"}
    for part, below in PARTS.items():
        for name in set(below) & set(order):
            assert order.index(part) < order.index(name), f"{part} stands below {name}"
    for part, words in drawn().items():
        folder = ROOT / "tvnet" / part
        for name in re.findall(r"[\w/]+\.py\b", words):
            assert (folder / name).is_file(), f"{part}/{name}"


def test_every_module_is_in_a_part():
    for path in (ROOT / "tvnet").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert module == "tvnet.__init__" or module.startswith(tuple(PARTS)), path


def test_commands_are_targets_and_quotes_are_lines_of_the_code():
    text = CONTRIBUTING.read_text()
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= {*targets}
    quotes = re.findall(r"\(`([\w/]+\.py)`\):\n\n```python\n(.*?)```", text, re.S)
    assert len(quotes) == 3 and all(code in (ROOT / path).read_text() for path, code in quotes)
