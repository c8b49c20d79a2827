"""Each system of Table 2 in pictures, its line of the grid held to its code, the table beside."""

from dataclasses import replace
from fnmatch import fnmatch

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tvnet.course import table2
from tvnet.course.figures.systems import KINDS, draw, look
from tvnet.course.figures.views import VIEWS, view
from tvnet.course.paper import load
from tvnet.data import refer
from tvnet.evaluation.ablation import finished, run
from tvnet.model.backbone import DeepLab
from tvnet.model.method import build
from tvnet.retrieval.build import build as build_neighbours
from tvnet.rows import BEST, ORACLES, RIVALS, TABLE2, row_settings
from tvnet.settings import settings

matplotlib.use("Agg")
SMOKE = settings("smoke")
SYSTEMS = {s["row"]: s for s in load("systems")}


@pytest.fixture(scope="module")
def out(tiny_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    build_neighbours(SMOKE, refer.read(tiny_root, "unc+"), folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("row", VIEWS)
def test_every_system_is_seen_at_work(row, tiny_root, out):
    seen = look(SMOKE, row, 0, tiny_root, out, steps=1)
    name = table2.NAME_OF.get(row, row)
    assert seen.network == f"{name} after 1 of 12 steps: barely trained"
    if row not in ORACLES:  # whose candidates are as many as a picture has
        assert seen.trace.shapes() == seen.expected
    shown = view(seen)
    T = len(seen.words)
    assert T == 6 and seen.truth.any() and seen.image.shape == (96, 96, 3)
    for kind, values in shown.maps.values():
        assert kind in KINDS and values.ndim == 2 and np.isfinite(values).all()
    for values in shown.shares.values():
        assert values.shape == (T,) and values.min() >= 0
    drawn = draw(seen, shown)
    titles = [ax.get_title().replace("\n", " ") for ax in drawn.axes if ax.get_title()]
    assert titles[0] == "“the red one of picture 7”" and titles[-1] == "its mask"
    assert [" ".join(title.split()) for title in titles[1:-1]] == list(shown.maps)
    drawn.canvas.draw()
    plt.close(drawn)


@pytest.mark.slow
def test_shares_of_weights_are_multiples_of_an_equal_share(tiny_root, out):
    for row in ("KWA", "CMSA", "BRINet", "CMPC", "LSCM"):
        maps = view(look(SMOKE, row, 0, tiny_root, out, steps=1)).maps.values()
        mean = np.mean([values for kind, values in maps if kind == "share"], axis=(0, 1, 2))
        assert mean == pytest.approx(1, abs=1e-3), row


def test_a_finished_run_is_what_is_seen(tiny_root, tmp_path):
    short = replace(SMOKE, training=replace(SMOKE.training, steps=2, batch=2))
    data = refer.read(tiny_root, "unc+")
    assert finished(short, RIVALS, [0, 1], data, tmp_path) == []
    run(short, "RRN", 1, tiny_root, tmp_path)
    assert finished(short, RIVALS, [0, 1], data, tmp_path) == [("RRN", 1)]
    seen = look(short, "RRN", 1, tiny_root, tmp_path, steps=1)
    assert seen.network == "RRN, trained for all of its 2 steps"
    assert "1 of 2 steps" in look(short, "RRN", 0, tiny_root, tmp_path, steps=1).network


def one_pass(row, hooked=()):
    """Which levels the logits depend on, and how often each module runs, for five words."""
    torch.manual_seed(0)
    model = build(row_settings(SMOKE, row), 30)
    for parameter in model.parameters():  # nothing left at zero
        torch.nn.init.normal_(parameter, std=0.3)
    calls = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, n=name: calls.update({n: calls.get(n, 0) + 1}))
    maps = DeepLab(SMOKE.backbone).freeze()(torch.randint(0, 256, (2, 3, 96, 96)).byte())
    V_in = {name: V[:1].clone().requires_grad_() for name, V in maps.items()}
    V_sim = {name: V[1:] for name, V in maps.items()} if row == BEST else None
    model(V_in, V_sim, torch.randint(4, 10, (1, 5)), torch.tensor([5])).sum().backward()
    levels = {int(n[1]) for n, V in V_in.items() if V.grad is not None and V.grad.abs().max() > 0}
    return levels, calls


@pytest.mark.parametrize("row", TABLE2)
def test_the_grid_says_what_the_code_does(row):
    """Levels that are read, and how often the named modules run."""
    levels, calls = one_pass(row)
    system = SYSTEMS[row]
    assert system["levels"] == sorted(levels, reverse=True)
    for pattern, count in system["counted"].items():
        depth = pattern.count(".")
        found = [n for n in calls if fnmatch(n, pattern) and n.count(".") == depth]
        assert sum(calls[n] for n in found) == count, pattern


def test_counts_in_words_are_those_that_are_counted():
    said = {s["method"]: s for s in load("systems")}
    assert f"{said['STEP']['counted']['conv_gru']} times" in said["STEP"]["often"]
    assert said["RMI"]["often"] == "at every word" and "25 regions" in said["KWA"]["meets"]
    assert said["LSCM"]["counted"]["conv_lstm.mix"] == 7 and "seven" in said["LSCM"]["again"]
    assert said["BRINet"]["counted"]["gates.*"] == 6 and "six" in said["BRINet"]["again"]
    grid = table2.grid_markdown().splitlines()
    assert len(grid) == 2 + 12 and grid[-1].startswith("| TV-Net | V5, V4, V3, V2 | ")


def test_an_unknown_system_is_named():
    assert table2.rows_of("RRN TV-Net RRN") == ["RRN", BEST]
    assert table2.rows_of("") == []
    with pytest.raises(ValueError, match="^There is no system 'RNN': choose from LSTM-CNN, RMI, "):
        table2.rows_of("RRN RNN")
