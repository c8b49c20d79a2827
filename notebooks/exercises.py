"""All exercises of the notebooks on one page for printing, and a second page with the answers.

python notebooks/exercises.py [--out out/exercises]
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import nbformat
import render  # it stands beside this file, in no package
from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook

HERE = Path(__file__).resolve().parent
TASK = re.compile(r"^\*\*\d · ", re.M)
ANSWER = re.compile(
    r"\s*<details><summary>(.*?)</summary>(.*?)</details>", re.S
)
ANSWERED = re.compile(r"return reference\..*")


def exercises(path: Path) -> list[str]:
    """The exercises of one notebook as Markdown, each with its stub and its folded answer."""
    parts: list[str] = []
    for cell in nbformat.read(path, 4).cells:
        text = cell.source
        if text.startswith("## Exercises"):
            parts.append(text[TASK.search(text).start() :])
        elif parts and text.startswith("## "):
            break
        elif parts and cell.cell_type == "code":
            stub = ANSWERED.sub("...", text.split("\n\n\nchecks.")[0])
            stub = stub[stub.index("def ") :]
            parts.append(f"```python\n{stub}\n```")
        elif parts:
            parts.append(text)
    whole = "\n\n".join(parts)
    starts = [match.start() for match in TASK.finditer(whole)]
    ends = [*starts, len(whole)][1:]
    return [whole[a:b].strip() for a, b in zip(starts, ends, strict=True)]


def sheet(answers: bool) -> str:
    """All exercises under the titles of their notebooks, as Markdown."""
    pages = ["# Exercises, with answers" if answers else "# Exercises"]
    for path in sorted(HERE.glob("*.ipynb")):
        found = exercises(path)
        if found:
            title = nbformat.read(path, 4).cells[0].source.split("\n")[0]
            pages.append(f"#{title}")
        shown = r"\n\n*\1.*\2" if answers else ""
        # The space keeps an exercise apart from the code of the one before.
        pages += [
            ANSWER.sub(shown, text).strip() + "\n\n&nbsp;" for text in found
        ]
    return "\n\n".join(pages) + "\n"


def printed(text: str, target: Path) -> Path:
    """The Markdown as one HTML page that asks nothing of a network."""
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    exporter = HTMLExporter(
        template_name="offline",
        extra_template_basedirs=[str(render.TEMPLATES)],
    )
    return render.exported(exporter, notebook, target, target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=render.OUT / "exercises")
    out = parser.parse_args(arguments).out
    for name, answers in (("exercises", False), ("answers", True)):
        print(printed(sheet(answers), out / f"{name}.html"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
