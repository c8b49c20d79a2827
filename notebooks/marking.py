"""Which exercises pass in the notebooks that a class has handed in.

    python notebooks/marking.py out/handed_in [--limit 60]

Every notebook below the folder is a copy. Its cells with a check run in a process of their own, with
a limit in seconds for each copy; nothing else of the copy runs, so a solution must stand whole in its
cell. The process has the rights of whoever starts it: mark only copies of people whom you know.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat

CHECK = re.compile(r"\bchecks\.(\w+)\(")
ABSENT, LATE = "o not attempted yet", "x the time is over"
# Reads [[check, cell], ...] and writes one line each; a cell that fails stops no other.
RUNNER = """
import json, sys
import numpy as np
import torch
import torch.nn.functional as F
from tvnet.course import checks

for name, source in json.load(sys.stdin):
    said, check = [], getattr(checks, name)
    setattr(checks, name, lambda answer, said=said, check=check: said.append(check(answer)))
    try:
        exec(source, {"checks": checks, "np": np, "torch": torch, "F": F})
    except BaseException as error:
        said.append(f"x the cell raises {type(error).__name__}: {error}".split("\\n")[0])
    print("\\n@" + json.dumps([name, said[-1] if said else None]), flush=True)
"""


def marked(path: Path, limit: float) -> dict[str, str]:
    """{check: the line that it said} of one copy."""
    cells = nbformat.read(path, 4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    tasks = [
        (found[1], source)
        for source in code
        if (found := CHECK.search(source))
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER],
            input=json.dumps(tasks).encode(),
            capture_output=True,
            timeout=limit,
        ).stdout
    except subprocess.TimeoutExpired as stopped:
        done = stopped.stdout or b""
    lines = re.findall(r"^@(\[.*\])$", done.decode("utf-8", "replace"), re.M)
    said = dict(json.loads(line) for line in lines)
    return {name: said.get(name, LATE) or ABSENT for name, _ in tasks}


def mark(folder: Path, limit: float) -> list[list[str]]:
    """[copy, exercise, yes | no | empty, what the check said] of every exercise of every copy."""
    rows = []
    for path in sorted(folder.rglob("*.ipynb")):
        copy = str(path.relative_to(folder))
        try:
            lines = marked(path, limit)
        except (ValueError, nbformat.ValidationError):
            print(f"{copy}: no notebook that can be read", flush=True)
            continue
        signs = {"+": "yes", "x": "no", "o": ""}
        new = [[copy, name, signs[s[0]], s] for name, s in lines.items()]
        if new:
            passed = sum(row[2] == "yes" for row in new)
            print(f"{copy}: {passed} of {len(new)} pass", flush=True)
        rows += new
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=float, default=60)
    options = parser.parse_args(arguments)
    rows = mark(options.folder, options.limit)
    if not rows:
        print(
            f"No notebook below {options.folder} has a check: name the folder with the copies.",
            file=sys.stderr,
        )
        return 2
    table = options.folder / "marks.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["copy", "exercise", "passed", "said"], *rows]
        )
    print(f"What each check said stands in {table}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
