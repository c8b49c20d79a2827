"""Expressions in four dialects, each made from a meaning that picks its referent alone."""

import re
from dataclasses import dataclass
from random import Random

from data_setup.miniref.catalogue import WORDING
from data_setup.miniref.meaning import RELATIONS, Meaning, Relation, Trait, fits, picks, refers_to
from data_setup.miniref.phrases import full_phrase, short_phrase
from data_setup.miniref.view import Sight, View, nouns

DIALECTS = WORDING["dialects"]
PLACE_WORDS = frozenset(WORDING["place_words"])
EXTREMES = WORDING["extremes"]
ATTEMPTS = 80  # meanings tried for one referent before it is given up


@dataclass(frozen=True)
class Expression:
    """One sentence as typed (`raw`), as cleaned (`sent`), and what it means."""

    raw: str
    sent: str
    meaning: Meaning


def clean(raw: str) -> str:
    """The `sent` form of a sentence: lower case, letters, digits and single blanks only."""
    return " ".join(re.findall(r"[a-z0-9]+", raw.lower().replace("'", "")))


def describe(view: View, k: int, dialect: str, count: int, rng: Random) -> list[Expression]:
    """Up to `count` different expressions in one dialect that pick sight k and nothing else."""
    found: dict[str, Expression] = {}
    traits, relations = _traits(view.sights[k]), _relations(view, k, dialect)
    used: set[Meaning] = set()
    recipes = DIALECTS[dialect]["recipes"]
    tried = rng.choices(recipes, [share for share, *_ in recipes], k=ATTEMPTS)
    for attempt, (_, *recipe) in enumerate(tried):
        if len(found) == count:
            break
        meaning = _propose(view.sights[k], recipe, traits, relations, rng)
        # another meaning is worth more than another wording, as long as there may be one
        again = meaning in used and attempt < ATTEMPTS // 2
        if meaning is None or again or not refers_to(meaning, view, k):
            continue
        used.add(meaning)
        raw = _typed(meaning, view.sights[k], dialect, rng)
        sent = clean(raw)
        if dialect == "unc+" and PLACE_WORDS & set(sent.split()):
            raise AssertionError(f"UNC+ allows no word of place, but wrote {sent!r}.")
        # an article more or less is no other sentence
        found.setdefault(re.sub(r"\b(a|an|the) ", "", sent), Expression(raw, sent, meaning))
    return list(found.values())


def _propose(sight: Sight, recipe, traits, relations, rng) -> Meaning | None:
    """A meaning of one recipe from what is true of a sight; None where it lacks the parts."""
    n_traits, n_relations, extreme = recipe
    if n_traits > len(traits) or n_relations > len(relations):
        return None
    chosen = [traits[n] for n in sorted(rng.sample(range(len(traits)), n_traits))]
    chosen += rng.sample(relations, n_relations)
    words = nouns(sight.thing)
    # the usual noun half of the time, any of the others otherwise
    noun = words[0] if rng.random() < 0.5 else rng.choice(words)
    if extreme is not None:
        extreme = rng.choice(EXTREMES["stuff" if sight.is_stuff else extreme])
    return Meaning(noun, tuple(chosen), extreme)


def _traits(sight: Sight) -> list[Trait]:
    own = (("colour", sight.thing.colour), *sight.thing.attributes)
    return [Trait(key, value) for key, value in own if value and key != "looks"]


def _relations(view: View, k: int, dialect: str) -> list[Relation]:
    """The relations of sight k that hold plainly, to landmarks that can be told by themselves."""
    sight, found = view.sights[k], []
    if sight.is_stuff:
        return []
    for kind in DIALECTS[dialect]["relations"]:
        for j, other in enumerate(view.sights):
            if j != k and not other.is_stuff and RELATIONS[kind](view, sight, other) == 1:
                landmark = _landmark(view, j)
                if landmark is not None:
                    found.append(Relation(kind, landmark))
    return found


def _landmark(view: View, j: int) -> Meaning | None:
    """The shortest plain description of sight j, if noun and colour are enough."""
    thing = view.sights[j].thing
    for traits in ((), (Trait("colour", thing.colour),) if thing.colour else ()):
        meaning = Meaning(nouns(thing)[0], traits)
        if picks(meaning, view) == [j] and fits(meaning, view, j):
            return meaning
    return None


def _typed(meaning: Meaning, sight: Sight, dialect: str, rng: Random) -> str:
    """The sentence as a person would type it into that data set's form."""
    if dialect == "gref":
        text, capital, stop = full_phrase(meaning, sight, rng), 0.5, 0.5
    else:
        text = short_phrase(meaning, sight, rng, stuff_words=dialect == "referit")
        capital, stop = 0.12, 0.06
    text = text[0].upper() + text[1:] if rng.random() < capital else text
    return text + "." if rng.random() < stop else text
