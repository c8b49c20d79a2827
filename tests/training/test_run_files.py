"""Run files that are cut, of another type or another run's: named, with what to do next."""

import json

import pytest
import torch

from tvnet.evaluation import ablation as grid
from tvnet.evaluation.ablation import RESULT, recorded, run_folder
from tvnet.evaluation.metrics import BINS
from tvnet.rows import row_settings
from tvnet.settings import settings
from tvnet.training.__main__ import main
from tvnet.training.progress import Progress
from tvnet.training.snapshots import Snapshots

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
    record = recorded(tmp_path, chosen, 0, ready, "cpu")
    assert record.result(RESULT) is None
    (tmp_path / "result.json").write_text(wrong(**record.identity))
    assert record.result(RESULT)["parameters"] == 7
    (tmp_path / "result.json").write_text(wrong(**record.identity | {"seed": 3}))
    with pytest.raises(ValueError, match="holds another run: seed is 3 there, 0 here"):
        record.result(RESULT)


@pytest.mark.parametrize("content", [CUT, "[1]", "", "3"])
def test_a_damaged_manifest_is_named(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path} is damaged .*: delete it and run the same again"):
        with Progress(tmp_path, {"seed": 0}).writing():
            pass
    assert path.read_text() == content  # and left as it was, to be looked at


def test_what_else_lies_among_snapshots_is_left_alone(tmp_path):
    """A plain file where a snapshot would lie gives way to it."""
    snapshots = Snapshots(tmp_path, {})
    (tmp_path / "00000009").write_text("no snapshot")
    (tmp_path / "12 notes").mkdir()
    (tmp_path / "README").write_text("mine")
    assert snapshots.restore(MODULE, OPTIMISER) is None
    for step in (7, 8, 9):
        snapshots.save(step, MODULE, OPTIMISER)
    assert snapshots.restore(MODULE, OPTIMISER) == 9
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["00000008", "00000009", "12 notes", "README"]


def test_a_half_written_log_line_is_forgotten(tmp_path):
    progress = Progress(tmp_path, {})
    lines = [json.dumps({"step": k, "loss": 1.0 * k, "seconds": s}) for k, s in ((0, 1), (1, 3))]
    lines += [json.dumps({"step": 2, "loss": 2.0, "seconds": 0.5}), '{"step": 3, "lo']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert progress.losses() == [0.0, 1.0, 2.0]
    assert progress.seconds() == 3.5  # a second start counts from zero again


@pytest.mark.parametrize("bad", [b'{"step": 1, "lo', b"[1]", b"", b"\xff", b'{"step": 1}', b"7"])
def test_a_bad_line_before_the_last_drops_no_others(tmp_path, bad):
    progress = Progress(tmp_path, {})
    for step in range(4):
        progress.log(step, 1.0 * step)
    path = tmp_path / "log.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], bad, *lines[2:]]))
    with pytest.raises(ValueError, match=f"Line 2 of {path} is damaged .*: remove it to keep the"):
        progress.losses()
    path.write_bytes(b"\n".join([lines[0], *lines[2:]]))
    assert progress.losses() == [0.0, 2.0, 3.0]
