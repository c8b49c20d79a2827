"""The paper's tables and claims, from the YAML files of this folder, and our published results."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import yaml

from tvnet.data.arrays import load_arrays
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


def published_parts() -> dict[str, np.ndarray]:
    """Which of Table 1's published sentences belong to a part, (N,) bool each. Raises ValueError
    where the file is damaged."""
    path = published_file("table1_slices.safetensors")
    try:
        return load_arrays(path)[0]
    except ValueError as error:
        raise ValueError(
            f"{path} does not hold the parts of Table 1's sentences ({error}): {MEND}."
        ) from error
