"""What a reader sees of a run: lines where nobody watches, a plot in a notebook."""

import re
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from tvnet.course.figures.watch import PLAIN, Watch
from tvnet.settings import settings
from tvnet.training.loop import train

SMOKE = settings("smoke")
SHORT = replace(SMOKE, training=replace(SMOKE.training, steps=4, batch=2, eval_every=2))


def test_lines_tell_step_loss_iou_and_the_time_that_is_left(ready, monkeypatch, capsys):
    monkeypatch.setenv(PLAIN, "1")
    watch, scores = Watch(SHORT.training.steps, pause=0), iter((12.5, 31.0))
    train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0, report=watch,
          validate=watch.validation(lambda model: next(scores)))  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"step 1/4  loss \d+  \d+ s left", lines[0])
    assert re.fullmatch(r"step 3/4  loss \d+  IoU 12\.5 after 2  \d+ s left", lines[2])
    assert re.fullmatch(r"step 4/4  loss \d+  IoU 31\.0 after 4  0 s left", lines[-1])


def test_a_quiet_watch_still_tells_the_end(monkeypatch, capsys):
    monkeypatch.setenv(PLAIN, "1")
    watch = Watch(3, pause=1000)
    for step in range(3):
        watch(step, 7.0)
    assert capsys.readouterr().out == "step 3/3  loss 7  0 s left\n"


def test_what_is_left_is_counted_from_where_a_run_went_on(monkeypatch):
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("tvnet.course.figures.watch.time", clock)
    watch = Watch(2000, pause=1e9)
    for step in (1000, 1001):  # the first thousand were made yesterday
        clock.now += 8
        watch(step, 1.0)
    assert watch.line().endswith("2 h 13 min left")  # 998 steps of 8 s


@pytest.mark.slow
def test_a_notebook_redraws_one_plot(monkeypatch):
    shown = []
    before = plt.get_fignums()  # what other tests left open
    place = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(display=lambda figure, display_id: shown.append(figure) or place)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.delenv(PLAIN, raising=False)
    watch = Watch(12, pause=0)
    for step in range(12):
        watch(step, 100.0 - step)
    watch.validation(lambda model: 40.0)(None)
    assert len(shown) == 13 and plt.get_fignums() == before
    loss, iou = shown[-1].axes
    assert [len(curve.get_xdata()) for curve in loss.lines] == [12, 3]
    assert iou.lines[0].get_ydata().tolist() == [40.0]
