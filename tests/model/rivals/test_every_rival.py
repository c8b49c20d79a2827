"""What holds for every system of Table 2 that runs: its seat in the registry and in the loop."""

import inspect
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from tests.model.rivals.tiny import (
    SMALL,
    SMOKE,
    TOLD_APART,
    inputs,
    learn,
    module_of,
    small,
    traced,
)
from tests.tiny_parts import wakened
from tvnet.model.method import METHODS, build, options_of
from tvnet.model.rivals import OPTIONS
from tvnet.rows import EVERY, RIVALS, TABLE1, TABLE2, row_settings
from tvnet.saved_model import load, save
from tvnet.settings import CHOICES
from tvnet.training.__main__ import main
from tvnet.training.loop import compiled, parameter_groups, train

CHOSEN = [
    (row, f":{option}={value}")
    for row, change in RIVALS.items()
    for option, values in OPTIONS.get(change["model"]["method"], {}).items()
    for value in values[1:2]
]


def test_every_method_of_the_settings_is_registered():
    assert tuple(METHODS) == CHOICES["method"]
    for row in RIVALS:
        chosen = row_settings(SMOKE, row)
        assert type(build(chosen, 30)).__name__ == METHODS[chosen.model.method][1]
        assert chosen.training == replace(SMOKE.training)  # from scratch


def test_table_1_runs_what_it_ran():
    assert list(TABLE1)[:2] == ["LSTM-CNN", "CMPC"] and len(TABLE1) == 7
    assert EVERY.keys() >= TABLE2.keys() >= RIVALS.keys()


def test_options_are_the_keywords_of_the_classes():
    for row in RIVALS:
        method = row_settings(SMOKE, row).model.method
        made = inspect.signature(type(build(row_settings(SMOKE, row), 30))).parameters
        keywords = {name: p.default for name, p in made.items() if p.default is not p.empty}
        assert keywords == {name: values[0] for name, values in OPTIONS.get(method, {}).items()}


@pytest.mark.parametrize(
    "method, sentence",
    [
        ("rrn:begin=input", "^rrn has no option 'begin': it has start.$"),
        ("rrn:start=middle", "^start of rrn is 'middle': choose one of 'state', 'input'.$"),
        ("lstm-cnn:start=input", "^lstm-cnn has no option 'start': it has none.$"),
    ],
)
def test_an_option_that_does_not_exist_is_named(method, sentence):
    chosen = replace(SMOKE, model=replace(SMOKE.model, method=method))
    with pytest.raises(ValueError, match=sentence):
        build(chosen, 30)
    with pytest.raises(ValueError, match="^method is 'rnn': choose one of 'tvnet', 'cmpc', "):
        replace(SMOKE.model, method="rnn")
    assert options_of("rrn:start=input") == ("rrn", {"start": "input"})


def test_a_rows_own_options_stay_and_another_rows_method_is_refused():
    asked = replace(SMOKE, model=replace(SMOKE.model, method="rrn:start=input"))
    assert row_settings(asked, "RRN").model.method == "rrn:start=input"
    assert not row_settings(asked, "RRN").model.enrichment
    for row, own in (("RMI", "rmi"), ("Baseline", "tvnet")):
        sentence = f"^Row '{row}' runs {own}, and model.method is 'rrn:start=input': drop one of"
        with pytest.raises(ValueError, match=sentence):
            row_settings(asked, row)


def test_a_setting_that_a_system_does_not_have_ends_before_anything_is_read(tmp_path, capsys):
    options = ["--data", str(tmp_path / "none"), "--out", str(tmp_path), "--row", "KWA"]
    assert main([*options, "--profile", "smoke", "--set", "model.method=kwa:tree=all"]) == 2
    assert capsys.readouterr().err == "kwa has no option 'tree': it has keys.\n"
    assert main([*options[:-1], "KVA"]) == 2
    assert "There is no row 'KVA': choose from LSTM-CNN, CMPC, " in capsys.readouterr().err
    for row, given, told in (
        ("Baseline+RES+AMF", "model.enrichment=false", "False, and row 'Baseline+RES+AMF' sets"),
        ("CMPC", "model.rank=1", "1, and row 'CMPC' sets it to 5: drop it, or choose another row"),
    ):
        assert main([*options[:-1], row, "--set", given]) == 2
        assert f"{given.partition('=')[0]} is {told}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("row", RIVALS)
@pytest.mark.parametrize("batch, size", [(1, 96), (3, 64), (2, 97)])
def test_every_tensor_has_the_shape_of_its_table(row, batch, size):
    chosen, (module, trace) = row_settings(SMOKE, row), module_of(row)
    logits = build(chosen, 30)(*inputs(batch, size), size=size, trace=(trace := trace()))
    table = module.expected_shapes(chosen, batch, size, words=5)
    assert trace.shapes() == table and table["logits"] == (batch, 1, size, size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("row, options", CHOSEN)
def test_an_option_changes_what_comes_out(row, options):
    given = inputs(2, 64, SMALL.backbone)
    models = small(row), small(row, options)
    same = models[1].load_state_dict(models[0].state_dict(), strict=False)
    scores = [traced(row, model, given[0], *given[2:]).logits for model in models]
    assert not same.unexpected_keys or same.missing_keys
    assert scores[1].isfinite().all() and not torch.allclose(*scores)


@pytest.mark.parametrize("row", RIVALS)
def test_what_stands_in_a_pad_changes_nothing(row):
    """Nor do more pads, nor the other sentences of the batch."""
    maps, _, words, lengths = inputs(3, 64, SMALL.backbone)
    lengths[1:] = torch.tensor([2, 3])
    model, maps = small(row), {name: V.double() for name, V in maps.items()}
    other = words.masked_fill(torch.arange(5) >= lengths[:, None], 7)
    before, after = (model(maps, None, w, lengths) for w in (words, other))
    assert not torch.equal(words, other) and torch.equal(before, after)
    longer = torch.cat([words, torch.full((3, 2), 9)], dim=1)
    assert torch.allclose(model(maps, None, longer, lengths), before)
    for k, T in enumerate(lengths):
        one = {name: V[k : k + 1] for name, V in maps.items()}
        alone = model(one, None, words[k : k + 1, :T], lengths[k : k + 1])
        assert torch.allclose(alone, before[k : k + 1])


@pytest.mark.parametrize("row", RIVALS)
def test_words_and_pixels_both_matter(row):
    maps, _, words, lengths = inputs(1, 64, SMALL.backbone)
    model, maps = small(row), {name: V.double() for name, V in maps.items()}
    logits = model(maps, None, words, lengths)
    assert not torch.allclose(model(maps, None, words + 1, lengths), logits)
    flipped = {name: V.flip(3) for name, V in maps.items()}
    assert not torch.allclose(model(flipped, None, words, lengths), logits)


@pytest.mark.slow
@pytest.mark.parametrize("row", RIVALS)
def test_two_equal_objects_are_told_apart_with_words_and_not_without(row):
    assert min(learn(row, steps=300)) > TOLD_APART
    blind = learn(row, steps=40, control="language")
    assert min(blind) <= 0.5  # both objects, or one of them for both sentences


@pytest.mark.parametrize("row", RIVALS)
def test_frozen_parts_stay_frozen_and_all_others_learn(row, ready):
    chosen = row_settings(SMOKE, row)
    budget = replace(chosen.training, steps=3, batch=4)
    chosen = replace(chosen, training=budget)
    backbone = {n: t.clone() for n, t in ready.features.backbone.state_dict().items()}
    torch.manual_seed(0)
    start = build(chosen, len(ready.vocabulary)).state_dict()
    model = train(chosen, ready.dataset(chosen, "train"), ready.features, 0)
    after = ready.features.backbone.state_dict()
    assert all(torch.equal(after[name], t) for name, t in backbone.items())
    still = {name for name, t in model.state_dict().items() if torch.equal(t, start[name])}
    assert still == set()
    groups = parameter_groups(model, ready.features.backbone, chosen.training)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


@pytest.mark.parametrize("row", RIVALS)
def test_a_saved_rival_comes_back_as_itself(row, ready, tmp_path):
    chosen = row_settings(SMOKE, row)
    model = build(chosen, len(ready.vocabulary)).eval()
    save(tmp_path, model, ready.vocabulary, ready.features.backbone)
    again, _ = load(tmp_path, chosen)
    given = inputs(2, 96)
    assert type(again) is type(model) and torch.equal(again(*given), model(*given))
    with pytest.raises(ValueError, match="model.method is '.*' there, 'tvnet' here"):
        load(tmp_path, row_settings(SMOKE, "Baseline"))


@pytest.mark.parametrize("row", RIVALS)
def test_in_bfloat16_it_is_close(row):
    model, maps = build(row_settings(SMOKE, row), 30), inputs(2, 96)
    if row != "STEP":  # with weights as large, its rounds would enlarge whatever is rounded
        wakened(model).float()
    model.train(row == "MAttNet")  # where it chooses softly
    with torch.no_grad():
        exact = model(*maps)
        with torch.autocast("cpu", torch.bfloat16):
            low = model(*maps)
    error = (low - exact).abs() / exact.abs().max()
    assert low.dtype == torch.float32
    assert 0 < error.mean() < 0.02
    assert row == "MAttNet" or error.max() < 0.15  # of an object's mask, a few pixels change wholly


@pytest.mark.slow
@pytest.mark.parametrize("row", RIVALS)
def test_a_compiler_does_not_begin_again_with_every_number_of_words(row, monkeypatch):
    torch.compiler.reset()
    graphs = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=graphs))
    model = compiled(build(row_settings(SMALL, row), 30))
    maps, *_ = inputs(2, 64, SMALL.backbone)
    counted = []
    for n in range(3, 7):
        model(maps, None, torch.randint(4, 30, (2, n)), torch.tensor([n, n - 1]))
        counted.append(graphs.frame_count)
    assert counted[1] == counted[-1] > 0
