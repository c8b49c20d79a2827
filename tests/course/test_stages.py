"""The pictures of the stages: their rules choose the same again, and every figure is drawn."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from tvnet.course.explorer.view import attention_row
from tvnet.course.figures import marks, motion, one_look, stages, trained
from tvnet.data.images import placement
from tvnet.rows import BEST

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def predictors():
    return trained.with_and_without_amf()


@pytest.fixture(scope="module")
def views(predictors):
    return trained.example_views(predictors)


def stand_in(before, after, closed=0):
    """A view whose IoUs are given, and whose mask differs from the closed one in some pixels."""
    mask = np.zeros((4, 5), bool)
    without = mask.copy()
    without.flat[:closed] = True
    return SimpleNamespace(
        rows={trained.BEFORE: before, BEST: after}, iou=float, closed=without,
        prediction=SimpleNamespace(mask=mask),
    )  # fmt: skip


def test_the_median_gain_is_the_higher_of_two_middles():
    gains = {0.5: 0.6, 0.2: 0.7, 0.9: 0.6, 0.3: 0.5, 0.1: 0.3}  # +0.1, +0.5, -0.3, +0.2; missed
    chosen = trained.median_gain([stand_in(*pair) for pair in gains.items()])
    assert chosen.rows == {trained.BEFORE: 0.3, BEST: 0.5}
    assert trained.median_gain([chosen]) is chosen and trained.found_ones([stand_in(0, 0)])


def test_the_gate_matters_most_where_most_pixels_differ():
    views = [stand_in(0, iou, closed) for iou, closed in ((1, 3), (1, 9), (0, 20), (1, 5))]
    assert trained.differ_most(views) == [views[1], views[3]]


def test_half_of_the_attention_is_the_fewest_cells_that_have_it():
    row = np.array([[0.1, 0.4], [0.2, 0.3]])
    assert trained.half_of(row).tolist() == [[False, True], [False, True]]


def view_with(truth):
    encoded = SimpleNamespace(place=placement(*truth.shape, 64))
    grid = SimpleNamespace(model=SimpleNamespace(upsampling="half_pixel"))
    return SimpleNamespace(query=SimpleNamespace(encoded=encoded), truth=truth, settings=grid)


def test_the_referents_cells_begin_at_its_middle():
    truth = np.zeros((64, 64), bool)
    truth[8:32, 16:40] = True  # rows 1 to 3 and columns 2 to 4 of the map
    truth[40:45, :8] = True  # a cell that it does not fill
    assert len(trained.referent_cells(view_with(truth), 0.5)) == 10
    cells = trained.referent_cells(view_with(truth))
    assert cells[0] == (2, 3) and len(cells) == 9
    assert set(cells) == {(y, x) for y in (1, 2, 3) for x in (2, 3, 4)}


def test_the_path_visits_each_cell_once_and_turns_at_the_ends():
    truth = np.zeros((64, 64), bool)
    truth[8:24, 16:40] = True
    path = motion.path_of(view_with(truth))
    assert path == [(1, 2), (1, 3), (1, 4), (2, 4), (2, 3), (2, 2)]
    assert motion.path_of(view_with(truth), frames=2) == [(1, 2), (2, 2)]


@pytest.mark.slow
def test_attention_is_measured_in_even_shares(views):
    found = views[0].prediction
    row = attention_row(found, 5, (3, 4))
    seen = found.similar.valid[0].numpy()
    assert row[seen].mean() == pytest.approx(1, abs=1e-4) and not row[~seen].any()


@pytest.mark.slow
def test_rules_choose_the_same_in_whatever_order_the_views_come(predictors, views):
    for rule in (trained.median_gain, motion.largest, lambda v: trained.differ_most(v)[0]):
        assert rule(views) is rule(views[::-1])
    first, second = trained.best_pair(predictors[BEST])
    assert first.query is second.query and first.expression != second.expression
    assert not np.array_equal(first.truth, second.truth)


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_an_outline_is_seen_on_every_colour(views):
    """Beside each other lie white and black, wherever the referent's border is."""
    figure, axes = stages.grid(1, 1, 3, 3)
    for colour in ((255, 0, 0), (128, 0, 128), (255, 105, 180), (0, 0, 0), (255, 255, 255)):
        mask = np.zeros((20, 20), bool)
        mask[5:15, 5:15] = True
        marks.show(axes[0, 0], np.full((20, 20, 3), colour, np.uint8))
        marks.outline(axes[0, 0], mask)
        figure.canvas.draw()
        drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3].reshape(-1, 3).astype(int)
        for wanted in (0, 255):
            assert (np.abs(drawn - wanted).max(axis=1) < 30).sum() > 50


def test_every_figure_is_drawn(predictors, views):
    best = predictors[BEST]
    drawn = stages.plot_enrichment(views[0])
    assert "the neighbour" in titles(drawn) and "weight of each cell" in titles(drawn)
    drawn = stages.plot_gates(trained.differ_most(views), trained.untrained(best))
    assert {"A2 before training", "A2 after training"} <= set(titles(drawn))
    assert sum("IoU" in ax.get_xlabel() for ax in drawn.axes) == 4
    view = views[0]
    image = np.asarray(view.query.encoded.picture)
    maps = {"before": view.prediction.probability, "after": view.prediction.probability}
    drawn = stages.plot_probabilities(r"the $\frac$", image, view.truth, maps)
    drawn.canvas.draw()
    assert titles(drawn) == [r"“the $\frac$”", "before", "after"]
    stages.plot_replaced({"black": 0.1, "another sentence": 90.0}).canvas.draw()


def test_fusion_is_drawn_for_two_sentences_of_one_picture():
    first, second = trained.best_pair(trained.load("Baseline"))
    drawn = stages.plot_fusion(first, second)
    assert any(first.expression in title.replace("\n", " ") for title in titles(drawn))


def test_one_look_shows_eight_steps_and_both_ious(views):
    figure = one_look.one_look(trained.median_gain(views))
    assert [title[0] for title in titles(figure)] == list("12345678")
    assert sum("IoU" in ax.get_xlabel() for ax in figure.axes) == 2


def test_the_moving_pictures_are_small(views):
    view = motion.largest(views)
    frames = motion.frames_of(view, 2)
    assert len(frames) == 2 and frames[0].size == frames[1].size
    assert len(motion.palette_of(frames[0]).getpalette()) == 3 * 256
    for name in ("attention", "learning"):
        committed = Path(__file__).parents[2] / "notebooks" / "figures" / f"{name}.gif"
        assert committed.stat().st_size < 300_000


@pytest.mark.slow
def test_a_frame_of_learning_shows_two_things_of_one_kind(monkeypatch):
    drawn, pairs, first_pair = [], [], motion.first_pair
    monkeypatch.setattr(motion, "_learning_frame", lambda *given: drawn.append(given))
    monkeypatch.setattr(
        motion, "first_pair", lambda samples: pairs.append(first_pair(samples)) or pairs[-1]
    )
    motion.learning_frames(2 * motion.EVERY)
    ((one, another),) = pairs
    assert one.image_id == another.image_id and one.category_id == another.category_id
    assert [steps for _, steps, _, _ in drawn] == [2 * motion.EVERY] * 2
    losses, _, _, ((first, _, truth), (second, _, other)) = drawn[-1]
    assert len(losses) == 2 * motion.EVERY and losses[-1] < losses[0]
    assert first != second
    assert truth.any() and other.any() and not (truth & other).any()
