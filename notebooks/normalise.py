"""Bring notebooks into their committed form: no outputs, stable cell ids, little metadata.

    python notebooks/normalise.py [--check] [NOTEBOOK ...]

The cell that installs the course on Colab, and the link to it, come from pyproject.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
KEPT = ("tags", "slideshow")
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))[
    "project"
]
ADDRESS, TAG = PROJECT["urls"]["Repository"], f"v{PROJECT['version']}"
COLAB = f"""import sys

if "google.colab" in sys.modules:  # a fresh machine: install the course
    !git clone --quiet --depth 1 --branch {TAG} {ADDRESS} /content/tvnet
    %pip install --quiet /content/tvnet
    %cd /content/tvnet/notebooks"""
COLAB_LINK = re.compile(
    r"https://colab\.research\.google\.com/github/[^)\s]*/"
)
BLOB = f"https://colab.research.google.com/github{ADDRESS.removeprefix('https://github.com')}/blob/"


def normalised(text: str) -> str:
    """A notebook's text in its committed form; the same again for a text in that form."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        if "colab" in cell.metadata.get("tags", []):
            cell.source = COLAB
        cell.source = COLAB_LINK.sub(f"{BLOB}{TAG}/notebooks/", cell.source)
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = (
            digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        )
        cell.metadata = {
            key: cell.metadata[key] for key in KEPT if cell.metadata.get(key)
        }
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing, name what differs",
    )
    parser.add_argument(
        "notebooks", nargs="*", type=Path, default=sorted(HERE.glob("*.ipynb"))
    )
    options = parser.parse_args(arguments)
    differ = []
    for path in options.notebooks:
        before = path.read_text()
        after = normalised(before)
        if before != after:
            differ.append(path.name)
            if not options.check:
                path.write_text(after)
    if differ and options.check:
        print(
            f"Not in committed form: {', '.join(differ)}. Run `make normalise`.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
