"""Copies of the notebooks for a class: the marked lines are blanked, folded answers are gone.

    python notebooks/student.py [--out out/student]

The copies are made from the notebooks each time and are not committed, so they cannot go stale.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
MARKED = re.compile(r"^( +)return reference\..*# <- replace.*$", re.M)
BLANK = r"\1raise NotImplementedError  # <- your lines"
# What is said of the stubs is true of the full notebooks only.
PROSE = (
    "Each stub returns the reference's answer, so the notebook runs as it is. Replace the marked line",
    "Each check says `o not attempted yet` until you replace the marked line. Write yours",
)
NOTE = "\n\n**This is a copy for students.** {stubs}The answers are left out, and everything else runs as it is."
STUBS = (
    "Marked lines are blank, and each exercise has one cell for its solution. Write it whole into this cell, "
    "because your teacher may run the cell alone. "
)
FOLDED = re.compile(r"\s*<details>.*?</details>", re.S)


def blanked(notebook: NotebookNode) -> NotebookNode:
    """The notebook as a student gets it."""
    asked = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, marked = MARKED.subn(BLANK, cell.source)
            asked = asked or bool(marked)
        else:
            cell.source = FOLDED.sub("", cell.source).replace(*PROSE)
    notebook.cells[0].source += NOTE.format(stubs=STUBS if asked else "")
    return notebook


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "out" / "student"
    )
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    paths = sorted(HERE.glob("*.ipynb"))
    for path in paths:
        nbformat.write(blanked(nbformat.read(path, 4)), out / path.name)
    figures = out / "figures"
    if (
        not figures.exists()
    ):  # the pictures in the text are found beside the copies too
        figures.symlink_to(HERE / "figures", target_is_directory=True)
    shutil.copy(HERE / "glossary.md", out)
    print(f"{len(paths)} notebooks without answers are in {out}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
