"""The paper's tables and claims, from the YAML files of this folder, and our published results."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from tvnet.files import read_json

HERE = Path(__file__).parent
MEND = "take it from the repository again, or run `make publish`"
PUBLISHED = HERE.parents[1] / "notebooks" / "results"


@cache
def load(name: str) -> dict | list:
    """One YAML file of the course by its name: "paper_tables", "ledger", "symbols" and others."""
    return yaml.safe_load((HERE / f"{name}.yaml").read_text("utf-8"))


def published_file(name: str) -> Path:
    """A file of notebooks/results. Raises FileNotFoundError outside a checkout."""
    path = PUBLISHED / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: run the notebooks from a checkout of the repository, not from an "
            "installed package."
        )
    return path


def published(name: str = "table1") -> dict:
    """What we published: Table 1's counters, or "grouped". Raises ValueError where it is damaged or
    of another layout."""
    return read_json(published_file(f"{name}.json"), {"runs": list}, MEND)
