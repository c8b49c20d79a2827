"""What teachers use: the sheet of exercises, and the marks of copies that were handed in."""

import csv
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tvnet.course import checks

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import exercises  # noqa: E402
import marking  # noqa: E402
import slides  # noqa: E402


def test_the_sheet_holds_every_exercise_once_and_no_answer(tmp_path):
    text, answers = exercises.sheet(False), exercises.sheet(True)
    tasks = re.findall(r"^\*\*\d · (.+?)\*\* \(", text, re.M)
    assert len(tasks) == len(set(tasks)) >= 8 * 4
    assert re.findall(r"^## (\d\d)", text, re.M) == [f"0{n}" for n in range(1, 9)]
    assert text.count("```python\ndef my_") == len(checks.__all__)
    for hidden in ("<details>", "reference.", "Solution", "Three questions", "notebook_done"):
        assert hidden not in text
    assert answers.count("*Solution.*") + answers.count("*What you may find.*") == len(tasks)
    page = exercises.printed(text, tmp_path / "exercises.html").read_text("utf-8")
    assert "<math" in page and not re.search(r'(src|href)="https?:', page)


GOOD = "def mine(i, u):\n    return i.sum() / u.sum()\n\n\nchecks.overall_iou(mine);"
BAD = "def mine(iou, x):\n    return (iou > x).mean()\n\n\nchecks.precision_at(mine);"
BLANK = "def mine(z, m):\n    raise NotImplementedError\n\n\nchecks.mask_loss(mine);"
BROKEN = "from tvnet.course import checks\n\nmine = nothing\nchecks.size_bin(mine);"
ENDLESS = "import time\n\n\ndef mine(*any):\n    time.sleep(999)\n\n\nchecks.rate_at(mine);"


def handed_in(folder, name, *cells):
    folder.mkdir(exist_ok=True)
    copy = new_notebook(cells=[new_code_cell(source) for source in ("1 / 0", *cells)])
    nbformat.write(copy, folder / f"{name}.ipynb")


@pytest.mark.slow
def test_marks_say_what_each_check_said(tmp_path, capsys):
    handed_in(tmp_path / "ada", "08", GOOD, BAD, BLANK, BROKEN)
    handed_in(tmp_path / "bob", "08", GOOD, ENDLESS, BAD)
    (tmp_path / "bob" / "torn.ipynb").write_text("{half")
    assert marking.main([str(tmp_path), "--limit", "15"]) == 0
    printed = capsys.readouterr().out
    assert "ada/08.ipynb: 1 of 4 pass" in printed and "bob/08.ipynb: 1 of 3 pass" in printed
    assert "bob/torn.ipynb: no notebook that can be read" in printed
    with (tmp_path / "marks.csv").open(encoding="utf-8") as file:
        marks = {(row["copy"][:3], row["exercise"]): row for row in csv.DictReader(file)}
    assert [marks["ada", name]["passed"] for name in ("overall_iou", "precision_at")] == [
        "yes", "no",
    ]  # fmt: skip
    assert "equals the threshold" in marks["ada", "precision_at"]["said"]
    assert marks["ada", "mask_loss"]["said"] == "o not attempted yet"
    assert marks["ada", "size_bin"]["said"].startswith(
        "x the cell raises NameError: name 'nothing'"
    )
    assert marks["bob", "rate_at"]["said"] == "x the time is over" != marks["bob", "overall_iou"]


def test_a_folder_without_copies_is_refused_in_a_sentence(tmp_path, capsys):
    assert marking.main([str(tmp_path)]) == 2
    assert "has a check: name the folder with the copies." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_slides_show_results_and_leave_out_exercises_and_set_up():
    notebook = slides.arranged(nbformat.read(NOTEBOOKS / "08_evaluation.ipynb", 4))
    kinds = {"slide": [], "subslide": [], "-": [], "skip": []}
    for cell in notebook.cells:
        kinds[cell.metadata["slideshow"]["slide_type"]].append(cell)
    assert [cell.source[:5] for cell in kinds["slide"]][:3] == ["# 08 ", "## 1 ", "## 2 "]
    assert not any("Colab" in cell.source for cell in kinds["slide"])
    assert kinds["slide"][-1].source.startswith("## What the paper says")
    assert all(cell.source.startswith("**What to notice.**") for cell in kinds["-"])
    left_out = "".join(cell.source for cell in kinds["skip"])
    for part in ("PROFILE: str", "start(globals())", "## Exercises", "checks.", "notebook_done("):
        assert part in left_out
    figures = [c for c in notebook.cells if c.source.startswith("# Figure: ")]
    assert figures and all(slides.HIDDEN_INPUT in cell.metadata["tags"] for cell in figures)
