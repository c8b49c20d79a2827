"""The loop: schedule, decay groups, loss, order, controls, and one batch learned by heart."""

import os
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from tvnet.data.dataset import collate
from tvnet.data.images import mask_target, placement
from tvnet.data.words import UNK
from tvnet.devices import device_of
from tvnet.evaluation.evaluate import clean, evaluate, parity
from tvnet.model.backbone import DeepLab
from tvnet.model.tvnet import TVNet
from tvnet.provenance import provenance
from tvnet.rows import BEST, ROWS, row_settings
from tvnet.settings import TrainingSettings, settings
from tvnet.training.loop import (
    ablate_input,
    batches,
    learning_rate,
    loss_of,
    parameter_groups,
    train,
)

SMOKE = settings("smoke")


def test_learning_rate_of_prior_code():
    """2.5e-4, 1.386e-4 and 1e-5 at the start, the middle and the end of the decay."""
    budget = TrainingSettings(steps=800_000)
    rates = [learning_rate(t, budget) for t in (0, 400_000, 800_000)]
    assert rates == pytest.approx([2.5e-4, 1.386e-4, 1e-5], rel=1e-3)


def test_decay_falls_on_kernels_of_convolutions_and_linear_maps_only():
    model = TVNet(SMOKE, 30)
    frozen = DeepLab(SMOKE.backbone).freeze()
    decayed, free = parameter_groups(model, frozen, SMOKE.training)
    names = {id(p): name for name, p in model.named_parameters()}
    touched = {names[id(p)] for p in decayed["params"]}
    assert "enrichment.level.5.W1.weight" in touched and "head.score.weight" in touched
    for part in ("lstm", "embedding", "bias", "norm", "conv_lstm"):
        assert not any(part in name for name in touched), part
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0.0)


def test_the_loss_is_a_sum_over_pixels():
    logits, mask = torch.randn(3, 1, 8, 8), torch.rand(3, 1, 8, 8) > 0.5
    mean = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask.float())
    assert torch.allclose(loss_of(logits, mask), 64 * mean)


def test_order_depends_on_seed_and_epoch_alone(ready):
    dataset = ready.dataset(SMOKE, "train")

    def order(seed, count):
        stream = batches(dataset, 4, seed)
        return [next(stream).sent_id.tolist() for _ in range(count)]

    epoch = len(dataset) // 4
    assert order(1, 2 * epoch) == order(1, 2 * epoch)
    assert order(1, epoch) != order(2, epoch)
    first, second = order(1, 2 * epoch)[:epoch], order(1, 2 * epoch)[epoch:]
    late = batches(dataset, 4, 1, first=epoch + 1)
    assert next(late).sent_id.tolist() == second[1]  # a run may begin anywhere
    assert first != second
    seen = sorted(sum(first, []))
    assert len(set(seen)) == len(seen)  # no sentence twice in an epoch


def test_controls_lack_their_input(ready):
    batch = collate([ready.dataset(SMOKE, "train")[i] for i in range(3)])
    V_in, _, _ = ready.features(batch)
    _, words, lengths = ablate_input(batch, V_in, "language")
    assert (words == UNK).all() and (lengths == 1).all()
    dark, words, _ = ablate_input(batch, V_in, "image")
    assert all((V == 0).all() for V in dark.values()) and torch.equal(words, batch.words)


def test_same_seed_same_weights(ready):
    short = replace(SMOKE, training=replace(SMOKE.training, steps=2, batch=2))
    dataset = ready.dataset(short, "train")
    first, again, other = (train(short, dataset, ready.features, s) for s in (3, 3, 4))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.head.score.weight, other.head.score.weight)


def test_a_word_that_training_never_saw_adds_nothing(ready):
    """Next to nothing: what was drawn for it would be noise that no step removes (D47)."""
    dataset = ready.dataset(SMOKE, "train")
    torch.manual_seed(0)
    drawn = TVNet(SMOKE, len(ready.vocabulary)).expression.embedding.weight
    rows = train(SMOKE, dataset, ready.features, 0, last=2).expression.embedding.weight
    assert torch.equal(rows[UNK], drawn[UNK + 1 :].mean(0)) and rows[UNK].any()
    assert torch.equal(rows[:UNK], drawn[:UNK])


def test_a_loss_that_is_not_finite_stops_and_names_the_step(ready):
    budget = replace(SMOKE.training, steps=9, batch=2, learning_rate=1e9)
    wild = replace(SMOKE, training=budget)
    with pytest.raises(FloatingPointError, match=r"at step \d+ \(sentences .*lower the learning"):
        train(wild, ready.dataset(wild, "train"), ready.features, 0)


def test_words_that_are_unknown_and_expressions_that_are_cut_are_counted(ready):
    table = ready.unknown_words(max_words=20)
    assert set(table) == set(ready.data.splits)
    assert table["train"] == {"words": 0.0, "sentences": 0.0, "cut": 0.0}
    assert ready.unknown_words(max_words=1)["train"]["cut"] > 0
    assert len(ready.vocabulary.encode("red " * 1000, 20)) == 20
    ready.vocabulary.ids.pop("red")
    try:
        assert ready.unknown_words(max_words=20)["train"]["words"] > 0
    finally:
        ready.vocabulary.ids["red"] = ready.vocabulary.words.index("red")


@pytest.mark.slow
@pytest.mark.parametrize(
    "row, steps, rate",
    [("Baseline", 150, 4e-3), (BEST, 150, 4e-3), ("CMPC", 150, 4e-3), ("LSTM-CNN", 800, 2e-2)],
)
def test_one_batch_is_learned_by_heart(ready, row, steps, rate):
    """IoU above 0.9 on two sentences that pick two different things of one picture."""
    chosen = row_settings(SMOKE, row)
    budget = replace(chosen.training, steps=steps, batch=2, learning_rate=rate)
    chosen = replace(chosen, training=budget)
    whole = ready.dataset(chosen, "train")

    class Two:
        vocabulary, samples = whole.vocabulary, whole.samples[:3:2]

        def __len__(self):
            return 2

        def __getitem__(self, i):
            return whole[i * 2]

    model = train(chosen, Two(), ready.features, 0)
    batch = collate([Two()[0], Two()[1]])
    with torch.no_grad():
        V_in, V_sim, valid = ready.features(batch)
        guess = model(V_in, V_sim, batch.words, batch.lengths, valid) > 0
    both, either = (guess & batch.mask).sum((1, 2, 3)), (guess | batch.mask).sum((1, 2, 3))
    assert (both / either > 0.9).all(), both / either


@pytest.mark.slow
def test_the_papers_widths_learn_a_sentence():
    """ResNet-101's channels, d_m 500, half the paper's 320 px: one step lowers a sample's loss."""
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    paper, size = settings("paper"), 160
    model = TVNet(paper, 30)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-5, fused=True)
    mask = torch.zeros(1, 1, size, size, dtype=torch.bool)
    mask[:, :, 20:60, 100:140] = True
    V_in, V_sim = (
        {name: torch.randn(1, d, *[size // (4 if name == "V2" else 8)] * 2)
         for name, d in paper.backbone.channels.items()}
        for _ in range(2)
    )  # fmt: skip
    asked = V_in, V_sim, torch.tensor([[4, 5]]), torch.tensor([2])
    before = loss_of(model(*asked, size=size), mask)
    before.backward()
    optimiser.step()
    with torch.no_grad():
        after = loss_of(model(*asked, size=size), mask)
    torch.set_num_threads(1)
    assert after < before


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:x", "cpu:3", "meta", "mps", "xpu", ""])
def test_a_device_that_is_not_here_is_told(name):
    with pytest.raises(ValueError, match=f"There is no device '{name}' here: use 'auto', 'cpu'"):
        device_of(name)


def test_a_device_is_found_by_name(monkeypatch):
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert device_of("cpu").type == "cpu" and device_of("auto").type == best
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(device_of("mps")) == "mps" and provenance("mps")["device"] == "mps"


def losses(ready, row=BEST, **budget):
    """Those of three steps."""
    budget = replace(SMOKE.training, steps=3, batch=2, **budget)
    chosen, found = row_settings(replace(SMOKE, training=budget), row), []
    dataset = ready.dataset(chosen, "train")
    train(chosen, dataset, ready.features, 0, report=lambda _, loss: found.append(loss))
    return found


def test_bfloat16_training_stays_close_to_float32(ready):
    exact, low = losses(ready), losses(ready, precision="bfloat16")
    assert exact != low and low == pytest.approx(exact, rel=0.02)


@pytest.mark.slow
def test_a_compiled_step_is_the_same_step(ready, monkeypatch):
    """Traced and differentiated as a whole; the C++ that follows would take two more minutes."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    monkeypatch.setattr(shutil, "which", lambda _: "g++")
    exact, compiled = losses(ready, "Baseline"), losses(ready, "Baseline", compile=True)
    assert compiled == pytest.approx(exact, rel=1e-4)


def test_compiling_without_a_compiler_is_refused(ready, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match="no C\\+\\+ compiler .* set training.compile=false"):
        losses(ready, compile=True)


@pytest.mark.slow
def test_what_cannot_be_compiled_is_said_in_a_sentence(ready, monkeypatch):
    def broken(graph, inputs):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    monkeypatch.setattr(shutil, "which", lambda _: "g++")
    with pytest.raises(ValueError, match="failed at step 0 .*no such operation.*: set training.co"):
        losses(ready, "Baseline", compile=True)


def test_evaluation_makes_no_training_targets(ready, monkeypatch):
    chosen = row_settings(SMOKE, "Baseline")
    dataset = ready.dataset(chosen, "val")
    monkeypatch.setattr(type(dataset.cache), "target", lambda *_: pytest.fail("it made a target"))
    found = evaluate(TVNet(chosen, len(ready.vocabulary)), dataset, ready.features)
    assert len(found["clean"].sent_id) == len(dataset)


def test_evaluation_counts_every_sentence_once(ready):
    dataset = ready.dataset(row_settings(SMOKE, "Baseline"), "val")
    model = TVNet(row_settings(SMOKE, "Baseline"), len(ready.vocabulary))
    found = evaluate(model, dataset, ready.features, batch_size=3)
    again = evaluate(model, dataset, ready.features, batch_size=2)
    for name in ("clean", "parity"):
        assert found[name].sent_id.tolist() == [s.sent_id for s in dataset.samples]
        assert np.array_equal(found[name].intersection, again[name].intersection)
        assert (found[name].intersection <= found[name].area).all()
        assert (found[name].union >= found[name].area).all()


def test_the_evaluators_differ_as_described():
    """A perfect square of logits: clean returns it, parity dilates it by less than one cell."""
    place = placement(60, 80, 32)
    logits = torch.full((1, 1, 32, 32), -8.0)
    logits[..., 12:20, 12:20] = 8.0
    sharp, wide = clean(logits, place), parity(logits, place)
    assert sharp.shape == wide.shape == (60, 80)
    assert (wide | sharp).sum() == wide.sum() > sharp.sum() > 0
    assert sharp.sum() == pytest.approx(20 * 20, rel=0.12)


def test_rows_of_table_1():
    assert list(ROWS) == ["Baseline", "Baseline+RES", "Baseline+RES+Cct", "Baseline+RES+AMF"]
    with pytest.raises(ValueError, match="no row 'Baseline\\+CRF': choose from LSTM-CNN, CMPC"):
        row_settings(SMOKE, "Baseline+CRF")


@pytest.mark.parametrize(
    "share, ceiling", [(0.005, 0.847), (0.01, 0.888), (0.02, 0.919), (0.05, 0.948), (0.10, 0.963)]
)
def test_what_a_perfect_learner_scores(share, ceiling):
    """A disc in 480x640, logits that equal the dilated target: parity dilates once more (D34)."""
    y, x = np.mgrid[0:480, 0:640]
    disc = (y - 240.3) ** 2 + (x - 300.7) ** 2 <= share * 480 * 640 / np.pi
    target = torch.from_numpy(mask_target(disc, 320))[None, None]
    place = placement(480, 640, 320)
    guess = parity(torch.where(target, 8.0, -8.0), place)
    assert (guess & disc).sum() / (guess | disc).sum() == pytest.approx(ceiling, abs=0.012)
    covered = torch.from_numpy(disc.reshape(240, 2, 320, 2).mean((1, 3))).float()
    soft = torch.nn.functional.pad(covered, (0, 0, 40, 40))[None, None] - 0.5
    sharp = clean(soft, place)
    assert (sharp & disc).sum() / (sharp | disc).sum() > 0.985
