"""A run that is stopped, killed or damaged is resumed and ends in the same bits."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import collate
from tvnet.model.backbone import DeepLab
from tvnet.settings import as_dict, settings
from tvnet.training.checkpoint import Checkpoints
from tvnet.training.features import LiveFeatures
from tvnet.training.loop import batches, train

SMOKE = settings("smoke")
SHORT = replace(SMOKE, training=replace(SMOKE.training, steps=6, batch=2, snapshot_every=2))


MODULE = torch.nn.Linear(2, 1)
OPTIMISER = torch.optim.Adam(MODULE.parameters())


def record(folder, chosen=SHORT, every=2):
    return Checkpoints(folder, {"settings": as_dict(chosen), "seed": 0, "data": "tiny"}, every)


def steps_kept(folder):
    return [int(path.name[:8]) for path in sorted(folder.glob("*.pt"))]


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


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(0,), (1,), (3,), (5,), (2, 4), (0, 1, 2, 3, 4, 5)])
def test_a_run_cut_anywhere_ends_bit_for_bit_the_same(ready, whole, tmp_path, steps):
    dataset = ready.dataset(SHORT, "train")
    for step in steps:
        with record(tmp_path).writing() as checkpoints, pytest.raises(Cut):
            train(SHORT, dataset, ready.features, 0, report=cut_at(step), checkpoints=checkpoints)
    with record(tmp_path).writing() as checkpoints:
        model = train(SHORT, dataset, ready.features, 0, checkpoints=checkpoints)
        assert checkpoints.losses == whole[1]
    assert same(weights(model), whole[0])
    assert steps_kept(tmp_path) == [4, 6]
    checkpoints.clear()
    assert steps_kept(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(ready, whole, tmp_path, number):
    before = signal.getsignal(number)
    dataset = ready.dataset(SHORT, "train")

    def ask(now, _):
        if now == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit, match="Stopped after step 3; run the same again to go on"):
        with record(tmp_path).writing() as checkpoints:
            train(SHORT, dataset, ready.features, 0, report=ask, checkpoints=checkpoints)
    assert steps_kept(tmp_path)[-1] == 3
    with record(tmp_path).writing() as checkpoints:
        model = train(SHORT, dataset, ready.features, 0, checkpoints=checkpoints)
    assert same(weights(model), whole[0])
    assert signal.getsignal(number) == before


def test_a_signal_after_the_last_step_ends_what_comes_next(tmp_path):
    with pytest.raises(SystemExit, match="Stopped at the end of .*; run the same to go on"):
        with record(tmp_path).writing():
            os.kill(os.getpid(), signal.SIGTERM)


def test_every_step_leaves_a_sign_of_life(ready, tmp_path):
    """Who waits for a run can see it go on: a line a step, long before there is a checkpoint."""
    seen = []

    def lines(_, __):
        path = tmp_path / "log.jsonl"
        seen.append(len(path.read_text().splitlines()))

    with record(tmp_path, every=0).writing() as checkpoints:
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0, report=lines,
              checkpoints=checkpoints)  # fmt: skip
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_damaged_checkpoint_is_skipped_with_a_warning(ready, whole, tmp_path):
    dataset = ready.dataset(SHORT, "train")
    with record(tmp_path).writing() as checkpoints, pytest.raises(Cut):
        train(SHORT, dataset, ready.features, 0, report=cut_at(4), checkpoints=checkpoints)
    (path,) = tmp_path.glob("00000004-*")
    data = bytearray(path.read_bytes())
    data[-1] ^= 4
    path.write_bytes(data)
    with record(tmp_path).writing() as checkpoints:
        with pytest.warns(UserWarning, match="00000004-.* is damaged: an older checkpoint is used"):
            model = train(SHORT, dataset, ready.features, 0, checkpoints=checkpoints)
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
    with record(tmp_path, chosen).writing() as checkpoints:
        model = train(chosen, dataset, ready.features, 0, checkpoints=checkpoints,
                      validate=scoring([30.0, 50.0, 50.0], seen))  # fmt: skip
    assert checkpoints.scores == {2: 30.0, 4: 50.0, 6: 50.0}
    assert same(weights(model), seen[best])
    assert steps_kept(tmp_path) == [4, 6]


def test_a_cut_between_validations_changes_neither_them_nor_the_best(ready, tmp_path):
    dataset, seen, again = ready.dataset(VALIDATED, "train"), [], []
    with record(tmp_path / "whole", VALIDATED).writing() as checkpoints:
        whole = train(VALIDATED, dataset, ready.features, 0, checkpoints=checkpoints,
                      validate=scoring([9.0, 8.0, 7.0], seen))  # fmt: skip
    assert same(weights(whole), seen[0]) and len(seen) == 3
    with record(tmp_path / "cut", VALIDATED).writing() as checkpoints, pytest.raises(Cut):
        train(VALIDATED, dataset, ready.features, 0, checkpoints=checkpoints, report=cut_at(3),
              validate=scoring([9.0], again))  # fmt: skip
    with record(tmp_path / "cut", VALIDATED).writing() as checkpoints:
        model = train(VALIDATED, dataset, ready.features, 0, checkpoints=checkpoints,
                      validate=scoring([9.0, 8.0, 7.0], again))  # fmt: skip
        assert checkpoints.scores == {2: 9.0, 4: 8.0, 6: 7.0}
    assert same(weights(model), weights(whole))


def test_what_is_reported_is_one_of_two():
    with pytest.raises(ValueError, match="reported is 'first': choose one of 'last', 'best'"):
        replace(SHORT.training, reported="first")
    with pytest.raises(ValueError, match="reported is 'best' without a validation: set eval_every"):
        replace(SHORT.training, reported="best")


def test_other_settings_or_data_are_refused_with_their_keys(ready, tmp_path):
    with record(tmp_path).writing() as checkpoints:
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0, checkpoints=checkpoints)
    other = replace(SHORT, training=replace(SHORT.training, batch=1))
    said = "settings.training.batch is 2 there, 1 here"
    with pytest.raises(ValueError, match=f"{tmp_path} holds another run: {said}"):
        train(
            other,
            ready.dataset(other, "train"),
            ready.features,
            0,
            checkpoints=record(tmp_path, other),
        )
    assert steps_kept(tmp_path) == [4, 6]


@pytest.mark.slow
def test_one_writer_at_a_time(tmp_path):
    script = (
        "from tvnet.training.checkpoint import Checkpoints; import sys, time\n"
        "with Checkpoints(sys.argv[1]).writing(): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="Another process is writing .*: wait for it"):
            with Checkpoints(tmp_path).writing():
                pass
    finally:
        other.kill()
        other.wait()
    with Checkpoints(tmp_path).writing():  # a dead writer leaves the folder free
        pass


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[..] can't allocate memory")],
)
def test_memory_that_runs_out_is_explained(ready, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr("tvnet.training.loop.logits_of", full)
    with pytest.raises(MemoryError, match="Step 0 with a batch of 2 does not .* lower training.ba"):
        train(SHORT, ready.dataset(SHORT, "train"), ready.features, 0)


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path):
    """Also what a killed writer left half-written goes only when the next one begins."""
    for name in ("00000009", "12 notes", "README", "00000003-0.pt.part7"):
        (tmp_path / name).write_text("mine")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.restore(MODULE, OPTIMISER) is None
    for step in (7, 8, 9):
        checkpoints.save(step, MODULE, OPTIMISER)
    assert checkpoints.restore(MODULE, OPTIMISER) == 9 and steps_kept(tmp_path) == [8, 9]
    with checkpoints.writing():
        left = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".pt")
    assert left == ["00000009", "12 notes", "README", "lock"]


def test_a_damaged_checkpoint_goes_when_the_step_is_made_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, MODULE, OPTIMISER)
    (bad,) = tmp_path.glob("00000002-*")
    bad.write_bytes(bad.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.restore(MODULE, OPTIMISER) == 1
    checkpoints.log(1, 1.0)
    checkpoints.save(2, MODULE, OPTIMISER)
    assert steps_kept(tmp_path) == [1, 2] and checkpoints.restore(MODULE, OPTIMISER) == 2


def test_all_but_the_main_process_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    checkpoints = Checkpoints(tmp_path / "run", every=1)
    with checkpoints.writing():
        checkpoints.log(0, 1.0)
        checkpoints.after(1, 9, MODULE, OPTIMISER)
        assert checkpoints.restore(MODULE, OPTIMISER) is None
        checkpoints.clear()
    assert list(tmp_path.iterdir()) == []


def test_processes_share_a_batch_without_changing_it(ready):
    dataset = ready.dataset(SMOKE, "train")
    alone = [b.sent_id.tolist() for b in islice(batches(dataset, 4, 3), 5)]
    shares = [islice(batches(dataset, 4, 3, share=(rank, 2)), 5) for rank in (0, 1)]
    both = [[b.sent_id.tolist() for b in share] for share in shares]
    for whole, even, odd in zip(alone, *both, strict=True):
        assert whole[0::2] == even and whole[1::2] == odd
    with pytest.raises(ValueError, match="A batch of 4 cannot be shared by 3 processes"):
        next(batches(dataset, 4, 3, share=(0, 3)))
    dataset.samples = dataset.samples[:5]  # fewer than a batch: all of them are one
    assert len(next(batches(dataset, 8, 3)).sent_id) == 5
    with pytest.raises(ValueError, match="A batch of 5 cannot be shared by 2 processes"):
        next(batches(dataset, 8, 3, share=(0, 2)))


def test_pictures_that_occur_twice_in_a_batch_are_seen_once(ready, tmp_path):
    dataset = ready.dataset(SMOKE, "train")
    dataset.cache = TrainingCache(ready.data, SMOKE.data.size, ready.cache.masks, tmp_path)
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
