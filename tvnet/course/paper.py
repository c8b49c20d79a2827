"""What the paper prints and says, from the YAML files beside this one, next to what we measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "notebooks" / "results" / "table1.json"


@cache
def load(name: str) -> dict | list:
    """One YAML file of the course: "paper_tables", "systems", "slips", "claims", "ledger"."""
    return yaml.safe_load((HERE / f"{name}.yaml").read_text("utf-8"))


def published() -> dict:
    """The counters of our published Table 1; FileNotFoundError outside a checkout."""
    if not PUBLISHED.is_file():
        raise FileNotFoundError(
            f"{PUBLISHED} is missing: run the notebooks from a checkout of the repository, not "
            "from an installed package."
        )
    return json.loads(PUBLISHED.read_text("utf-8"))
