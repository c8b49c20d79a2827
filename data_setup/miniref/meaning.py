"""What an expression says, as small predicates, and which visible things it may pick."""

from __future__ import annotations

from dataclasses import dataclass

from data_setup.miniref.view import PERSON_NOUNS, Sight, View, nouns

SIZE_RATIO = 1.5  # "big" and "small" need areas that differ by this much

# A colour word may be taken for its neighbour, so "red" never has to tell red from orange; nor
# does a still picture tell who walks from who stands.
LOOKALIKES = (
    {"red", "orange"},
    {"orange", "yellow"},
    {"orange", "brown"},
    {"red", "pink"},
    {"pink", "purple"},
    {"blue", "purple"},
    {"white", "grey"},
    {"black", "grey"},
    {"standing", "walking"},
    {"standing", "waving"},
    {"walking", "waving"},
)


@dataclass(frozen=True)
class Trait:
    """One property: key "colour" or an attribute's name, with its value."""

    key: str
    value: str


@dataclass(frozen=True)
class Relation:
    """One relation to a landmark; kind is a key of RELATIONS."""

    kind: str
    landmark: Meaning


@dataclass(frozen=True)
class Meaning:
    """A noun, its traits and relations, and at most one place or size among those that fit."""

    noun: str
    traits: tuple[Trait | Relation, ...] = ()
    extreme: str | None = None  # a key of PLACES, or "big" or "small"


def picks(meaning: Meaning, view: View) -> list[int]:
    """Positions in view.sights of all the things that a reader might take `meaning` for."""
    if meaning not in view.known:
        grades = [_noun_grades(meaning.noun, view)]
        grades += [_grades(trait, view) for trait in meaning.traits]
        group = [k for k, column in enumerate(zip(*grades, strict=True)) if min(column) > 0]
        view.known[meaning] = _narrow(meaning.extreme, group, view)
    return view.known[meaning]


def fits(meaning: Meaning, view: View, k: int) -> bool:
    """Whether every part of `meaning` is plainly true of sight k."""
    plain = _noun_grades(meaning.noun, view)[k] == 1 and all(
        _grades(trait, view)[k] == 1 for trait in meaning.traits
    )
    return plain and (meaning.extreme not in PLACES or PLACES[meaning.extreme](view, k))


def refers_to(meaning: Meaning, view: View, k: int) -> bool:
    """Whether `meaning` is plainly true of sight k and could be taken for nothing else."""
    return picks(meaning, view) == [k] and fits(meaning, view, k)


# ---- grades: 1 plainly true, 0.5 somebody might say so, 0 plainly false ----


def _noun_grades(noun: str, view: View) -> list[float]:
    if noun not in view.known:
        view.known[noun] = [_noun_grade(noun, sight) for sight in view.sights]
    return view.known[noun]


def _noun_grade(noun: str, sight: Sight) -> float:
    if noun in nouns(sight.thing):
        return 1
    if sight.is_person and noun in PERSON_NOUNS:
        return 0.5 if sight.looks.get("looks") in PERSON_NOUNS[noun][1] else 0
    # a synonym such as "bag" may cover two categories that do not list it first
    return 0.5 if noun in sight.thing.category.split() else 0


def _grades(trait: Trait | Relation, view: View) -> list[float]:
    if trait not in view.known:
        if isinstance(trait, Trait):
            grades = [_trait_grade(trait, sight) for sight in view.sights]
        else:
            holds = RELATIONS[trait.kind]
            landmarks = [view.sights[j] for j in picks(trait.landmark, view)]
            grades = [
                max((holds(view, s, mark) for mark in landmarks if mark is not s), default=0)
                for s in view.sights
            ]
        view.known[trait] = grades
    return view.known[trait]


def _trait_grade(trait: Trait, sight: Sight) -> float:
    own = sight.thing.colour if trait.key == "colour" else sight.looks.get(trait.key)
    if own == trait.value:
        return 1
    return 0.5 if own and {own, trait.value} in LOOKALIKES else 0


def _on(view: View, a: Sight, b: Sight) -> float:
    if a.thing.on == b.index:
        return 1
    return 0.5 if a.thing.on is not None and _across(a, b) > 0.5 and _down(a, b) > 0.3 else 0


def _holding(view: View, a: Sight, b: Sight) -> float:
    return float(b.thing.held_by == a.index)


def _beside(view: View, a: Sight, b: Sight) -> float:
    tied = b.index in (a.thing.on, a.thing.held_by) or a.index in (b.thing.on, b.thing.held_by)
    gap = max(a.box[0] - b.box[0] - b.box[2], b.box[0] - a.box[0] - a.box[2])
    if gap > 0.2 * view.width:
        return 0
    level = abs(a.near - b.near) < 0.12 and _down(a, b) > 0.3
    return 1 if level and not tied and -0.1 * a.box[2] < gap < 0.08 * view.width else 0.5


def _left_of(view: View, a: Sight, b: Sight) -> float:
    apart = (b.cx - a.cx) / view.width
    if apart <= 0:
        return 0.5 if apart > -0.06 else 0
    clear = a.box[0] + a.box[2] <= b.box[0] + 0.25 * min(a.box[2], b.box[2])
    return 1 if clear and apart > 0.06 and _down(a, b) > 0.25 else 0.5


def _behind(view: View, a: Sight, b: Sight) -> float:
    farther = b.near - a.near
    if a.thing.held_by is not None or b.thing.held_by is not None or farther < -0.03:
        return 0
    plain = farther > 0.05 and a.index < b.index and _across(a, b) > 0.35
    return 1 if plain and _down(a, b) > 0.15 and not a.is_stuff else 0.5


def _across(a: Sight, b: Sight) -> float:
    """Share of the narrower box's width that both boxes have in common."""
    return _overlap(a.box[0], a.box[2], b.box[0], b.box[2])


def _down(a: Sight, b: Sight) -> float:
    """Share of the lower box's height that both boxes have in common."""
    return _overlap(a.box[1], a.box[3], b.box[1], b.box[3])


def _overlap(start: float, size: float, other: float, other_size: float) -> float:
    common = min(start + size, other + other_size) - max(start, other)
    return max(0.0, common / min(size, other_size))


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


# ---- places and sizes: told among the things that fit the rest ----


def _at(view: View, k: int) -> tuple[float, float]:
    return view.sights[k].cx / view.width, view.sights[k].cy / view.height


# place -> whether sight k lies there in the picture (each also has to be the extreme of its group)
PLACES = {
    "left": lambda view, k: _at(view, k)[0] < 0.45,
    "right": lambda view, k: _at(view, k)[0] > 0.55,
    "far left": lambda view, k: _at(view, k)[0] < 0.25,
    "far right": lambda view, k: _at(view, k)[0] > 0.75,
    "top": lambda view, k: _at(view, k)[1] < 0.42,
    "bottom": lambda view, k: _at(view, k)[1] > 0.6,
    "middle": lambda view, k: abs(_at(view, k)[0] - 0.5) < 0.1,
    "front": lambda view, k: True,
    "back": lambda view, k: True,
    "bottom left": lambda view, k: _at(view, k)[0] < 0.35 and _at(view, k)[1] > 0.62,
    "bottom right": lambda view, k: _at(view, k)[0] > 0.65 and _at(view, k)[1] > 0.62,
    "top left": lambda view, k: _at(view, k)[0] < 0.35 and _at(view, k)[1] < 0.38,
    "top right": lambda view, k: _at(view, k)[0] > 0.65 and _at(view, k)[1] < 0.38,
    "second from left": lambda view, k: True,
    "second from right": lambda view, k: True,
}
# place -> (how far a sight lies that way, the lead over the next that makes it plain)
_LEADS = {
    "left": (lambda x, y, near: -x, 0.07),
    "right": (lambda x, y, near: x, 0.07),
    "top": (lambda x, y, near: -y, 0.09),
    "bottom": (lambda x, y, near: y, 0.09),
    "front": (lambda x, y, near: near, 0.07),
    "back": (lambda x, y, near: -near, 0.07),
    "bottom left": (lambda x, y, near: y - x, 0.16),
    "bottom right": (lambda x, y, near: y + x, 0.16),
    "top left": (lambda x, y, near: -y - x, 0.16),
    "top right": (lambda x, y, near: x - y, 0.16),
    "middle": (lambda x, y, near: -abs(x - 0.5), 0.1),
}


def _narrow(extreme: str | None, group: list[int], view: View) -> list[int]:
    """The members of `group` that might be meant by its left one, its biggest one ..."""
    if extreme is None or not group:
        return group
    if extreme in ("big", "small"):
        return _by_size(extreme, group, view)
    if extreme in ("front", "back") and len(group) < 2:
        return []  # the only one is neither
    if extreme.startswith("second"):
        return _second(extreme.rsplit(" ", 1)[-1], group, view)
    how_far, lead = _LEADS[extreme.removeprefix("far ")]
    reach = {k: how_far(*_at(view, k), view.sights[k].near) for k in group}
    best = max(group, key=lambda k: reach[k])
    sideways = extreme.removeprefix("far ") in ("left", "right")
    return [
        k
        for k in group
        if reach[k] > reach[best] - lead
        or (sideways and _across(view.sights[k], view.sights[best]) > 0.6)
    ]


def _by_size(extreme: str, group: list[int], view: View) -> list[int]:
    if len(group) < 2:
        return []  # nothing to compare with
    sizes = {}
    for k in group:
        sight = view.sights[k]
        sizes[k] = (sight.area, sight.thing.box[2] * sight.thing.box[3])
    rank = max if extreme == "big" else min
    best = rank(group, key=lambda k: sizes[k])
    # both what is seen and the whole thing must differ plainly: hidden is not small
    ratios = {k: [a / b for a, b in zip(sizes[best], sizes[k], strict=True)] for k in group}
    if extreme == "big":
        return [k for k in group if min(ratios[k]) < SIZE_RATIO]
    return [k for k in group if max(ratios[k]) > 1 / SIZE_RATIO]


def _second(side: str, group: list[int], view: View) -> list[int]:
    if len(group) < 3:
        return []
    order = sorted(group, key=lambda k: _at(view, k)[0], reverse=side == "right")
    x = [_at(view, k)[0] for k in order[:3]]
    plain = min(abs(x[1] - x[0]), abs(x[2] - x[1])) > 0.07
    return [order[1]] if plain else order[:3]
