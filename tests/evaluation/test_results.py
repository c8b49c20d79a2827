"""Run files that are cut, of another type or another run's: named, with what to do next."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from tvnet.evaluation import ablation as grid
from tvnet.evaluation.ablation import RESULT, checkpoints_of, run_folder
from tvnet.evaluation.metrics import BINS
from tvnet.rows import row_settings
from tvnet.settings import settings
from tvnet.training.__main__ import main

CUT = '{"row": "Base'
MODULE = torch.nn.Linear(2, 1)
OPTIMISER = torch.optim.Adam(MODULE.parameters())
COUNT = {"n": 8, "intersection": 4, "union": 9, "hits": [1, 1, 1, 1, 1], "iou_sum": 3.5}


def wrong(**changes):
    metrics = {e: dict.fromkeys(BINS, COUNT) for e in ("clean", "parity")}
    found = {"row": "Baseline", "seed": 0, "settings": {}, "data": "tiny", "backbone": "clean",
             "unknown words": {}, "parameters": 7, "loss": [], "seconds": {}, "metrics": metrics,
             "provenance": {}}  # fmt: skip
    return json.dumps(found | changes)


@pytest.mark.parametrize(
    "content, why",
    [
        (CUT, "Unterminated string"),
        ("", "Expecting value"),
        ("[1]", "its content is list, not dict"),
        ("null", "its content is NoneType, not dict"),
        ("[" * 100_000, "recursion"),
        ("{}", "its content lacks 'row'"),
        (wrong(metrics=[]), "metrics is list, not dict"),
        (wrong(metrics={"clean": {"all": COUNT, "small": 3}}), "small is int, not dict"),
        (wrong(seed=True), "seed is bool, not int"),
    ],
)
def test_a_damaged_result_is_named_before_anything_is_trained(
    tiny_root, tmp_path, monkeypatch, capsys, content, why
):
    monkeypatch.setattr(grid, "train", lambda *_, **__: pytest.fail("it trained"))
    chosen = settings("smoke")
    folder = run_folder(chosen, "Baseline", 0, tmp_path, grid.prepare(
        row_settings(chosen, "Baseline"), tiny_root, tmp_path).data.fingerprint)  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(content)
    options = ["--data", str(tiny_root), "--out", str(tmp_path), "--profile", "smoke"]
    assert main([*options, "--row", "Baseline", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert f"{folder / 'result.json'} is damaged (" in said and why in said
    assert "): delete it and run the same again." in said


def test_a_result_of_another_run_is_not_taken(ready, tmp_path):
    chosen = row_settings(settings("smoke"), "Baseline")
    record = checkpoints_of(tmp_path, chosen, 0, ready)
    assert record.result(RESULT) is None
    (tmp_path / "result.json").write_text(wrong(**record.identity))
    assert record.result(RESULT)["parameters"] == 7
    (tmp_path / "result.json").write_text(wrong(**record.identity | {"seed": 3}))
    with pytest.raises(ValueError, match="holds another run: seed is 3 there, 0 here"):
        record.result(RESULT)


def test_a_result_of_another_backbone_of_the_same_name_is_not_taken(ready, tmp_path):
    """Nobody publishes a hash of deeplab-voc: what its file holds belongs to the run."""
    chosen = row_settings(settings("paper"), "Baseline")
    assert chosen.backbone.weights == "deeplab-voc"
    first = checkpoints_of(tmp_path, chosen, 0, ready)
    (tmp_path / "result.json").write_text(wrong(**first.identity))
    assert first.result(RESULT)["parameters"] == 7
    features = copy.deepcopy(ready.features)
    next(features.backbone.parameters()).data += 1
    with pytest.raises(ValueError, match="holds another run: weights is '.*' there"):
        checkpoints_of(tmp_path, chosen, 0, replace(ready, features=features)).result(RESULT)
