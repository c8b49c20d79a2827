"""What the explorer's pixels say: each layer against the tensors that it draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny_rows import tiny_rows
from tvnet.course.explorer.canvas import (
    MASK,
    MISSED,
    SHADES,
    WRONG,
    cell_at,
    outline,
    over,
    picture_of,
)
from tvnet.course.explorer.layers import LAYERS, draw, neighbour_name
from tvnet.course.explorer.view import known_query, look
from tvnet.data.images import placement

QUERY, TEXT = 8, "red square"  # a val picture of the tiny root


@pytest.fixture(scope="module")
def predictors(tiny_root, tmp_path_factory):
    return tiny_rows(tiny_root, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def query(predictors):
    return known_query(predictors, QUERY)


@pytest.fixture(scope="module")
def seen(predictors, query):
    """A view with a mask that is neither empty nor the truth."""
    found = look(predictors, query, TEXT)
    half = np.zeros_like(found.prediction.mask)
    half[10:30, 5:30] = True
    return replace(found, prediction=replace(found.prediction, mask=half))


def test_every_layer_is_drawn(seen):
    for layer in LAYERS:
        for panel in draw(seen, layer, 0.5):
            assert panel.pixels.dtype == np.uint8 and panel.pixels.ndim == 3 and panel.caption
    with pytest.raises(ValueError, match="There is no layer 'sound': choose one of mask, "):
        draw(seen, "sound")


def test_a_neighbour_that_is_no_candidate_is_drawn_at_random_or_named(seen):
    """A link may name any picture of the pool."""
    for kind, why in (("random", "drawn at random"), ("pool", "which is no candidate")):
        found = replace(seen.prediction, candidates=(), neighbour=kind, neighbour_id=5)
        name = neighbour_name(replace(seen, prediction=found))
        assert name == f"enriched by picture 5, {why}"


def test_the_mask_is_where_it_is_and_nothing_else_changes(seen):
    pixels = draw(seen, "mask", 1.0)[0].pixels
    picture = picture_of(seen.query.encoded)
    height, width = seen.prediction.mask.shape
    y = (np.arange(len(pixels)) + 0.5) * height / len(pixels)
    x = (np.arange(pixels.shape[1]) + 0.5) * width / pixels.shape[1]
    inside = seen.prediction.mask[y.astype(int)][:, x.astype(int)]
    assert (pixels[inside] == MASK).all() and (pixels[~inside] == picture[~inside]).all()
    clear = draw(seen, "mask", 0.0)[0].pixels
    assert (clear == picture).all()


def test_errors_have_three_colours(seen):
    pixels = draw(seen, "error", 1.0)[0].pixels
    count = {name: (pixels == colour).all(axis=2).mean() for name, colour in
             {"missed": MISSED, "wrong": WRONG}.items()}  # fmt: skip
    mask, truth = seen.prediction.mask, seen.truth
    assert count["missed"] == pytest.approx((truth & ~mask).mean(), abs=0.01)
    assert count["wrong"] == pytest.approx((mask & ~truth).mean(), abs=0.01)
    assert seen.iou(mask) == (mask & truth).sum() / (mask | truth).sum()


def test_attention_is_brightest_in_the_neighbours_cell_of_most_weight(seen):
    n = seen.prediction.trace.V_in[4].shape[-1]
    row, column = 3, 5
    weights = seen.prediction.trace.A[4][0, row * n + column].reshape(n, n)
    top = np.unravel_index(int(weights.argmax()), (n, n))
    frame, looked = draw(seen, "attention A_l", 1.0, level=4, cell=(row, column))
    rows, columns = cell_at(seen.prediction.similar.place, 8, True, *looked.pixels.shape[:2])
    bright = (looked.pixels == SHADES[255]).all(axis=2)
    assert {*rows[bright.any(axis=1)]} == {top[0]} and {*columns[bright.any(axis=0)]} == {top[1]}
    assert "row 3, column 5" in frame.caption and f"{weights.max():.3f}" in looked.caption
    times = weights.max() * seen.prediction.similar.valid.sum()
    assert f"{times:.1f} times an even share" in looked.caption


def test_a_cell_is_drawn_around_the_pixel_it_looks_at():
    place = placement(64, 64, 64)
    rows, _ = cell_at(place, 8, True, 64, 64)
    assert rows[8] == 1 and rows[4] == 1 and rows[3] == 0  # cell 1 looks at pixel 8 (D38)
    rows, _ = cell_at(place, 8, False, 64, 64)
    assert rows[8] == 1 and rows[7] == 0 and rows[15] == 1


def test_before_amf_is_what_the_model_gives_with_its_gate_closed(predictors, seen):
    model = predictors["Baseline+RES+AMF"].model
    hook = model.high_resolution.gate.register_forward_hook(lambda *_: torch.tensor(-1e9))
    shut = predictors["Baseline+RES+AMF"](seen.query.encoded, TEXT).mask
    hook.remove()
    assert (shut == seen.closed).all()
    assert look({"Baseline+RES": predictors["Baseline+RES"]}, seen.query, TEXT).closed is None


def test_a_layer_that_does_not_exist_says_so(predictors, query):
    alone = look(predictors, query, TEXT, "none")
    assert "choose a neighbour" in draw(alone, "attention A_l")[0].caption
    assert "choose a neighbour" in draw(alone, "RES gates")[0].caption
    plain = look({"Baseline": predictors["Baseline"]}, query, TEXT)
    assert "no AMF" in draw(plain, "AMF's A2")[0].caption
    assert "no AMF" in draw(plain, "before and after AMF")[0].caption
    other = look(predictors, query, "a sentence of nobody")
    assert other.truth is None and "No true mask is known" in draw(other, "truth")[0].caption


def test_an_outline_is_the_rim_and_a_colour_mixes():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    inner = np.zeros_like(mask)
    inner[3:6, 3:6] = True
    assert (outline(mask) == (mask & ~inner)).all()
    grey = np.full((9, 9, 3), 100, np.uint8)
    assert (over(grey, (200, 0, 100), 0.5, mask)[mask] == (150, 50, 100)).all()
    assert (over(grey, (200, 0, 100), 0.5, mask)[~mask] == 100).all()
