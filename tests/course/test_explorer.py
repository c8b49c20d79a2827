"""The explorer without a kernel: what each layer's pixels say, what a reader can do, bad input."""

import ast
import base64
import io
import threading
import time
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
from PIL import Image

import tvnet
from tests.tiny_rows import tiny_rows
from tvnet.course.explorer import screen as module
from tvnet.course.explorer import view
from tvnet.course.explorer.canvas import Panel
from tvnet.course.explorer.layers import GROUPS, LAYERS
from tvnet.course.explorer.page import static_preview
from tvnet.prediction import NEIGHBOURS

EXPLORER = Path(view.__file__).parent
TEXT = "red square"


@pytest.fixture(scope="module")
def predictors(tiny_root, tmp_path_factory):
    return tiny_rows(tiny_root, tmp_path_factory.mktemp("models"))


@pytest.fixture
def explorer(predictors):
    return tvnet.Explorer(predictors=predictors)


@pytest.fixture
def passes(predictors):
    """A list that grows with every forward pass of any model, backbone included."""
    counted, models = [], [p.model for p in predictors.values()]
    models.append(predictors["Baseline"].retriever.backbone)
    hooks = [m.register_forward_hook(lambda *of: counted.append(1)) for m in models]
    yield counted
    for hook in hooks:
        hook.remove()


def shown(explorer):
    """The first panel as the browser gets it."""
    return np.asarray(Image.open(io.BytesIO(explorer.panels.children[0].children[0].value)))


def said(explorer):
    return explorer.status.value


def show(explorer, layer):
    """As a reader does it: a group, then one of its layers."""
    explorer.group.value = next(group for group, layers in GROUPS.items() if layer in layers)
    explorer.layer.value = layer


# -- what a reader does


def test_layers_sliders_and_cells_run_no_model(explorer, passes):
    for layer in LAYERS:
        before = shown(explorer)
        show(explorer, layer)
        for name, value in (("opacity", 0.3), ("opacity", 0.9), ("level", 5), ("wipe", 0.2)):
            getattr(explorer, name).value = value
        explorer.row.value, explorer.column.value = 4, 4
        explorer.pointed.value = "0.3 0.6"
        assert said(explorer).count(layer.replace("'", "&#x27;")) and before.size
    assert not passes


def test_a_view_that_was_seen_runs_no_model_again(explorer, passes):
    explorer.expression.value = "the blue one"
    first, ran = shown(explorer), len(passes)
    explorer.neighbour.value = "none"
    assert len(passes) > ran > 0
    ran = len(passes)
    explorer.neighbour.value = "retrieved"
    assert len(passes) == ran and (shown(explorer) == first).all()


def test_a_candidate_enriches_when_its_button_is_pressed(explorer, predictors):
    card = explorer.strip.cards[2]
    assert "tv-chosen" not in card.box._dom_classes
    card.button.click()
    found = explorer.view.prediction
    assert (found.neighbour, found.neighbour_id) == ("pool", card.key)
    model = predictors["Baseline+RES+AMF"]
    direct = model(found.encoded, explorer.view.expression, card.key)
    assert (direct.probability == found.probability).all()
    assert explorer.neighbour.value is None
    chosen = [c.key for c in explorer.strip.cards if "tv-chosen" in c.box._dom_classes]
    assert chosen == [card.key] and f"picture {card.key}" in said(explorer)
    for kind in NEIGHBOURS:
        explorer.neighbour.value = kind
        assert explorer.view.prediction.neighbour == kind
    explorer.strip.cards[1].button.click()
    explorer.expression.value = "blue square"  # other candidates: the two stages choose again
    assert explorer.neighbour.value == "retrieved"


def test_picking_a_picture_or_a_sentence_asks_for_it(explorer):
    place = next(i for i in range(len(explorer.examples)) if i != explorer.picture.value)
    explorer.picture.value = place
    assert explorer.expression.value == explorer.examples[place].text == explorer.view.expression
    texts = [value for _, value in explorer.sentences.options if value]
    assert set(texts) == set(explorer.view.query.truths)
    explorer.sentences.value = texts[-1]
    assert explorer.view.expression == texts[-1] and "IoU" in said(explorer)
    explorer.expression.value = "squares of nobody"
    assert "IoU" not in said(explorer) and explorer.sentences.value == ""


def test_the_explorer_begins_with_what_is_given(predictors):
    picture = Image.new("RGB", (900, 300), "red")
    begun = tvnet.Explorer(picture, "red square", predictors)
    assert begun.view.expression == "red square" and begun.view.query.name == "your picture"
    assert begun.view.query.encoded.picture.size == (640, 213)
    with pytest.raises(FileNotFoundError, match="There is no picture at gone.jpg"):
        tvnet.Explorer("gone.jpg", predictors=predictors)


def test_failures_are_opened_with_one_press(explorer, monkeypatch):
    worst = [replace(e, kind="worst") for e in explorer.examples]
    monkeypatch.setattr(explorer, "examples", worst)
    explorer.gallery.box.selected_index = 0
    assert len(explorer.gallery.cards) == len(worst)
    explorer.gallery.cards[1].button.click()
    assert said(explorer).count(">error: ") and explorer.view.expression == worst[1].text
    assert "tv-wrong" not in said(explorer)


def test_without_a_kernel_a_static_preview_is_shown(explorer):
    bundle = explorer._repr_mimebundle_(include=None, exclude=None)
    preview = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert preview.width > 800 and explorer.view.expression in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert explorer._ipython_display_ is None


# -- what goes wrong


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "holds no word: say what to look for"),
        ("  …  ", "holds no word"),
        ("dog " * 1000, "Only the first 20 of 1000 words are read."),
        ("🐶", "does not know &#x27;🐶&#x27;"),
        ("הכלב השמאלי", "does not know &#x27;הכלב&#x27;"),
        ("red wuffwuff", "does not know &#x27;wuffwuff&#x27;"),
        ("<script>red</script>", "&lt;script&gt;"),
        ("\x00\x07", "holds no word"),
    ],
)
def test_odd_text_ends_as_a_sentence(explorer, text, sentence):
    explorer.expression.value = text
    assert sentence in said(explorer) and "should not have" not in said(explorer)
    assert "<script>" not in said(explorer) and len(said(explorer)) < 1000
    assert all("<script>" not in c.words.value for c in explorer.strip.cards)
    explorer.expression.value = TEXT  # and goes on
    assert f"“{TEXT}”" in said(explorer) and "tv-wrong" not in said(explorer)


def test_what_is_done_meanwhile_is_not_lost(explorer, monkeypatch):
    """JupyterLab hands the events of one page to more than one thread of the kernel."""
    drawing, drawn = threading.Event(), module.draw

    def slowly(*given):
        drawing.set()
        time.sleep(0.2)
        return drawn(*given)

    monkeypatch.setattr(module, "draw", slowly)
    fade = threading.Thread(target=setattr, args=(explorer.opacity, "value", 0.1))
    fade.start()
    assert drawing.wait(5)
    explorer.picture.value = place = 1 - explorer.picture.value
    fade.join()
    assert explorer.view.query is explorer._query_of(explorer.examples[place].image_id)
    assert f"“{explorer.examples[place].text}”" in said(explorer)


def test_no_exception_disappears(explorer, monkeypatch):
    def raising(*given, **named):
        raise KeyError("planted")

    monkeypatch.setattr(module, "draw", raising)
    monkeypatch.setattr(explorer, "_look", raising)

    def another(box):
        return box.min if box.value > box.min else box.max

    explorer.choose("attention A_l")
    acts = {
        "row": another(explorer.row), "column": another(explorer.column),
        "pointed": "0.5 0.5",
        "layer": "RES gates", "group": "its words", "opacity": 0.1, "wipe": 0.1,
        "level": 3, "expression": "new", "neighbour": "self",
        "picture": 1 - explorer.picture.value,
    }  # fmt: skip
    for name, value in acts.items():
        explorer.say("fine")
        getattr(explorer, name).value = value
        printed = said(explorer)
        assert "This should not have happened: KeyError" in printed and "tv-wrong" in printed, name
    explorer.say("fine")
    explorer.strip.cards[0].button.click()
    assert "KeyError" in said(explorer)


# -- for everybody, everywhere


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def test_every_control_has_a_name(explorer):
    controls = [w for w in everything(explorer) if hasattr(w, "description")]
    controls = [w for w in controls if not isinstance(w, ipywidgets.HTML)]
    assert len(controls) > 10 and all(w.description for w in controls)
    silent = ipywidgets.FloatSlider, ipywidgets.IntSlider  # their handles have no name
    assert not any(isinstance(w, silent) for w in controls)


def test_the_preview_has_a_title_above_and_a_caption_below_each_panel():
    panel = Panel("caption", np.full((40, 120, 3), 255, np.uint8))
    ink = (static_preview("title", [panel, panel]) < 128).all(axis=2)
    assert ink.shape == (112, 276) and ink[:30].any() and not ink[30:70].any()
    assert ink[70:, :132].any() and ink[70:, 132:].any()


# Names of ipywidgets 7.7.5 that the explorer uses, looked up there.
BOTH = {"layout", "style", "description", "value"}
CORE = {
    "VBox": set(), "HBox": set(), "Box": {"layout"}, "HTML": {"value"}, "Image": {"format"},
    "Dropdown": BOTH | {"options"}, "Text": BOTH | {"placeholder", "continuous_update"},
    "ToggleButtons": BOTH | {"options", "tooltips"}, "Button": BOTH | {"tooltip"},
    "FileUpload": BOTH | {"accept", "multiple"}, "Accordion": {"selected_index"},
    "Textarea": BOTH | {"continuous_update"},
    "Layout": {"width", "flex_flow", "display"}, "BoundedIntText": BOTH | {"min", "max", "step"},
    "BoundedFloatText": BOTH | {"min", "max", "step"}, "Widget": set(), "DOMWidget": set(),
}  # fmt: skip


def test_only_the_core_of_ipywidgets_7_is_used():
    used = set()
    for name in ("widget", "screen", "page", "panels", "pictures", "cards"):
        for node in ast.walk(ast.parse((EXPLORER / f"{name}.py").read_text())):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "widgets":
                used.add(node.attr)
            of_widgets = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if of_widgets and getattr(node.func.value, "id", "") == "widgets":
                known = {keyword.arg for keyword in node.keywords}
                assert known <= CORE[node.func.attr], (node.func.attr, known)
    assert used <= CORE.keys()
