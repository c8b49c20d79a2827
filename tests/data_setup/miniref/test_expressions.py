"""Expressions pick exactly one thing, plainly, in the words of their dialect."""

import re
from random import Random

import numpy as np
import pytest
from pycocotools import mask as coco

from data_setup.miniref.draw import render
from data_setup.miniref.expressions import DIALECTS, PLACE_WORDS, clean, describe
from data_setup.miniref.meaning import Meaning, Relation, Trait, fits, picks, refers_to
from data_setup.miniref.outlines import segment
from data_setup.miniref.scenes import Scene, Thing, compose
from data_setup.miniref.view import View

COLOURS = "red orange yellow green blue purple pink brown black white grey".split()


def thing(category="cup", x=0, y=50, size=20, colour="red", **more):
    family = {"person": "person", "car": "vehicle", "table": "furniture"}.get(category, "kitchen")
    return Thing(category, family, (x, y, size, size), 0.5, colour, **more)


def view_of(*things):
    """A 200 x 100 view of things drawn as their boxes, later ones in front."""
    scene = Scene("test", 0, 200, 100, tuple(things))
    labels = np.full((100, 200), -1)
    for index, one in enumerate(things):
        x, y, width, height = (int(value) for value in one.box)
        labels[y : y + height, x : x + width] = index
    return View.of(scene, [labels == index for index in range(len(things))])


def person(looks, **more):
    return thing("person", attributes=(("looks", looks),), **more)


def test_left_is_said_only_with_a_clear_lead():
    clear = view_of(thing(x=20), thing(x=60))
    assert refers_to(Meaning("cup", extreme="left"), clear, 0)
    close = view_of(thing(x=20), thing(x=30, y=75))
    assert picks(Meaning("cup", extreme="left"), close) == [0, 1]


def test_left_is_not_said_of_a_thing_on_the_right():
    view = view_of(thing(x=140), thing(x=175))
    assert picks(Meaning("cup", extreme="left"), view) == [0]
    assert not fits(Meaning("cup", extreme="left"), view, 0)


@pytest.mark.parametrize("size, plain", [(20, False), (23, False), (26, True)])
def test_small_needs_areas_that_differ_by_half(size, plain):
    view = view_of(thing(size=20), thing(x=100, size=size))
    assert refers_to(Meaning("cup", extreme="small"), view, 0) is plain
    assert refers_to(Meaning("cup", extreme="big"), view, 1) is plain


def test_a_partly_hidden_thing_is_not_small():
    view = view_of(thing(size=40), thing(x=100, size=42), thing("car", x=0, size=32))
    assert view.sights[0].area < view.sights[1].area / 2
    assert picks(Meaning("cup", extreme="small"), view) != [0]


def test_a_colour_is_never_told_from_its_neighbour():
    view = view_of(thing(colour="red"), thing(x=60, colour="orange"), thing(x=120, colour="blue"))
    assert picks(Meaning("cup", (Trait("colour", "red"),)), view) == [0, 1]
    assert refers_to(Meaning("cup", (Trait("colour", "blue"),)), view, 2)


def test_a_man_may_be_taken_for_a_boy_but_not_for_a_woman():
    view = view_of(person("man"), person("boy", x=60), person("woman", x=120))
    assert picks(Meaning("man"), view) == [0, 1]
    assert refers_to(Meaning("lady"), view, 2)
    assert picks(Meaning("person"), view) == [0, 1, 2]


def test_second_from_left_needs_three_well_apart():
    row = [thing(x=x) for x in (10, 60, 110)]
    assert refers_to(Meaning("cup", extreme="second from left"), view_of(*row), 1)
    assert picks(Meaning("cup", extreme="second from left"), view_of(*row[:2])) == []
    crowded = view_of(thing(x=10), thing(x=60), thing(x=70, y=10))
    assert len(picks(Meaning("cup", extreme="second from left"), crowded)) > 1


def test_relations_hold_for_the_thing_itself_and_for_no_other():
    table = thing("table", y=60, size=40)
    view = view_of(table, thing(y=40, on=0), thing(x=150), person("man", x=90),
                   thing("car", x=112, held_by=3))  # fmt: skip
    assert refers_to(Meaning("cup", (Relation("on", Meaning("table")),)), view, 1)
    assert refers_to(Meaning("man", (Relation("holding", Meaning("car")),)), view, 3)
    assert refers_to(Meaning("car", (Relation("held by", Meaning("man")),)), view, 4)
    assert picks(Meaning("man", (Relation("holding", Meaning("cup")),)), view) == []


def test_who_hides_the_other_is_in_front():
    view = view_of(thing("car", x=50, y=40, size=40), thing(x=60, y=70))
    assert refers_to(Meaning("cup", (Relation("in front of", Meaning("car")),)), view, 1)
    assert refers_to(Meaning("car", (Relation("behind", Meaning("cup")),)), view, 0)
    assert picks(Meaning("cup", (Relation("behind", Meaning("car")),)), view) == []


def test_what_cannot_be_told_apart_gets_no_expression():
    view = view_of(thing(x=90), thing(x=95, y=48))
    for dialect in DIALECTS:
        assert describe(view, 0, dialect, 3, Random(0)) == []


def test_the_only_one_is_neither_front_nor_big():
    view = view_of(thing(y=80), thing("car", x=100))
    for extreme in ("front", "back", "big", "small"):
        assert picks(Meaning("cup", extreme=extreme), view) == []


def test_one_that_covers_the_other_is_not_left_of_it():
    view = view_of(thing("car", x=0, y=20, size=60), thing("car", x=40, y=60, size=30))
    assert picks(Meaning("car", extreme="left"), view) == [0, 1]


def test_who_stands_is_not_told_from_who_walks():
    poses = [("pose", pose) for pose in ("standing", "walking", "sitting")]
    view = view_of(*(thing("person", x=60 * n, attributes=(p,)) for n, p in enumerate(poses)))
    found = [picks(Meaning("person", (Trait(*pose),)), view) for pose in poses]
    assert found == [[0, 1], [0, 1], [2]]


def test_a_scrap_is_not_seen():
    assert len(view_of(thing(size=4), thing(x=50)).sights) == 1


@pytest.fixture(scope="module")
def generated():
    """(scene seed, view, sight, dialect, expression) of some hundred expressions."""
    found = []
    for seed in range(24):
        scene = compose(seed)
        _, masks = render(scene)
        view = View.of(scene, masks)
        rng = Random(seed)
        for k, sight in enumerate(view.sights):
            for dialect in DIALECTS:
                if sight.area > 300 and (dialect == "referit" or not sight.is_stuff):
                    found += [
                        (seed, view, k, dialect, e) for e in describe(view, k, dialect, 3, rng)
                    ]
    return found


def test_every_expression_picks_its_referent_alone_on_a_fresh_look(generated):
    assert len(generated) > 500
    for _, view, k, _, expression in generated:
        fresh = View(view.width, view.height, view.sights)
        assert picks(expression.meaning, fresh) == [k], expression
        assert fits(expression.meaning, fresh, k), expression


def test_unc_plus_has_no_word_of_place(generated):
    listed = """left right top bottom middle center centre front back behind near far between next
    above below under over corner side upper lower first second third""".split()
    assert set(listed) <= PLACE_WORDS
    words = {w for *_, dialect, e in generated if dialect == "unc+" for w in e.sent.split()}
    assert words and not words & PLACE_WORDS


def test_a_word_of_place_in_unc_plus_stops_the_writing(monkeypatch):
    monkeypatch.setattr(
        "data_setup.miniref.expressions.short_phrase", lambda *_, **__: "cup on the left"
    )
    view = view_of(thing(), thing("car", x=90))
    with pytest.raises(AssertionError, match="no word of place, but wrote 'cup on the left'"):
        describe(view, 0, "unc+", 2, Random(0))


def test_the_words_say_what_the_meaning_says(generated):
    for *_, expression in generated:
        said = sorted(word for word in expression.sent.split() if word in COLOURS)
        meant = sorted(re.findall(rf"value='({'|'.join(COLOURS)})'", repr(expression.meaning)))
        assert said == meant, expression
        assert expression.meaning.noun.split()[-1] in expression.sent or "shirt" in expression.sent


def test_sentences_are_clean_different_and_of_their_dialects_length(generated):
    lengths = {dialect: [] for dialect in DIALECTS}
    per_referent = {}
    for seed, _, k, dialect, expression in generated:
        assert expression.sent == clean(expression.raw)
        assert re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", expression.sent)
        lengths[dialect].append(len(expression.sent.split()))
        per_referent.setdefault((seed, k, dialect), []).append(expression.sent)
    assert all(len(set(sents)) == len(sents) for sents in per_referent.values())
    for dialect, low, high in (
        ("unc", 2.8, 4.2), ("unc+", 2.4, 4.2), ("gref", 7.4, 9.6), ("referit", 2.6, 4.4)
    ):  # fmt: skip
        assert low < np.mean(lengths[dialect]) < high, dialect


def test_the_same_generator_gives_the_same_sentences():
    view = view_of(thing(), thing(x=60, colour="blue"), thing("car", x=120))
    first, second = (describe(view, 1, "unc", 3, Random(5)) for _ in range(2))
    assert first == second and len(first) == 3


def test_outlines_keep_small_masks_and_holes():
    rows, columns = np.mgrid[:60, :80]
    ring = (rows - 30) ** 2 + (columns - 40) ** 2
    two = np.zeros((60, 80), bool)
    two[5:11, 3:9] = two[40:60, 60:80] = True
    sieve = (rows + columns) % 2 == 0  # no outline follows this one
    for mask in ((ring < 400) & (ring > 100), two, ring < 12, sieve):
        segmentation, rle = segment(mask)
        decoded = coco.decode(coco.frPyObjects(segmentation, 60, 80)).any(axis=2)
        assert np.array_equal(decoded, coco.decode(rle))
        assert np.count_nonzero(decoded & mask) / np.count_nonzero(decoded | mask) >= 0.95
    holed = (ring < 400) & (ring > 100)
    assert [len(segment(mask)[0]) for mask in (two, ring < 12, holed)] == [2, 1, 1]
