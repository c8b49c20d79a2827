"""Write the glossary of symbols: shapes from `Trace`, sizes from the settings.

    python notebooks/glossary.py

writes notebooks/glossary.md. A test holds the file equal to what this writes.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from tvnet.course.paper import load
from tvnet.model.trace import expected_shapes
from tvnet.settings import settings

FILE = Path(__file__).with_suffix(".md")
PROFILES = ["laptop", "paper"]
HEAD = """# Glossary of symbols

Each tensor has the paper's symbol, and in the code the name of its field in `Trace`. Shapes are
channels x height x width without the batch, in the profiles *laptop* and *paper*; where the levels
differ, their shapes stand in the order of the levels. Made by `make architecture`.
"""


def shapes(name: str, profile: str) -> str:
    """The shape of a tensor, or one for each of its levels if they differ."""
    chosen = settings(profile)
    table = expected_shapes(chosen, batch=1, size=chosen.data.size)
    found = [table[k][1:] for k in sorted(table) if k.split("[")[0] == name]
    return ", ".join(dict.fromkeys(" x ".join(map(str, s)) for s in found))


def table(heads: list[str], rows: list[list]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return (
        "\n".join(f"| {' | '.join(map(str, row))} |" for row in lines) + "\n"
    )


def text() -> str:
    words = load("symbols")
    heads = ["symbol", "in code", "what it is"]
    tensors = [
        [symbol, f"`{name}`", *rest, *(shapes(name, p) for p in PROFILES)]
        for symbol, name, *rest in words["tensors"]
    ]
    sizes = [
        [symbol, f"`{name}`", *rest]
        + [attrgetter(name)(settings(p)) for p in PROFILES]
        for symbol, name, *rest in words["sizes"]
    ]
    parts = [
        HEAD,
        table([*heads, "source", "notebook", *PROFILES], tensors),
        table([*heads, *PROFILES], sizes),
        table(["sign", "meaning"], words["signs"]),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
