"""A run that is stopped, killed or damaged goes on to the very result it would have had."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from tvnet.data.dataset import collate
from tvnet.model.backbone import DeepLab
from tvnet.settings import as_dict, settings
from tvnet.training.features import LiveFeatures
from tvnet.training.loop import train
from tvnet.training.order import batches
from tvnet.training.progress import Progress

SMOKE = settings("smoke")
SHORT = replace(SMOKE, training=replace(SMOKE.training, steps=6, batch=2, snapshot_every=2))


def record(folder, chosen=SHORT, every=2):
    return Progress(folder, {"settings": as_dict(chosen), "seed": 0, "data": "tiny"}, every)


def weights(model):
    return {name: t.clone() for name, t in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture
def whole(ready):
    """The weights and losses of a run that nobody disturbed."""
    losses = []
    model = train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0,
                  report=lambda _, loss: losses.append(loss))  # fmt: skip
    return weights(model), losses


class Cut(Exception):  # noqa: N818
    pass


def cut_at(step):
    def report(now, _):
        if now == step:
            raise Cut

    return report


@pytest.mark.parametrize("steps", [(0,), (1,), (3,), (5,), (2, 4), (0, 1, 2, 3, 4, 5)])
def test_a_run_cut_anywhere_ends_bit_for_bit_the_same(ready, whole, tmp_path, steps):
    dataset = ready.dataset(SHORT, "train")
    for step in steps:
        with record(tmp_path).writing() as progress, pytest.raises(Cut):
            train(SHORT, dataset, ready.features, 0, report=cut_at(step), progress=progress)
    with record(tmp_path).writing() as progress:
        model = train(SHORT, dataset, ready.features, 0, progress=progress)
        assert progress.losses() == whole[1]
    assert same(weights(model), whole[0])
    assert sorted(p.name for p in progress.snapshots.folder.iterdir()) == ["00000004", "00000006"]
    progress.clear()
    assert not progress.snapshots.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(ready, whole, tmp_path, number):
    before = signal.getsignal(number)
    dataset = ready.dataset(SHORT, "train")

    def ask(now, _):
        if now == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit, match="Stopped after step 3; run the same again to go on"):
        with record(tmp_path).writing() as progress:
            train(SHORT, dataset, ready.features, 0, report=ask, progress=progress)
    assert (progress.snapshots.folder / "00000003").is_dir()
    with record(tmp_path).writing() as progress:
        model = train(SHORT, dataset, ready.features, 0, progress=progress)
    assert same(weights(model), whole[0])
    assert signal.getsignal(number) == before


def test_a_signal_after_the_last_step_ends_what_comes_next(tmp_path):
    with pytest.raises(SystemExit, match="Stopped at the end of .*; run the same to go on"):
        with record(tmp_path).writing():
            os.kill(os.getpid(), signal.SIGTERM)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "finished"


def test_the_manifest_says_how_a_run_stands(tmp_path):
    def status():
        about = json.loads((tmp_path / "run.json").read_text())
        assert about["seed"] == 0 and about["settings"] == as_dict(SHORT)
        assert "torch" in about["provenance"]["versions"]
        return about["status"]

    with record(tmp_path).writing():
        assert status() == "running"
    assert status() == "finished"
    for error, said in ((SystemExit, "stopped"), (FloatingPointError, "failed")):
        with pytest.raises(error), record(tmp_path).writing():
            raise error
        assert status() == said


def test_the_manifest_names_the_gpu_that_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    with Progress(tmp_path, {}, device="cuda:0").writing():
        about = json.loads((tmp_path / "run.json").read_text())
    assert about["provenance"]["device"] == "A GPU"


def test_every_step_leaves_a_sign_of_life(ready, tmp_path):
    """Who waits for a run can see it go on: a line a step, long before there is a snapshot."""
    seen = []

    def lines(_, __):
        path = tmp_path / "log.jsonl"
        seen.append(len(path.read_text().splitlines()))

    with record(tmp_path, every=0).writing() as progress:
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0, report=lines,
              progress=progress)  # fmt: skip
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_damaged_snapshot_is_passed_over_and_said(ready, whole, tmp_path):
    dataset = ready.dataset(SHORT, "train")
    with record(tmp_path).writing() as progress, pytest.raises(Cut):
        train(SHORT, dataset, ready.features, 0, report=cut_at(4), progress=progress)
    path = progress.snapshots.folder / "00000004" / "optimiser.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 4
    path.write_bytes(data)
    with record(tmp_path).writing() as progress:
        with pytest.warns(UserWarning, match="00000004 is damaged: an older one is used"):
            model = train(SHORT, dataset, ready.features, 0, progress=progress)
    assert same(weights(model), whole[0])


VALIDATED = replace(SHORT, training=replace(SHORT.training, eval_every=2, reported="best"))


def scoring(scores, seen):
    """A validation that gives the scores in turn and keeps the weights it was shown."""

    def validate(model):
        seen.append(weights(model))
        return scores[len(seen) - 1]

    return validate


@pytest.mark.parametrize("reported, best", [("best", 1), ("last", 2)])
def test_the_best_validation_or_the_last_step_is_reported(ready, tmp_path, reported, best):
    chosen = replace(VALIDATED, training=replace(VALIDATED.training, reported=reported))
    dataset, seen = ready.dataset(chosen, "train"), []
    with record(tmp_path, chosen).writing() as progress:
        model = train(chosen, dataset, ready.features, 0, progress=progress,
                      validate=scoring([30.0, 50.0, 50.0], seen))  # fmt: skip
    assert progress.validations() == {2: 30.0, 4: 50.0, 6: 50.0}
    assert same(weights(model), seen[best])
    names = sorted(path.name for path in progress.snapshots.folder.iterdir())
    assert names == ["00000004", "00000006", "best-00000004"]


def test_a_cut_between_validations_changes_neither_them_nor_the_best(ready, tmp_path):
    dataset, seen, again = ready.dataset(VALIDATED, "train"), [], []
    with record(tmp_path / "whole", VALIDATED).writing() as progress:
        whole = train(VALIDATED, dataset, ready.features, 0, progress=progress,
                      validate=scoring([9.0, 8.0, 7.0], seen))  # fmt: skip
    assert same(weights(whole), seen[0]) and len(seen) == 3
    with record(tmp_path / "cut", VALIDATED).writing() as progress, pytest.raises(Cut):
        train(VALIDATED, dataset, ready.features, 0, progress=progress, report=cut_at(3),
              validate=scoring([9.0], again))  # fmt: skip
    with record(tmp_path / "cut", VALIDATED).writing() as progress:
        model = train(VALIDATED, dataset, ready.features, 0, progress=progress,
                      validate=scoring([9.0, 8.0, 7.0], again))  # fmt: skip
        assert progress.validations() == {2: 9.0, 4: 8.0, 6: 7.0}
    assert same(weights(model), weights(whole))


def test_a_best_state_that_is_damaged_is_not_reported(tmp_path):
    module = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(module.parameters())
    progress = record(tmp_path)
    progress.validation(2, 50.0, module, optimiser)
    progress.validation(4, 40.0, module, optimiser)
    progress.restore_best(module)
    (path,) = progress.snapshots.folder.glob("best-00000002/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="The best state in .* is gone or damaged: delete"):
        progress.restore_best(module)


def test_what_is_reported_is_one_of_two():
    with pytest.raises(ValueError, match="reported is 'first': choose one of 'last', 'best'"):
        replace(SHORT.training, reported="first")
    with pytest.raises(ValueError, match="reported is 'best' without a validation: set eval_every"):
        replace(SHORT.training, reported="best")


def test_other_settings_or_data_are_refused_with_their_keys(ready, tmp_path):
    with record(tmp_path).writing() as progress:
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0, progress=progress)
    other = replace(SHORT, training=replace(SHORT.training, batch=1))
    said = "settings.training.batch is 2 there, 1 here"
    with pytest.raises(ValueError, match=f"holds another run: {said}"):
        with record(tmp_path, other).writing():
            pass
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["status"] == "finished" and about["settings"] == as_dict(SHORT)
    with pytest.raises(ValueError, match=f"are another run's: {said}"):
        train(
            other,
            ready.dataset(other, "train"),
            ready.features,
            0,
            progress=record(tmp_path, other),
        )


def test_one_writer_at_a_time(tmp_path):
    script = (
        "from tvnet.training.progress import Progress; import sys, time\n"
        "with Progress(sys.argv[1], {}).writing(): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="Another process is writing .*: wait for it"):
            with Progress(tmp_path, {}).writing():
                pass
    finally:
        other.kill()
        other.wait()
    with Progress(tmp_path, {}).writing():  # a dead writer leaves the folder free
        pass


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[..] can't allocate memory")],
)
def test_memory_that_runs_out_is_said_with_what_helps(ready, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr("tvnet.training.loop.logits_of", full)
    with pytest.raises(MemoryError, match="Step 0 with a batch of 2 does not .* lower training.ba"):
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0)


def test_a_kill_while_the_log_is_cut_loses_no_line(tmp_path, monkeypatch):
    module = torch.nn.Linear(2, 1)
    optimiser = torch.optim.Adam(module.parameters())
    progress = record(tmp_path)
    for step in range(3):
        progress.log(step, 1.0 * step)
    progress.save(2, module, optimiser)

    def killed(path, text):
        path.write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", killed)
        progress.restore(module, optimiser)
    assert progress.losses() == [0.0, 1.0, 2.0]
    assert progress.restore(module, optimiser) == 2 and progress.losses() == [0.0, 1.0]


def test_processes_share_a_batch_without_changing_it(ready):
    dataset = ready.dataset(SMOKE, "train")
    alone = [b.sent_id.tolist() for b in islice(batches(dataset, 4, 3), 5)]
    shares = [islice(batches(dataset, 4, 3, share=(rank, 2)), 5) for rank in (0, 1)]
    both = [[b.sent_id.tolist() for b in share] for share in shares]
    for whole, even, odd in zip(alone, *both, strict=True):
        assert whole[0::2] == even and whole[1::2] == odd
    with pytest.raises(ValueError, match="A batch of 4 cannot be shared by 3 processes"):
        next(batches(dataset, 4, 3, share=(0, 3)))


def test_pictures_that_occur_twice_in_a_batch_are_seen_once(ready, monkeypatch):
    dataset = ready.dataset(SMOKE, "train")
    dataset.pixels = True
    backbone = DeepLab(SMOKE.backbone).freeze()
    live = LiveFeatures(backbone, ready.data, SMOKE.data.size)
    batch = collate([dataset[i] for i in range(6)])
    seen = []
    backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    V_in, V_sim, _ = live(batch)
    ids = set(batch.image_id.tolist()) | set(batch.similar_id.tolist())
    assert seen == [len(ids)] and len(ids) < 12
    alone = backbone(batch.image)
    assert all(torch.allclose(V_in[n], alone[n], atol=1e-4) for n in alone)
    assert torch.allclose(V_sim["V5"], backbone(batch.similar)["V5"], atol=1e-4)
