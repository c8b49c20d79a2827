"""Rows that take turns end as rows that run alone, and need the backbone once for all of them."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tvnet.data import refer
from tvnet.experiment import ablation, together
from tvnet.experiment.features import LiveFeatures
from tvnet.experiment.progress import Progress
from tvnet.experiment.together import run_together
from tvnet.retrieval.build import build
from tvnet.settings import settings

SMOKE = settings("smoke")
LIVE = replace(
    SMOKE,
    training=replace(
        SMOKE.training, steps=6, trunk_steps=1, batch=2, cache_features=False, snapshot_every=1
    ),
)
ROWS = ("Baseline", "Baseline+RES+AMF")


@pytest.fixture
def out(tiny_root, tmp_path):
    build(LIVE, refer.read(tiny_root, "unc+"), tmp_path)
    return tmp_path


def same_as_alone(folder, alone):
    ours, theirs = (load_file(f / "model.safetensors") for f in (folder, alone))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    results = [json.loads((f / "result.json").read_text()) for f in (folder, alone)]
    for result in results:
        del result["seconds"], result["provenance"]
    assert results[0] == results[1]


@pytest.mark.slow
def test_rows_together_are_rows_alone_and_see_each_picture_once(out, tiny_root, monkeypatch):
    calls, plain = [], LiveFeatures.__call__
    monkeypatch.setattr(
        LiveFeatures, "__call__", lambda self, b: calls.append(self.backbone) or plain(self, b)
    )
    monkeypatch.setattr(ablation, "evaluate", lambda *_, **__: {})
    monkeypatch.setattr(ablation, "by_size", lambda found: {})
    folders = run_together(LIVE, ROWS, 0, tiny_root, out)
    assert len(calls) == 1 + 5  # one step of the trunk, five that both rows share
    assert sorted(f.name.split("-seed")[0] for f in folders) == [
        "smoke-baseline", "smoke-baseline+res+amf",
    ]  # fmt: skip
    for folder, row in zip(folders, ROWS, strict=True):
        build(LIVE, refer.read(tiny_root, "unc+"), out / "alone")
        same_as_alone(folder, ablation.run(LIVE, row, 0, tiny_root, out / "alone"))
    assert len(calls) == 6 + 1 + 2 * 5
    monkeypatch.setattr(together, "training_steps", lambda *_, **__: pytest.fail("trained again"))
    assert run_together(LIVE, ROWS, 0, tiny_root, out) == folders


@pytest.mark.slow
def test_sigterm_saves_all_rows_and_they_go_on_together(out, tiny_root, monkeypatch):
    monkeypatch.setattr(together, "measure", lambda folder, *_: folders.append(folder))
    folders, plain = [], Progress.log

    def log(progress, step, loss):
        plain(progress, step, loss)
        if step == 2 and "res" not in progress.folder.name:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="Stopped after step 4"):
        patch.setattr(Progress, "log", log)
        run_together(LIVE, ROWS, 0, tiny_root, out)
    saved = [max((f / "snapshots").iterdir()).name for f in out.glob("runs/*seed0-*[0-9a-f]")]
    assert saved.count("00000004") == 2
    run_together(LIVE, ROWS, 0, tiny_root, out)
    assert len(folders) == 2
    assert all(len(Progress(f, {}).losses()) == 5 for f in folders)


@pytest.mark.slow
def test_a_row_that_fails_saves_the_others(out, tiny_root, monkeypatch):
    plain = Progress.log

    def log(progress, step, loss):
        plain(progress, step, loss)
        if step == 3 and "res" not in progress.folder.name:
            raise FloatingPointError("the Baseline fails")

    never = replace(LIVE, training=replace(LIVE.training, snapshot_every=0))
    monkeypatch.setattr(Progress, "log", log)
    with pytest.raises(FloatingPointError, match="the Baseline fails"):
        run_together(never, ROWS, 0, tiny_root, out)
    (saved,) = out.glob("runs/*amf*/snapshots/0*")
    assert int(saved.name) == 5  # the other one's next turn


def test_waiting_for_the_others_is_nobodys_time():
    class Clock:
        asked, began = False, 0.0

    def steps(seconds):
        for _ in range(3):
            time.sleep(seconds)
            yield

    clocks = Clock(), Clock()
    began = time.perf_counter()
    for clock in clocks:
        clock.began = began
    together.take_turns([("quick", clocks[0], steps(0)), ("slow", clocks[1], steps(0.05))])
    spent = [time.perf_counter() - clock.began for clock in clocks]
    assert spent[1] >= 0.15 and spent[0] < spent[1] - 0.1


def test_a_trained_backbone_cannot_be_shared(tmp_path):
    trained = replace(LIVE, backbone=replace(LIVE.backbone, train_from="res3"))
    with pytest.raises(ValueError, match="train_from is 'res3': rows can share the maps of a fro"):
        run_together(trained, ROWS, 0, tmp_path, tmp_path)


@pytest.mark.slow
def test_the_command_makes_what_it_needs_and_takes_changed_settings(tiny_root, tmp_path, capsys):
    where = ["--profile", "smoke", "--data", str(tiny_root), "--out", str(tmp_path)]
    small = ["data.size=64", "training.cache_features=false", "training.steps=2"]
    assert together.main([*where, "--set", *small, "training.trunk_steps=1"]) == 0
    folders = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [f.name.split("-seed")[0] for f in folders] == [
        f"smoke-{row.lower()}" for row in ablation.ROWS
    ]
    result = json.loads((folders[0] / "result.json").read_text())
    assert result["settings"]["data"]["size"] == 64
    assert together.main([*where, "--set", "data.side=64"]) == 2
    assert "'data.side=64' sets nothing" in capsys.readouterr().err
