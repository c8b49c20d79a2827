"""A link restores what was seen; a link of somebody else's ends as a sentence."""

import html
import re
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image

import tvnet
from tests.tiny_rows import tiny_rows
from tvnet.course.explorer import address
from tvnet.course.explorer.view import photo_query


@pytest.fixture(scope="module")
def predictors(tiny_root, tmp_path_factory):
    return tiny_rows(tiny_root, tmp_path_factory.mktemp("models"))


def link(explorer):
    return html.unescape(re.search(r'state="(.+?)"', html.unescape(explorer.link.value))[1])


def pixels(explorer):
    return [panel.pixels for panel in explorer._drawn]


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["mask", "attention A_l", "before and after AMF", "words"])
def test_a_link_restores_the_state(predictors, layer):
    first = tvnet.Explorer(predictors=predictors)
    first.picture.value = 1 - first.picture.value
    first.expression.value = "the “red” square & more"
    first.strip.cards[1].button.click()
    first.choose(layer)
    first.opacity.value, first.wipe.value, first.level.value = 0.35, 0.25, 5
    first.row.value, first.column.value = 4, 3
    first.opacity.value = 0.3
    again = tvnet.Explorer(predictors=predictors, state=link(first))
    assert link(again) == link(first) and again.status.value == first.status.value
    for one, other in zip(pixels(first), pixels(again), strict=True):
        np.testing.assert_array_equal(one, other)
    for slider in again.sliders:
        assert f'value="{getattr(again, slider).value:g}"' in again.sliders[slider].value


def test_a_served_page_has_a_link_and_a_notebook_a_call(predictors):
    called = tvnet.Explorer(predictors=predictors)
    assert called.link.value.startswith("<code>tvnet.Explorer(state=&quot;picture=")
    served = tvnet.Explorer(predictors=predictors, served=True, state="token=secret")
    found = re.search(r'<a href="\?(.+?)">link to this view</a>', served.link.value)
    assert html.unescape(found[1]) == link(called) and "secret" not in served.link.value


def test_the_link_holds_what_is_seen_and_nothing_more(predictors):
    explorer = tvnet.Explorer(predictors=predictors)
    usual = ["picture", "expression", "neighbour", "layer", "opacity"]
    assert list(parse_qs(link(explorer))) == usual
    explorer.choose("attention A_l")
    assert list(parse_qs(link(explorer))) == [*usual, "level", "row", "column"]
    explorer.choose("before and after AMF")
    assert list(parse_qs(link(explorer))) == [*usual, "wipe"]


def test_the_link_is_that_of_the_view_where_what_was_asked_last_is_refused(predictors):
    explorer = tvnet.Explorer(predictors=predictors)
    explorer._add(photo_query(predictors, Image.new("RGB", (90, 60), "red")))
    explorer._open(0)
    explorer._show()
    before = parse_qs(link(explorer))
    explorer.expression.value = "..."
    explorer.neighbour.value = "none"
    explorer.opacity.value = 0.3
    assert parse_qs(link(explorer)) == before | {"opacity": ["0.3"]}
    explorer.picture.value = len(explorer.examples)  # the reader's own
    assert "holds no word" in explorer.status.value
    explorer.opacity.value = 0.4
    assert parse_qs(link(explorer)) == before | {"opacity": ["0.4"]}
    explorer.expression.value = "red square"
    assert "this one is yours" in explorer.link.value


@pytest.mark.parametrize(
    "text, name",
    [
        ("picture=99", "picture '99'"), ("picture=two", "picture 'two'"),
        ("layer=sound", "layer 'sound'"), ("opacity=2", "opacity '2'"), ("level=6", "level '6'"),
        ("neighbour=best", "neighbour 'best'"), ("row=x", "row 'x'"), ("wipe=nan", "wipe 'nan'"),
        ("layer=<b>", "layer '<b>'"),
    ],
)  # fmt: skip
def test_a_link_of_another_page_ends_as_a_sentence(predictors, text, name):
    explorer = tvnet.Explorer(predictors=predictors, state=text)
    said = html.unescape(explorer.status.value)
    assert f"The link's {name} is not one of this page: press “link to this view” again." in said
    assert "tv-wrong" in said and "<b>" not in explorer.status.value
    explorer.expression.value = "the blue one"
    assert "tv-wrong" not in explorer.status.value


def test_what_is_none_of_ours_is_left_alone():
    assert address.read("token=abc&utm=1", [1]) == {}
    assert address.written({"picture": 1, "neighbour": None}) == "picture=1"
