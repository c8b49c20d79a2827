"""How the notebooks read and look: rhythm, figures, rendered copies, pages without a network."""

import re
import sys
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import nbformat
import pytest
from PIL import ImageFont

from data_setup.miniref.write import write
from tvnet.course.paper import load
from tvnet.model.trace import Trace
from tvnet.settings import settings

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import architecture  # noqa: E402
import glossary  # noqa: E402
import render  # noqa: E402
import run  # noqa: E402

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
README = (NOTEBOOKS.parent / "README.md").read_text("utf-8")
BUDGET = 1_400_000  # bytes of one rendered copy with its pictures, in full colour
ANATOMY = [r"^# \d\d · ", r"\*Reads in \d+ min · runs in ", r" · needs ", "Afterwards you can"]

each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path, kind):
    return [c.source for c in nbformat.read(path, 4).cells if c.cell_type == kind]


@each_notebook
def test_rhythm(path):
    """As much prose as code, short cells, narrow lines; what a reader must see is no set-up."""
    prose, code = cells(path, "markdown"), cells(path, "code")[1:]  # without Colab's cell
    assert sum(len(s.split()) for s in prose) >= sum(len(s.split()) for s in code)
    lengths = sorted(len(s.splitlines()) for s in code)
    assert lengths[len(lengths) // 2] <= 7 and lengths[-1] <= 25
    assert max(len(line) for s in code for line in s.splitlines()) <= 79
    assert not re.search(r"^(def|class) ", code[1], re.M), "the set-up cell defines something"


@each_notebook
def test_anatomy(path):
    first, *others = cells(path, "markdown")
    for part in ANATOMY:
        assert re.search(part, first, re.M), f"{path.stem} lacks {part}"
    number = path.stem[:2]
    assert f"![{architecture.alt(number)}](figures/architecture-{number}.svg)" in first
    assert "[Glossary of symbols](glossary.md)" in first
    assert len(re.findall(r"^- \*\*\w+", first, re.M)) == 3  # three verbs
    assert run.stated_seconds(path) < float("inf")
    headings = "".join(others)
    assert "where we differ" in headings and "**Three questions.**" in headings


@each_notebook
def test_figures_are_described_and_nothing_is_remote(path):
    for source in cells(path, "code"):
        calls = re.findall(r"plt\.(?:subplots|figure)\(|\bfigures\.(?!overlay)\w+\(", source)
        assert len(calls) <= 1, f"two figures in one cell: {source}"
        assert not calls or source.startswith("# Figure: "), f"a figure without words: {source}"
    for source in cells(path, "markdown"):
        assert not re.search(r"!\[\]|\]\(https?://\S+\.(png|svg|jpg|gif)|<(img|script)", source)


LONGEST = ("07_training", "09_ablations", "12_table2", "13_your_own_data")


@each_notebook
def test_the_rendered_copy_is_fresh_small_and_described(path):
    copy = NOTEBOOKS / "rendered" / f"{path.stem}.md"
    text = copy.read_text("utf-8")
    assert render.digest(path) in text.splitlines()[0], f"make rendered NOTEBOOK={path.stem}"
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", text)
    assert all(alt and (copy.parent / file).is_file() for alt, file in shown)
    pictures = list((copy.parent / path.stem).glob("*.png"))
    assert {p.name for p in pictures} == {Path(f).name for _, f in shown if f.endswith("png")}
    a_cell = [p.name.split("_")[1] for p in pictures]
    assert len(set(a_cell)) == len(a_cell), "two figures in one cell"
    assert len(text.encode()) + sum(p.stat().st_size for p in pictures) < BUDGET
    assert not re.search(r"Traceback|/home/|/root/|/work/|/tmp/", text)


@each_notebook
def test_exercises_say_what_they_cost_and_fold_their_answers(path):
    every = nbformat.read(path, 4).cells
    for k, cell in enumerate(every):
        if "# <- replace" in cell.source:
            task, answer = every[k - 1].source, every[k + 1].source
            for part in ("difficulty", "importance", "minutes)", "*Hint:*", "*Common error:*"):
                assert part in task.rsplit("**", 1)[-1], f"{part} is missing: {cell.source}"
            assert answer.startswith("<details><summary>Solution</summary>")


def test_the_teachers_plans_fill_their_time():
    """Minute marks without gaps, a break in each plan, notebooks 00 to 11 in the four sessions."""
    notes = (NOTEBOOKS / "INSTRUCTORS.md").read_text("utf-8")
    reading = {}
    for path in PATHS:
        minutes = re.search(r"Reads in (\d+) min", cells(path, "markdown")[0])[1]
        reading[path.stem[:2]] = int(minutes)
        assert f"### {path.stem[:2]} " in notes, f"{path.stem} has no notes"
    plans = re.findall(r"^## .*?\((\d+) minutes\)\n(.*?)(?=^## |\Z)", notes, re.M | re.S)
    assert len(plans) == 5
    taught = set()
    for k, (length, text) in enumerate(plans):
        steps = re.findall(r"^\| (\d+)-(\d+) \| (\d\d|break)", text, re.M)
        starts, ends = [int(a) for a, _, _ in steps], [int(b) for _, b, _ in steps]
        assert [*starts, int(length)] == [0, *ends]
        assert any(name == "break" and int(b) - int(a) == 10 for a, b, name in steps)
        for a, b, name in steps:
            assert name == "break" or int(b) - int(a) <= reading[name] + 20
        taught |= {name for _, _, name in steps} if k else set()
    assert {f"{number:02}" for number in range(12)} <= taught


def test_the_architecture_files_are_what_the_code_draws():
    for number in architecture.BOXES:
        file = NOTEBOOKS / "figures" / f"architecture-{number}.svg"
        assert file.read_text("utf-8") == architecture.svg(number)
        assert file.read_text("utf-8").count('stroke="#d55e00"') == 1  # one box is lit


def test_the_glossary_names_every_tensor_and_is_what_the_code_writes():
    assert glossary.FILE.read_text("utf-8") == glossary.text()
    assert [row[1] for row in load("symbols")["tensors"]] == [f.name for f in fields(Trace)]


def widths(drawn):
    """Each text with its left, baseline and right end, in DejaVu, the widest of the usual fonts."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for text in drawn.findall("{*}text"):
        bold = text.get("font-weight") in ("bold", "600")
        font = fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        size = 10 * int(text.get("font-size"))  # ten times as large: widths come in whole pixels
        x, y = float(text.get("x")), float(text.get("y"))
        yield text.text, x, y, x + ImageFont.truetype(font, size).getlength(text.text) / 10


def test_no_text_of_the_architecture_leaves_its_box():
    for number in architecture.BOXES:
        drawn = ElementTree.fromstring(architecture.svg(number))
        boxes = [[float(r.get(k, 0)) for k in ("x", "y", "width", "height")]
                 for r in drawn.findall("{*}rect")][1:]  # fmt: skip
        texts = list(widths(drawn))
        assert len(texts) > len(boxes) > len(architecture.BOXES)
        for words, left, line, right in texts:
            inside = [b for b in boxes if b[0] < left < b[0] + b[2] and b[1] < line < b[1] + b[3]]
            x, y, w, h = min(inside, key=lambda b: b[2] * b[3])
            assert right <= x + w - 4 and line <= y + h - 6, f"{words} leaves its box"
            over = [b for b in boxes if left < b[0] < right and b[1] < line < b[1] + b[3]]
            assert not over, f"{words} runs into a box"


def test_the_readmes_pictures_are_there_and_described():
    shown = re.findall(r"!\[(.*?)\]\((.*?)\)", README)
    assert shown[0][1].endswith("png")  # a sentence, its picture and its mask
    assert all(alt and (NOTEBOOKS.parent / file).is_file() for alt, file in shown)


def test_the_readme_lists_each_notebook_with_its_times():
    for path in PATHS:
        minutes, taken = re.search(r"Reads in (\d+) min · runs in (?:about )?(\d+ \w+)",
                                   cells(path, "markdown")[0]).groups()  # fmt: skip
        line = re.search(rf"^\| \[{path.stem}\]\(\S+\) \|.*$", README, re.M)
        assert line and line[0].endswith(f"| {minutes} | {taken} |"), path.stem


@pytest.mark.parametrize("make", [render.html, render.slides])
def test_pages_ask_nothing_of_a_network(make, tmp_path, monkeypatch):
    """Formulas are MathML, pictures lie in the page, scripts beside it."""
    monkeypatch.setattr(render, "OUT", tmp_path)
    monkeypatch.setattr(render, "REVEAL", tmp_path / "reveal")
    (tmp_path / "reveal" / "sphinx_revealjs" / "_static" / "revealjs").mkdir(parents=True)
    monkeypatch.setattr(render, "executed", lambda path, *_, **__: nbformat.read(path, 4))
    page = make(NOTEBOOKS / "04_enrichment.ipynb", {}).read_text("utf-8")
    assert not re.search(r"""(src|href)=["'](https?:)?//(?!colab)""", page)
    assert not re.search(
        r"""<script[^>]+src=["'](?!reveal\.js/)|import\(|@import|require\(""", page
    )
    assert "<math" in page and "\\mathrm" not in page and "data:image/svg+xml" in page


def test_prices_in_code_are_no_formulas():
    page = "<pre>$a$</pre><p>$x_1$ and <code>$y$</code></p>"
    made = render.with_mathml(page)
    assert "<pre>$a$</pre>" in made and "<code>$y$</code>" in made
    assert made.count("<math") == 1


@pytest.mark.slow
@each_notebook
def test_it_runs_twice_in_one_kernel_and_from_anywhere(path, tmp_path, tmp_path_factory):
    """By papermill, as `make notebooks` does, from a copy that lies elsewhere."""
    out = tmp_path_factory.getbasetemp() / "twice"
    world = NOTEBOOKS.parent / "data" / "miniref-smoke"
    if not world.exists():
        world = tmp_path_factory.getbasetemp() / "world"
        write(world, settings("smoke").miniref_pictures)
    given = {"PROFILE": "smoke", "DATA_DIR": str(world), "OUT_DIR": str(out)}
    notebook = nbformat.read(path, 4)
    if path.stem not in LONGEST:
        again = [nbformat.from_dict(cell) for cell in notebook.cells]
        k = next(i for i, c in enumerate(again) if "parameters" in c.metadata.get("tags", []))
        again[k] = nbformat.v4.new_code_cell("\n".join(f"{key} = {given[key]!r}" for key in given))
        notebook.cells += again
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"
    nbformat.write(notebook, tmp_path / path.name)
    assert run.run(tmp_path / path.name, given) is None
