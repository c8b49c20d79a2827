"""What an expression says, as small predicates, and which visible things it may pick."""

from dataclasses import dataclass

from data_setup.miniref.catalogue import PERSON_NOUNS, WORDING
from data_setup.miniref.places import lies_at, narrow
from data_setup.miniref.view import Sight, View, across, down, nouns

LOOKALIKES = [set(pair) for pair in WORDING["lookalikes"]]


@dataclass(frozen=True)
class Trait:
    """One property: key "colour" or an attribute's name, with its value."""

    key: str
    value: str


@dataclass(frozen=True)
class Relation:
    """One relation to a landmark; kind is a key of RELATIONS."""

    kind: str
    landmark: "Meaning"


@dataclass(frozen=True)
class Meaning:
    """A noun, its traits and relations, and at most one place or size among those that fit."""

    noun: str
    traits: tuple[Trait | Relation, ...] = ()
    extreme: str | None = None  # of wording.yaml's places


def picks(meaning: Meaning, view: View) -> list[int]:
    """Positions in view.sights of all the things that a reader might take `meaning` for."""
    if meaning not in view.known:
        grades = [_grades(part, view) for part in (meaning.noun, *meaning.traits)]
        group = [k for k, column in enumerate(zip(*grades, strict=True)) if min(column) > 0]
        view.known[meaning] = narrow(meaning.extreme, group, view)
    return view.known[meaning]


def fits(meaning: Meaning, view: View, k: int) -> bool:
    """Whether every part of `meaning` is plainly true of sight k."""
    plain = all(_grades(part, view)[k] == 1 for part in (meaning.noun, *meaning.traits))
    return plain and lies_at(meaning.extreme, view, k)


def refers_to(meaning: Meaning, view: View, k: int) -> bool:
    """Whether `meaning` is plainly true of sight k and could be taken for nothing else."""
    return picks(meaning, view) == [k] and fits(meaning, view, k)


def _grades(part: str | Trait | Relation, view: View) -> list[float]:
    """For everything seen: 1 plainly true, 0.5 somebody might say so, 0 plainly false."""
    if part not in view.known:
        if isinstance(part, Relation):
            holds = RELATIONS[part.kind]
            landmarks = [view.sights[j] for j in picks(part.landmark, view)]
            view.known[part] = [
                max((holds(view, s, mark) for mark in landmarks if mark is not s), default=0)
                for s in view.sights
            ]
        else:
            grade = _noun_grade if isinstance(part, str) else _trait_grade
            view.known[part] = [grade(part, sight) for sight in view.sights]
    return view.known[part]


def _noun_grade(noun: str, sight: Sight) -> float:
    if noun in nouns(sight.thing):
        return 1
    if sight.is_person and noun in PERSON_NOUNS:
        return 0.5 if sight.looks.get("looks") in PERSON_NOUNS[noun][1] else 0
    return 0


def _trait_grade(trait: Trait, sight: Sight) -> float:
    own = sight.thing.colour if trait.key == "colour" else sight.looks.get(trait.key)
    if own == trait.value:
        return 1
    return 0.5 if own and {own, trait.value} in LOOKALIKES else 0


def _on(view: View, a: Sight, b: Sight) -> float:
    if a.thing.on == b.index:
        return 1
    return 0.5 if a.thing.on is not None and across(a, b) > 0.5 and down(a, b) > 0.3 else 0


def _holding(view: View, a: Sight, b: Sight) -> float:
    return float(b.thing.held_by == a.index)


def _beside(view: View, a: Sight, b: Sight) -> float:
    tied = b.index in (a.thing.on, a.thing.held_by) or a.index in (b.thing.on, b.thing.held_by)
    gap = max(a.box[0] - b.box[0] - b.box[2], b.box[0] - a.box[0] - a.box[2])
    if gap > 0.2 * view.width:
        return 0
    level = abs(a.near - b.near) < 0.12 and down(a, b) > 0.3
    return 1 if level and not tied and -0.1 * a.box[2] < gap < 0.08 * view.width else 0.5


def _left_of(view: View, a: Sight, b: Sight) -> float:
    apart = (b.cx - a.cx) / view.width
    if apart <= 0:
        return 0.5 if apart > -0.06 else 0
    clear = a.box[0] + a.box[2] <= b.box[0] + 0.25 * min(a.box[2], b.box[2])
    return 1 if clear and apart > 0.06 and down(a, b) > 0.25 else 0.5


def _behind(view: View, a: Sight, b: Sight) -> float:
    farther = b.near - a.near
    if a.thing.held_by is not None or b.thing.held_by is not None or farther < -0.03:
        return 0
    plain = farther > 0.05 and a.index < b.index and across(a, b) > 0.35
    return 1 if plain and down(a, b) > 0.15 and not a.is_stuff else 0.5


RELATIONS = {
    "on": _on,
    "holding": _holding,
    "held by": lambda view, a, b: _holding(view, b, a),
    "beside": _beside,
    "left of": _left_of,
    "right of": lambda view, a, b: _left_of(view, b, a),
    "behind": _behind,
    "in front of": lambda view, a, b: _behind(view, b, a),
}
