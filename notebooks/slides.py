"""What of an executed notebook stands on its slides, so that they can be followed without a speaker."""

from __future__ import annotations

import re

from nbformat import NotebookNode

HIDDEN_INPUT = "figure"  # the tag of a cell whose code is left out
DESK = re.compile(r"^\[(Open in Colab|The notebook)\].*\n\n", re.M)


def arranged(notebook: NotebookNode) -> NotebookNode:
    """The notebook with a slide type for each cell; figures without their code.

    A heading begins a slide, and "What to notice" stands below what it speaks of. Left out are
    set-up, exercises (they have a sheet of their own) and the last cell.
    """
    exercises = False
    set_up = 0  # code cells that are still to come before the first result
    for cell in notebook.cells:
        text = cell.source
        heading = cell.cell_type == "markdown" and text.startswith("#")
        if heading:
            exercises = text.startswith("## Exercises")
            cell.source = DESK.sub("", text)
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            set_up = 2
        if exercises or set_up or text.startswith("notebook_done("):
            kind = "skip"
        elif heading:
            kind = "slide"
        elif text.startswith("**What to notice.**"):
            kind = "-"
        else:
            kind = "subslide"
        set_up = max(0, set_up - 1)
        if text.startswith("# Figure: "):
            cell.metadata["tags"] = [*tags, HIDDEN_INPUT]
        cell.metadata["slideshow"] = {"slide_type": kind}
    return notebook
