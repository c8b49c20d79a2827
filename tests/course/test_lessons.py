"""What the explorer offers to click is true of the models that ship, and costs few passes."""

import html

import pytest

import tvnet
from tvnet.course.explorer.screen import Screen
from tvnet.course.explorer.view import look
from tvnet.course.paper import load


@pytest.fixture(scope="module")
def explorer():
    return tvnet.Explorer()


@pytest.fixture
def opened(explorer):
    """Press the button of a lesson; the view that it opens."""

    def press(name):
        button = next(b for b in explorer.lessons.children[1:] if b.description == name)
        button.click()
        assert "tv-wrong" not in explorer.status.value
        assert "IoU" in explorer.status.value  # the truth is known
        return explorer.view

    return press


@pytest.mark.slow
def test_every_lesson_shows_its_layer_and_says_what_to_see(explorer, opened):
    for lesson in load("lessons"):
        opened(lesson["name"])
        assert html.escape(lesson["lesson"]) in explorer.lesson.value
        assert explorer.layer.value == lesson["layer"]
        assert explorer.view.expression == lesson["expression"]
    explorer.picture.value = (explorer.picture.value + 1) % 3
    assert explorer.lesson.value == ""


def test_no_lesson_is_a_picture_that_a_model_was_trained_on(explorer):
    data = list(explorer.predictors.values())[-1].retriever.data
    splits = {r.image_id: r.split for r in data.referents}
    assert {splits[lesson["picture"]] for lesson in load("lessons")} == {"val"}


def test_one_word_decides(opened):
    view = opened("a word that matters")
    iou = {without.word: without.iou for without in view.words}
    assert view.iou(view.prediction.mask) > 0.5 and max(iou.values()) < 0.1


def test_what_is_added_counts_and_which_neighbour_does_not(opened, explorer):
    view = opened("a neighbour that does nothing")
    mask = view.prediction.mask
    assert view.iou(mask) > 0.7 and view.iou(view.unenriched) < 0.3
    for control in ("random", "self"):
        other = look(explorer.predictors, view.query, view.expression, control)
        assert (other.prediction.mask ^ mask).mean() < 0.002
    border, columns = explorer.wipe.value * mask.shape[1], mask.any(axis=0).nonzero()[0]
    assert columns[0] < border < columns[-1]  # the slider stands inside the mask


def test_the_mask_covers_the_first_man_and_ends_at_the_second(opened):
    view = opened("an occluded referent")
    mask, width = view.prediction.mask, view.truth.shape[1]
    extra, missed = mask & ~view.truth, view.truth & ~mask
    assert 0.5 < view.iou(mask) < 0.8 and extra.sum() > 0.1 * view.truth.sum()
    assert extra[:, width // 8 : width // 2].sum() > 0.7 * extra.sum()
    assert missed[:, 5 * width // 8 :].sum() > 0.5 * missed.sum()


def test_the_failure_is_one(opened):
    view = opened("a failure")
    mask, green = view.prediction.mask, view.query.truths["person wearing green"]
    assert view.iou(mask) < 0.05 and (mask & green).sum() > 0.8 * mask.sum()


@pytest.mark.slow
def test_the_mask_is_shown_after_two_passes_and_all_is_there_after_six(monkeypatch):
    explorer = tvnet.Explorer()
    predictors = explorer.predictors
    calls, drawn, shows = [], [], Screen.show_panels
    networks = [p.model for p in predictors.values()]
    networks.append(predictors["Baseline"].retriever.backbone)
    hooks = [n.register_forward_hook(lambda *of: calls.append(1)) for n in networks]

    def show(self, panels):
        drawn.append(len(calls))
        shows(self, panels)

    monkeypatch.setattr(Screen, "show_panels", show)
    for sentence in [text for text in explorer.view.query.truths][:3]:
        calls.clear(), drawn.clear()
        explorer.expression.value = f"the {sentence}"
        assert drawn[0] <= 2 and len(calls) <= 6
        calls.clear()
        for layer in ("words", "variants", "attention A_l", "before and after RES"):
            explorer.choose(layer)
            explorer.opacity.value = 0.2 if explorer.opacity.value > 0.5 else 0.8
            explorer.wipe.value = 0.2 if explorer.wipe.value > 0.5 else 0.8
        explorer.pointed.value = f"0.4{len(drawn)} 0.5"
        assert not calls
        explorer.choose("mask")
    for hook in hooks:
        hook.remove()
