"""The wording: a meaning as a short noun phrase (UNC, UNC+, ReferIt) or in full words (G-Ref)."""

from __future__ import annotations

from random import Random

from data_setup.miniref.meaning import Meaning, Relation
from data_setup.miniref.view import PERSON_NOUNS, Sight

# place or size -> words that may stand before the noun, and words that may stand after it
SHORT_PLACES = {
    "left": (("left", "leftmost"), ("on left", "on the left", "left", "left side", "to the left")),
    "right": (
        ("right", "rightmost"),
        ("on right", "on the right", "right", "right side", "to the right"),
    ),
    "far left": (("far left",), ("far left", "on far left", "on the far left")),
    "far right": (("far right",), ("far right", "on far right", "on the far right")),
    "top": (("top", "upper"), ("at top", "on top", "at the top", "top of pic")),
    "bottom": (("bottom", "lower"), ("at bottom", "on bottom", "at the bottom", "bottom of pic")),
    "middle": (("middle", "center"), ("in middle", "in the middle", "in center", "middle")),
    "front": (("front", "closest", "nearest"), ("in front", "closest to us", "in foreground")),
    "back": (("back",), ("in back", "in the back", "in background", "farthest away")),
    "bottom left": (("bottom left", "lower left"), ("bottom left", "in bottom left corner")),
    "bottom right": (("bottom right", "lower right"), ("bottom right", "in bottom right corner")),
    "top left": (("top left", "upper left"), ("top left", "in top left corner")),
    "top right": (("top right", "upper right"), ("top right", "in top right corner")),
    "second from left": (("second",), ("second from left", "2nd from the left")),
    "second from right": (("second",), ("second from right", "2nd from the right")),
    "big": (("big", "biggest", "larger", "large"), ()),
    "small": (("small", "smallest", "smaller", "little"), ()),
}
FULL_PLACES = {
    "left": ("on the left", "on the left side", "on the left side of the picture"),
    "right": ("on the right", "on the right side", "on the right side of the picture"),
    "far left": ("on the far left", "farthest to the left"),
    "far right": ("on the far right", "farthest to the right"),
    "top": ("at the top of the picture", "in the upper part of the image"),
    "bottom": ("at the bottom of the picture", "in the lower part of the image"),
    "middle": ("in the middle", "in the center of the picture"),
    "front": ("closest to the camera", "in the foreground", "nearest to the viewer"),
    "back": ("in the background", "farthest from the camera", "in the back"),
    "bottom left": ("in the bottom left corner of the picture",),
    "bottom right": ("in the bottom right corner of the picture",),
    "top left": ("in the top left corner of the picture",),
    "top right": ("in the top right corner of the picture",),
    "second from left": ("that is second from the left",),
    "second from right": ("that is second from the right",),
}
SHORT_RELATIONS = {
    "on": ("on",),
    "holding": ("holding", "with"),
    "held by": ("of", "belonging to"),
    "beside": ("next to", "by", "beside"),
    "left of": ("left of", "to left of"),
    "right of": ("right of", "to right of"),
    "behind": ("behind", "in back of"),
    "in front of": ("in front of",),
}
FULL_RELATIONS = {
    "on": ("on", "on top of", "that is on"),
    "holding": ("holding", "who is holding", "carrying"),
    "held by": ("held by", "being held by", "in the hands of"),
    "beside": ("next to", "beside", "right next to"),
    "left of": ("to the left of", "on the left of", "left of"),
    "right of": ("to the right of", "on the right of", "right of"),
    "behind": ("behind", "that is behind", "partly hidden by"),
    "in front of": ("in front of", "that is in front of"),
}


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def short_phrase(meaning: Meaning, sight: Sight, rng: Random, *, stuff_words: bool = False) -> str:
    """A few words without articles, as typed against the clock in a two-player game."""
    before, noun, after = _parts(meaning, sight, rng, full=False)
    if meaning.extreme is not None:
        front, behind = SHORT_PLACES[meaning.extreme]
        if meaning.extreme.startswith("second"):
            if rng.random() < 0.5:
                side = meaning.extreme.rsplit(" ", 1)[-1]
                before, after = ["second", *before], [*after, f"from {side}"]
            else:
                after = [*after, rng.choice(behind)]
        elif behind and rng.random() < 0.55:
            after = [*after, rng.choice(behind)]
        else:
            before = [rng.choice(front), *before]
    text = _join(*before, noun, *after)
    if stuff_words and sight.is_stuff and not meaning.extreme and rng.random() < 0.4:
        return rng.choice(("any part of the ", "all of the ", "the ", "the entire ")) + text
    return ("the " + text) if rng.random() < 0.06 else text


def full_phrase(meaning: Meaning, sight: Sight, rng: Random) -> str:
    """A noun phrase in full words with articles, as written without haste."""
    before, noun, after = _parts(meaning, sight, rng, full=True)
    superlative = False
    if meaning.extreme in ("big", "small"):
        size = {"big": ("biggest", "largest", "larger"), "small": ("smallest", "smaller")}
        before, superlative = [rng.choice(size[meaning.extreme]), *before], True
    elif meaning.extreme is not None:
        after = [*after, rng.choice(FULL_PLACES[meaning.extreme])]
    text = _join(*before, noun, *after)
    return "the " + text if superlative or rng.random() < 0.4 else _article(text)


def _parts(
    meaning: Meaning, sight: Sight, rng: Random, *, full: bool
) -> tuple[list[str], str, list[str]]:
    """Words before the noun, the noun, phrases after it; relations always come last."""
    traits = {t.key: t.value for t in meaning.traits if not isinstance(t, Relation)}
    noun = meaning.noun
    if sight.is_person:
        before, after = _person_words(traits, rng, full)
        # "red shirt" for a person in red: only where any person would do for the noun
        if not full and noun == "person" and after and " shirt" in after[0] and rng.random() < 0.4:
            noun, after = after[0].split(" ", 1)[1], after[1:]
    else:
        before, after = _thing_words(traits, rng, full)
    for relation in meaning.traits:
        if isinstance(relation, Relation):
            after = [*after, _relation_words(relation, rng, full)]
    return before, noun, after


def _person_words(traits: dict[str, str], rng: Random, full: bool) -> tuple[list, list]:
    """Hair, then clothes under one verb, then the pose; in short form a pose may stand first."""
    pose, hair = traits.pop("pose", ""), traits.pop("hair", "")
    top = _join(traits.pop("pattern", ""), traits.pop("colour", ""))
    worn = []
    if top:
        worn.append(f"{top} {rng.choice(('shirt', 'top', 'sweater') if full else ('shirt', ''))}")
    for key, value in traits.items():
        garment = rng.choice(("pants", "trousers")) if key == "trousers" else key
        worn.append(value if garment in value else f"{value} {garment}")
    if full:
        worn = [w if w.endswith("s") else _article(w) for w in worn]
    clothes = " and ".join(w.strip() for w in worn)
    verbs = ("in", "wearing", "dressed in") if full else ("in", "in", "wearing", "with")
    after = [f"with {hair} hair"] if hair else []
    after += [f"{rng.choice(verbs)} {clothes}"] if clothes else []
    if pose and not full and rng.random() < 0.3:
        return [pose], after
    if pose:
        after.append(f"who is {pose}" if full and not after and rng.random() < 0.4 else pose)
    return [], after


def _thing_words(traits: dict[str, str], rng: Random, full: bool) -> tuple[list, list]:
    colour, pose = traits.pop("colour", ""), traits.pop("pose", "")
    before, after = list(traits.values()), [pose] if pose else []
    way = 1.0 if full or not colour else rng.random()
    if way < 0.06:
        return before, [*after, f"that is {colour}"]
    if way < 0.1:
        return [*before, f"{colour} colored"], after
    return [*before, colour] if colour else before, after


def _relation_words(relation: Relation, rng: Random, full: bool) -> str:
    mark = relation.landmark
    colour = mark.traits[0].value if mark.traits else ""
    if colour and mark.noun in (*PERSON_NOUNS, "person"):
        words = f"{mark.noun} in {colour}"
    else:
        words = _join(colour, mark.noun)
    kind = rng.choice((FULL_RELATIONS if full else SHORT_RELATIONS)[relation.kind])
    if relation.kind == "holding" and full:
        return f"{kind} {_article(words)}"
    return f"{kind} the {words}" if full or rng.random() < 0.4 else f"{kind} {words}"
