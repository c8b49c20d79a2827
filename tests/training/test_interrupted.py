"""Training that is killed and steps that fail: the short version of `make test-faults`."""

import inspect
import json
import random
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from tests.training.interrupted import flips, killed_runs
from tvnet.data import refer
from tvnet.evaluation import ablation
from tvnet.evaluation.metrics import figures
from tvnet.retrieval.build import build
from tvnet.settings import as_dict, settings
from tvnet.training.checkpoint import Checkpoints
from tvnet.training.loop import learner, train

SMOKE = settings("smoke")
SHORT = replace(SMOKE, training=replace(SMOKE.training, steps=24, batch=2, snapshot_every=3))


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_bit_for_bit_the_same(ready, tmp_path):
    dataset = ready.dataset(SHORT, "train")
    right, kills = killed_runs(SHORT, dataset, ready.features, tmp_path, random.Random(0), 2)
    assert right == 2 and kills > 0


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_a_run_that_goes_on_has_the_losses_of_one_that_was_not_cut(ready, tmp_path, device):
    """To a thousandth, which is what is promised of a GPU: its sums may come in another order."""
    features, dataset = deepcopy(ready.features), ready.dataset(SHORT, "train")
    budget = replace(SHORT.training, steps=6)
    chosen, losses = replace(SHORT, training=budget), []
    train(chosen, dataset, features, 0, device=device, report=lambda _, loss: losses.append(loss))
    for last in (4, None):  # the second start resumes after step 4
        checkpoints = Checkpoints(tmp_path, every=3)
        train(chosen, dataset, features, 0, last=last, device=device, checkpoints=checkpoints)
    assert checkpoints.losses == pytest.approx(losses, rel=1e-3) and len(losses) == 6


def test_every_flipped_bit_is_found(tmp_path):
    """Any bit of a checkpoint: 300 at random, the same ones every time."""
    assert flips(tmp_path, torch.nn.Linear(3, 2), random.Random(0), 300) == 300


def test_validations_leave_the_training_as_it_was(ready):
    """Batch norm learns in train mode only, so it shows whether the model is left in eval mode."""
    model = replace(SHORT.model, amf_norm="batch")
    budget = replace(SHORT.training, steps=3)
    plain = replace(SHORT, model=model, training=budget)
    validated = replace(plain, training=replace(plain.training, eval_every=1))
    dataset = ready.dataset(plain, "train")
    without = train(plain, dataset, ready.features, 0)
    evaluated = train(validated, dataset, ready.features, 0, validate=lambda m: bool(m.eval()))
    one, other = without.state_dict(), evaluated.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_run_can_report_its_best_validation(tiny_root, tmp_path):
    budget = replace(SHORT.training, steps=9, eval_every=3, reported="best")
    chosen = replace(SHORT, training=budget)
    build(chosen, refer.read(tiny_root, "unc+"), tmp_path)
    folder = ablation.run(chosen, "Baseline", 0, tiny_root, tmp_path)
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    scores = {line["step"]: line["score"] for line in lines if "score" in line}
    assert list(scores) == [3, 6, 9]
    count = json.loads((folder / "result.json").read_text())["metrics"]["clean"]["all"]
    assert figures(count)["overall_iou"] == max(scores.values())


def test_a_step_that_is_not_finite_is_made_again_by_the_same_command(ready, tmp_path):
    """The first step makes the weights absurd; the state before the second one is kept."""
    wild = replace(SHORT, training=replace(SHORT.training, learning_rate=1e9))
    dataset = ready.dataset(wild, "train")
    identity = {"settings": as_dict(wild), "seed": 0, "data": ready.data.fingerprint}
    output = []
    for _ in range(2):
        with Checkpoints(tmp_path, identity).writing() as checkpoints:
            with pytest.raises(FloatingPointError, match="its gradient .* at step 1") as failure:
                train(wild, dataset, ready.features, 0, checkpoints=checkpoints)
        output.append(str(failure.value))
        assert [path.name[:8] for path in tmp_path.glob("*.pt")] == ["00000001"]
    assert output[0] == output[1] and "(sentences [" in output[0]


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(ready, tmp_path, monkeypatch):
    """The loss itself is finite: without reading the gradient, the next state would be lost."""
    monkeypatch.setattr(
        "tvnet.training.loop.loss_of",
        lambda logits, mask: (logits * 0).abs().sqrt().sum() + 1.0,  # an infinite slope at 0
    )
    dataset = ready.dataset(SHORT, "train")
    with Checkpoints(tmp_path).writing() as checkpoints:
        with pytest.raises(FloatingPointError, match="loss is 1.0, the length of its gradient nan"):
            train(SHORT, dataset, ready.features, 0, checkpoints=checkpoints)
    model, learning, optimiser = learner(SHORT, dataset, ready.features, None, "cpu")
    checkpoints.restore(learning, optimiser)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.slow
def test_the_loop_can_be_read_in_a_lecture():
    assert len(inspect.getsource(train).splitlines()) <= 80
