"""What there is in MiniRef (things.yaml) and the words for it (wording.yaml)."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Category:
    """One category of things, in the fields of things.yaml."""

    supercategory: str
    height: float
    aspect: float
    handy: bool = False
    nouns: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    traits: list[tuple[str, list[str], float]] = field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """One kind of scene, in the fields of things.yaml."""

    far: str
    near: str
    horizon: tuple[float, float]
    people: float
    cast: list[str]
    furniture: tuple[str, float, float, float] | None = None
    tops: dict[str, list[str]] = field(default_factory=dict)
    only_on_tops: list[str] = field(default_factory=list)
    hands: tuple[str, ...] = ("bag", "umbrella", "ball", "cup", "book")
    far_scale: float = 0.34


def _table(name: str) -> dict:
    return yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8"))


THINGS, WORDING = _table("things.yaml"), _table("wording.yaml")
COLOURS, STUFF = THINGS["colours"], THINGS["stuff"]
CATEGORIES = {name: Category(**about) for name, about in THINGS["categories"].items()}
KINDS = {name: Kind(**about) for name, about in THINGS["kinds"].items()}
NOUNS = {name: about.nouns for name, about in CATEGORIES.items()}
NOUNS |= {name: about.get("nouns", []) for name, about in STUFF.items()}
PERSON_NOUNS = WORDING["person_nouns"]
