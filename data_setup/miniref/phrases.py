"""The wording: a meaning as a short noun phrase (UNC, UNC+, ReferIt) or in full words (G-Ref)."""

from random import Random

from data_setup.miniref.catalogue import PERSON_NOUNS, WORDING
from data_setup.miniref.meaning import Meaning, Relation
from data_setup.miniref.view import Sight

PLACES, RELATIONS = WORDING["places"], WORDING["relations"]


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def short_phrase(meaning: Meaning, sight: Sight, rng: Random, *, stuff_words: bool = False) -> str:
    """A few words without articles, as typed against the clock in a two-player game."""
    before, noun, after = _parts(meaning, sight, rng, full=False)
    if meaning.extreme is not None:
        words = PLACES[meaning.extreme]
        if meaning.extreme.startswith("second"):
            if rng.random() < 0.5:
                side = meaning.extreme.rsplit(" ", 1)[-1]
                before, after = ["second", *before], [*after, f"from {side}"]
            else:
                after = [*after, rng.choice(words["after"])]
        elif "after" in words and rng.random() < 0.55:
            after = [*after, rng.choice(words["after"])]
        else:
            before = [rng.choice(words["before"]), *before]
    text = _join(*before, noun, *after)
    if stuff_words and sight.is_stuff and not meaning.extreme and rng.random() < 0.4:
        return rng.choice(("any part of the ", "all of the ", "the ", "the entire ")) + text
    return ("the " + text) if rng.random() < 0.06 else text


def full_phrase(meaning: Meaning, sight: Sight, rng: Random) -> str:
    """A noun phrase in full words with articles, as written without haste."""
    before, noun, after = _parts(meaning, sight, rng, full=True)
    superlative = meaning.extreme in ("big", "small")
    if meaning.extreme is not None:
        words = rng.choice(PLACES[meaning.extreme]["full"])
        before, after = ([words, *before], after) if superlative else (before, [*after, words])
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
    kind = rng.choice(RELATIONS[relation.kind]["full" if full else "short"])
    if relation.kind == "holding" and full:
        return f"{kind} {_article(words)}"
    return f"{kind} the {words}" if full or rng.random() < 0.4 else f"{kind} {words}"
