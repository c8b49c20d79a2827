"""The tab for a reader's own pictures: what arrives, what is answered, what is refused."""

import base64
import html
import io
import re
from datetime import UTC, datetime

import ipywidgets
import numpy as np
import pytest
from PIL import Image

import tvnet
from tests.tiny_rows import tiny_rows
from tvnet.course.explorer.layers import LAYERS
from tvnet.course.explorer.pictures import LIMITS, dropped, uploaded

TEXT = "red square"


@pytest.fixture(scope="module")
def predictors(tiny_root, tmp_path_factory):
    return tiny_rows(tiny_root, tmp_path_factory.mktemp("models"))


@pytest.fixture
def explorer(predictors):
    made = tvnet.Explorer(predictors=predictors)
    made.tabs.value = "Your pictures"
    return made


def png_file(size):
    file = io.BytesIO()
    Image.new("1", size).save(file, "PNG")
    return file.getvalue()


def hand_over(control, name, content):
    """As ipywidgets 7 or 8 does."""
    if ipywidgets.__version__.startswith("7"):
        files = {name: {"content": content, "metadata": {"name": name}}}
        control.set_trait("value", files)
    else:
        about = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
        about["last_modified"] = datetime.now(UTC)
        control.value = (about,)


def drop(yours, name, content):
    """As the page's drop zone does."""
    encoded = base64.b64encode(content).decode()
    yours.dropped.value = f"{name}\ndata:image/png;base64,{encoded}"


def said(yours):
    return html.unescape(yours.status.value)


def test_one_tab_is_seen_at_a_time(explorer):
    assert explorer.inside.layout.display == "none" and explorer.yours.layout.display == ""
    explorer.tabs.value = "Look inside"
    assert explorer.inside.layout.display == "" and explorer.yours.layout.display == "none"


@pytest.mark.parametrize("way", ["upload", "drop"])
def test_a_picture_and_a_sentence_give_mask_words_candidates_and_a_file(explorer, way):
    yours = explorer.yours
    if way == "upload":
        hand_over(yours.upload, "own.png", png_file((90, 60)))
    else:
        drop(yours, "own.png", png_file((90, 60)))
        assert yours.dropped.value == ""  # the content is held once
    assert "'own.png' is read. What should the network look for?" in said(yours)
    assert yours.found.layout.display == "none"
    yours.expression.value = TEXT
    assert "tv-wrong" not in said(yours) and f"“{TEXT}”" in said(yours)
    captions = [html.unescape(box.children[1].value) for box in yours.words.children]
    assert [c.split(":")[0] for c in captions] == ["without “red”", "without “square”"]
    assert len(yours.strip.row.children) == 3 and yours.found.layout.display == ""
    saved = re.search(r'download="own-mask.png" href="data:image/png;base64,(.+?)"',
                      yours.download.value)  # fmt: skip
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(saved[1]))))
    assert (mask == 255 * yours.view.prediction.mask).all() and "90 x 60" in yours.download.value


def test_a_candidate_enriches_here_too_and_every_layer_is_one_press_away(explorer):
    yours = explorer.yours
    drop(yours, "own.png", png_file((90, 60)))
    yours.expression.value = TEXT
    yours.strip.cards[1].button.click()
    assert yours.view.prediction.neighbour_id == yours.strip.cards[1].key
    yours.more.click()
    assert explorer.tabs.value == "Look inside" and explorer.yours.layout.display == "none"
    assert explorer.view.query is yours.query and explorer.view.expression == TEXT
    assert explorer.picture.options[-1][0] == "yours · own.png"
    assert "this one is yours" in explorer.link.value
    yours.more.click()
    assert len(explorer.picture.options) == len(explorer.examples) + 1  # listed once
    for layer in LAYERS:
        explorer.choose(layer)
        assert "tv-wrong" not in explorer.status.value
    explorer.picture.value = 0
    explorer.picture.value = len(explorer.examples)  # and back to it
    assert explorer.view.query.name == "own.png"


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (40, 900)])
def test_a_picture_of_any_shape_is_answered(explorer, size):
    explorer.yours.expression.value = TEXT
    assert "There is no picture yet: drop one, or choose a file." in said(explorer.yours)
    drop(explorer.yours, "own.png", png_file(size))
    assert "tv-wrong" not in said(explorer.yours), said(explorer.yours)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("notes.jpg", b"I am a text.", "picture 'notes.jpg' is no picture of the kinds JPEG"),
        ("huge.png", png_file((20_000, 20_000)), "'huge.png' has too many pixels, more than"),
        ("cut.png", png_file((50, 50))[:45], "'cut.png'"),
        ("empty.png", b"", "'empty.png'"),
    ],
    ids=["text", "huge", "cut", "empty"],
)
def test_a_file_that_is_no_picture_ends_as_a_sentence(explorer, name, content, sentence):
    yours = explorer.yours
    for way in (lambda: hand_over(yours.upload, name, content), lambda: drop(yours, name, content)):
        yours.say("fine")
        way()
        assert sentence in said(yours) and "tv-wrong" in said(yours)
        assert "should not have" not in said(yours) and "/tmp" not in said(yours)
    assert yours.query is None


def test_both_forms_of_an_upload_are_read():
    class Control:
        value = {"a.png": {"content": png_file((3, 2)), "metadata": {}}}

    assert uploaded(Control())[0].size == (3, 2)
    Control.value = ({"name": "b.png", "content": memoryview(png_file((5, 2)))},)
    picture, name = uploaded(Control())
    assert picture.size == (5, 2) and name == "b.png"
    Control.value = ()
    with pytest.raises(ValueError, match="No file was uploaded: choose a picture again."):
        uploaded(Control())


def test_what_was_dropped_and_did_not_arrive_whole_is_named():
    with pytest.raises(ValueError, match="'a.png' did not arrive whole: drop it again."):
        dropped("a.png\ndata:image/png;base64,abc")


def test_the_limit_stands_beside_the_button_and_holds_where_a_file_is_dropped(explorer, predictors):
    assert explorer.yours.limit.value == "at most 100 MB in the app, 10 MB in JupyterLab"
    for served, where in ((False, "JupyterLab"), (True, "the app")):
        page = tvnet.Explorer(predictors=predictors, served=served)
        most = re.search(r"larger than (\d+) MB", page.yours.drop.value)
        assert 4 * int(most[1]) <= 3 * LIMITS[where]  # base64 needs four bytes for three


def test_no_exception_disappears(explorer, monkeypatch):
    def raising(*given, **named):
        raise KeyError("planted")

    drop(explorer.yours, "own.png", png_file((9, 9)))
    monkeypatch.setattr(explorer.yours, "_look", raising)
    explorer.yours.expression.value = TEXT
    assert "This should not have happened: KeyError" in said(explorer.yours)
    monkeypatch.setattr(explorer.yours, "_read", raising)
    explorer.yours.say("fine")
    drop(explorer.yours, "own.png", png_file((9, 8)))
    assert "KeyError" in said(explorer.yours)
