"""What can be seen in a picture, and the nouns that truly name it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np

from data_setup.miniref.catalogue import NOUNS, PERSON_NOUNS
from data_setup.miniref.scenes import Scene, Thing

MIN_VISIBLE = 24  # pixels; a smaller scrap is not counted as a thing that can be seen


@dataclass(frozen=True)
class Sight:
    """A thing as it is seen: index in the scene, visible mask's area, box and centre in pixels."""

    index: int
    thing: Thing
    area: int
    box: tuple[int, int, int, int]  # x, y, width, height of the visible mask
    cx: float
    cy: float
    near: float  # how low in the picture it stands, as a share of the height: lower is nearer

    @property
    def is_person(self) -> bool:
        return self.thing.category == "person"

    @property
    def is_stuff(self) -> bool:
        return self.thing.supercategory == "stuff"

    @cached_property
    def looks(self) -> dict[str, str]:
        return dict(self.thing.attributes)

    @property
    def whole(self) -> float:
        """Part of the nominal box that the visible mask's box still spans, 0..1."""
        return min(1.0, self.box[2] * self.box[3] / max(1.0, self.thing.box[2] * self.thing.box[3]))


@dataclass
class View:
    """All that can be seen in one picture, and the predicates worked out so far."""

    width: int
    height: int
    sights: tuple[Sight, ...]
    known: dict = field(default_factory=dict)

    @classmethod
    def of(cls, scene: Scene, masks: list[np.ndarray]) -> Self:
        """The view of a scene from its visible masks (bool, height x width, one per thing)."""
        sights = []
        for index, (thing, mask) in enumerate(zip(scene.things, masks, strict=True)):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            area = int(np.count_nonzero(mask))
            if area < MIN_VISIBLE:
                continue
            x, y = int(columns[0]), int(rows[0])
            box = (x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)
            centre = (x + box[2] / 2, y + box[3] / 2)
            sights.append(Sight(index, thing, area, box, *centre, _near(scene, thing)))
        return cls(scene.width, scene.height, tuple(sights))


def _near(scene: Scene, thing: Thing) -> float:
    """Where a thing stands; of what is held or lies on a seat or shelf, where its bearer stands."""
    if thing.held_by is not None:
        return _near(scene, scene.things[thing.held_by])
    if thing.on is not None and scene.things[thing.on].category != "table":
        return _near(scene, scene.things[thing.on])
    foot = thing.box[1] + thing.box[3]
    horizon = max((t.box[1] for t in scene.things if t.supercategory == "stuff"), default=0)
    in_the_air = thing.on is None and foot < horizon
    return 0.0 if in_the_air else foot / scene.height


def nouns(thing: Thing) -> list[str]:
    """The nouns that truly name a thing, most usual first."""
    if thing.category == "person":
        looks = dict(thing.attributes).get("looks")
        named = [noun for noun, (true, _) in PERSON_NOUNS.items() if looks in true]
        return [*named, "person"]
    return NOUNS[thing.category] or [thing.category]


def across(a: Sight, b: Sight) -> float:
    """Share of the narrower box's width that both boxes have in common."""
    return _overlap(a, b, 0)


def down(a: Sight, b: Sight) -> float:
    """Share of the lower box's height that both boxes have in common."""
    return _overlap(a, b, 1)


def _overlap(a: Sight, b: Sight, axis: int) -> float:
    start, other, size, other_size = a.box[axis], b.box[axis], a.box[axis + 2], b.box[axis + 2]
    common = min(start + size, other + other_size) - max(start, other)
    return max(0.0, common / min(size, other_size))
