"""Every command reads one data root: its world must be the one that is needed, its weights used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tvnet.data import refer
from tvnet.retrieval import build as stage_one
from tvnet.settings import settings
from tvnet.training import __main__ as one_run
from tvnet.training.setup import prepare

LAPTOP = settings("laptop")


@pytest.fixture
def small_world(tiny_copy):
    """A root that says of itself that it is a MiniRef of 90 pictures."""
    about = {"world": "MiniRef", "version": refer.VERSION, "pictures": 90, "seed": 0}
    (tiny_copy / refer.MARKER).write_text(json.dumps(about))
    return tiny_copy


@pytest.mark.parametrize("reader", ["prepare", "build"])
def test_no_reader_takes_a_small_world_for_the_large_one(reader, small_world, tmp_path):
    data = refer.read(small_world, "unc+")
    readers = {
        "prepare": lambda: prepare(LAPTOP, small_world, tmp_path / "out"),
        "build": lambda: stage_one.build(LAPTOP, data, tmp_path / "out"),
    }
    with pytest.raises(ValueError, match=r"pictures 90, .* and MiniRef \(pictures 2000, .* needed"):
        readers[reader]()
    assert not (tmp_path / "out").exists()


def test_a_command_refuses_a_small_world_in_one_sentence(small_world, tmp_path, capsys):
    assert one_run.main(["--data", str(small_world), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--pictures 2000 --seed 0" in error


def test_stage_one_reads_the_weights_of_the_data_root_and_runs_on_the_device_that_was_named(
    tiny_root, tmp_path, monkeypatch
):
    asked = []

    def encoders(chosen, samples, weights, device):
        asked.append((weights, device))
        raise ValueError("seen enough")

    monkeypatch.setattr(stage_one, "encoders", encoders)
    monkeypatch.setattr(one_run, "device_of", lambda name: f"{name}, checked")
    options = ["--data", str(tiny_root), "--out", str(tmp_path), "--profile", "paper"]
    assert one_run.main([*options, "--device", "meta"]) == 2
    assert asked == [(tiny_root / "weights", "meta, checked")]


def test_any_other_folder_of_weights_can_be_named(tiny_root, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(stage_one, "encoders", lambda *a: asked.append(a[2]) or (None, None))

    def enough(*_):
        raise ValueError("seen enough")

    monkeypatch.setattr(stage_one, "retrieve", enough)
    data = refer.read(tiny_root, "unc+")
    chosen = replace(settings("smoke"), retrieval=replace(LAPTOP.retrieval, k=2))
    with pytest.raises(ValueError, match="seen enough"):
        stage_one.build(chosen, data, tmp_path, weights=Path("elsewhere"))
    assert asked == [Path("elsewhere")]
