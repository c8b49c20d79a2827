"""A trained model comes back exactly, or not at all; GloVe's rows find their words."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save_file

from tvnet import saved_model
from tvnet.data.glove import KEPT, glove_rows
from tvnet.data.words import UNK, Vocabulary
from tvnet.evaluation.ablation import run
from tvnet.evaluation.trained import load_run
from tvnet.files import sha256_of
from tvnet.model.backbone import DeepLab
from tvnet.model.tvnet import TVNet
from tvnet.model_card import CARD
from tvnet.settings import as_dict, settings
from tvnet.training.loop import parameter_groups, train
from tvnet.training.setup import prepare

SMOKE = settings("smoke")
WORDS = Vocabulary(["red", "dog"])


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = TVNet(SMOKE, len(WORDS))
    saved_model.save(tmp_path / "run", model, WORDS, DeepLab(SMOKE.backbone).freeze())
    return model, tmp_path / "run"


def test_load_restores_the_exact_model(saved):
    model, folder = saved
    again, vocabulary = saved_model.load(folder)
    assert again.settings == SMOKE and not again.training
    assert vocabulary.words == WORDS.words
    state = model.state_dict()
    assert state.keys() == again.state_dict().keys()
    assert all(torch.equal(state[name], t) for name, t in again.state_dict().items())
    assert not list(folder.glob("*.part*")) and not (folder / "backbone.safetensors").exists()


def test_settings_survive_json():
    for profile in ("smoke", "laptop", "paper"):
        assert saved_model.from_dict(as_dict(settings(profile))) == settings(profile)
    with pytest.raises(ValueError, match="There is no setting 'model.wings': use the version"):
        saved_model.from_dict({"model": {"wings": 2}})


@pytest.mark.parametrize(
    "value",
    ["5", None, [], {}, "\x1b[31m\n" * 99, 10**400, -1, float("nan"), True, [[1]]],
    ids=range(10),
)
def test_no_value_of_any_setting_ends_in_another_error(value):
    """Whatever a settings.json holds is taken or refused in a line that can be printed."""
    whole = as_dict(SMOKE)
    parts = {part: [None, *keys] for part, keys in whole.items() if isinstance(keys, dict)}
    for part, key in ((part, key) for part, keys in parts.items() for key in keys):
        values = whole | {part: value if key is None else whole[part] | {key: value}}
        try:
            saved_model.from_dict(values)
        except ValueError as error:
            assert len(str(error)) < 200 and str(error).isprintable(), (part, key)
    with pytest.raises(ValueError) as caught:
        saved_model.from_dict({"\x1b" * 9999: 1})
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


def test_other_settings_are_refused_with_their_keys(saved):
    _, folder = saved
    other = replace(SMOKE, model=replace(SMOKE.model, d_m=8, gate="position"))
    with pytest.raises(ValueError, match="d_m is 48 there, 8 here; model.gate is 'channel' there"):
        saved_model.load(folder, other)
    budget = replace(SMOKE, training=replace(SMOKE.training, steps=3))
    assert saved_model.load(folder, budget)  # how long it trained does not shape the model


def hash_again(folder):
    """As if the files had been written like this."""
    path = folder / "sha256.json"
    digests = {name: sha256_of(folder / name) for name in json.loads(path.read_text())}
    path.write_text(json.dumps(digests))


def rewrite(change):
    def damage(folder):
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors")
        hash_again(folder)

    return damage


def convert(dtype):
    def change(state):
        state["head.score.bias"] = state["head.score.bias"].to(dtype)

    return rewrite(change)


def reset(part, name, value):
    """Settings with another value, written whole."""

    def damage(folder):
        stored = json.loads((folder / "settings.json").read_text())
        (stored[part] if part else stored)[name] = value
        (folder / "settings.json").write_text(json.dumps(stored))
        hash_again(folder)

    return damage


def replaced(name, content):
    def damage(folder):
        (folder / name).write_text(content)
        hash_again(folder)

    return damage


def reverse_the_words(folder):
    words = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps(words[::-1]))


def cut_a_hash(folder):
    digests = json.loads((folder / "sha256.json").read_text())
    digests["vocabulary.json"] = digests["vocabulary.json"][:1]
    (folder / "sha256.json").write_text(json.dumps(digests))


def flip_one_bit(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-9] ^= 1
    (folder / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda f: (f / "settings.json").unlink(), "no trained model in .*: settings.json is miss"),
        (lambda f: (f / "model.safetensors").unlink(), "no trained model in .*model.safetensors"),
        (
            rewrite(lambda s: s["head.score.bias"].fill_(float("nan"))),
            "Tensors not finite: head.score.bias.",
        ),
        (rewrite(lambda s: s.pop("head.score.bias")), "Tensors missing: head.score.bias."),
        (lambda f: (f / "sha256.json").unlink(), "no trained model in .*: sha256.json is missing"),
        (convert(torch.int64), "Tensors of another kind: head.score.bias"),
        (convert(torch.bool), "Tensors of another kind: head.score.bias"),
        (convert(torch.complex64), "Tensors of another kind: head.score.bias"),
        (reverse_the_words, "vocabulary.json have sha256"),
        (cut_a_hash, "sha256.json is damaged at 'vocabulary.json'"),
        (reset("retrieval", "k", 10**9), "do not fit: k is 1000000000: .* from 1 to 10000"),
        (reset("data", "size", 1e9), "do not fit: size is 1000000000.0: give a whole number"),
        (reset("data", "size", 10**9), "size is 1000000000: choose a number from 32 to 1024"),
        (reset("model", "d_m", "x"), "do not fit: d_m is 'x': give a whole number"),
        (reset("model", "d_m", 4096), "Tensors of another shape"),
        (reset("model", "d_fine", []), "d_fine is .*: give a whole number"),
        (reset("model", "tanh", 1), "tanh is 1: give true or false"),
        (reset("model", "level_order", [3] * 99), "level_order is .* a list of at most 10 whole"),
        (reset("backbone", "blocks", [3, 4]), "blocks is .* give a list of 4 whole numbers"),
        (reset("training", "power", float("nan")), "power is nan: give a number"),
        (reset("", "model", 7), "do not fit: model is 7, not an object of settings"),
        (reset("", "profile", 7), "do not fit: profile is 7: give a word"),
        (reset("backbone", "train_from", "res3"), "holds no backbone.safetensors"),
        (replaced("settings.json", "[" * 100_000), "settings.json is damaged .*make the model"),
        (replaced("settings.json", "[]"), "settings.json is damaged .* list, not dict"),
        (replaced("vocabulary.json", "[" * 100_000), "vocabulary.json is damaged"),
        (flip_one_bit, "model.safetensors have sha256 .* damaged or another one, fetch or make"),
    ],
)
def test_what_cannot_be_the_model_is_refused(saved, damage, sentence):
    _, folder = saved
    damage(folder)
    with pytest.raises((FileNotFoundError, ValueError), match=sentence):
        saved_model.load(folder)


def keep_rows(folder, vectors):
    """What data_setup keeps of GloVe, for a few words."""
    folder.mkdir(exist_ok=True)
    rows, words = np.array([*vectors.values()], dtype=np.float32), json.dumps([*vectors])
    digest = hashlib.sha256(rows.tobytes() + words.encode()).digest()
    tensors = {"rows": rows, "sha256": np.frombuffer(digest, dtype=np.uint8)}
    (folder / KEPT).write_bytes(save_arrays(tensors, {"words": words}))


def test_glove_rows_find_their_words_and_others_are_drawn(tmp_path):
    keep_rows(tmp_path, {"big red dog": [4, 5, 6], "cat": [7, 8, 9], "dog": [1, 2, 3]})
    rows, known = glove_rows(tmp_path, ["<pad>", "dog", "big red dog", "red"], 3)
    assert known == 2 and rows.dtype == np.float32
    assert rows[1].tolist() == [1, 2, 3] and rows[2].tolist() == [4, 5, 6]
    assert np.array_equal(rows, glove_rows(tmp_path, ["<pad>", "dog", "big red dog", "red"], 3)[0])
    many = glove_rows(tmp_path, ["dog", *(f"w{k}" for k in range(4000))], 3)[0][1:]
    assert abs(many.std() - 0.6) < 0.02 and abs(many.mean()) < 0.02


@pytest.mark.parametrize(
    "vectors, sentence",
    [
        ({"dog": [1, 2]}, "holds rows of shape .1, 2., not .1, 3.: delete it and fetch it with"),
        ({"cat": [7, 8, 9]}, "knows none of 1 words: fetch it with"),
        (None, f"There is no .*{KEPT}: fetch it with .*, or set words to 'random'"),
    ],
)
def test_rows_that_cannot_be_right_are_refused(tmp_path, vectors, sentence):
    if vectors:
        keep_rows(tmp_path, vectors)
    with pytest.raises((FileNotFoundError, ValueError), match=sentence):
        glove_rows(tmp_path, ["dog"], 3)


@pytest.fixture
def one_step():
    data = replace(SMOKE.data, size=64)
    training = replace(SMOKE.training, steps=1, batch=2)
    return replace(SMOKE, data=data, training=training)


def test_training_starts_from_gloves_rows(tiny_root, tmp_path, one_step):
    import shutil

    root = tmp_path / "root"
    shutil.copytree(tiny_root, root)
    words = prepare(replace(one_step, model=replace(one_step.model, enrichment=False)), root,
                    tmp_path).vocabulary.words  # fmt: skip
    keep_rows(root / "weights", {word: [k] * 48 for k, word in enumerate(words)})
    model = replace(one_step.model, enrichment=False, words="glove")
    still = replace(one_step.training, learning_rate=0.0, end_learning_rate=0.0)
    chosen = replace(one_step, model=model, training=still)
    ready = prepare(chosen, root, tmp_path)
    trained = train(chosen, ready.dataset(chosen, "train"), ready.features, 0, ready.word_rows)
    rows = trained.expression.embedding.weight
    expected = torch.arange(len(words)).float()
    expected[UNK] = expected[UNK + 1 :].mean()  # D47
    assert torch.equal(rows, expected[:, None].expand(-1, 48))
    assert rows.requires_grad


def test_a_trained_backbone_learns_at_its_own_rate_and_comes_back(tiny_root, tmp_path, one_step):
    chosen = replace(
        one_step,
        backbone=replace(one_step.backbone, train_from="res3"),
        training=replace(one_step.training, cache_features=False, backbone_rate=0.5, steps=2),
    )
    first = prepare(replace(chosen, model=replace(chosen.model, enrichment=False)), tiny_root,
                    tmp_path).features.backbone  # fmt: skip
    before = {name: t.clone() for name, t in first.state_dict().items()}
    folder = run(chosen, "Baseline", 0, tiny_root, tmp_path)
    assert "| val | 8 | overall IoU |" in (folder / CARD).read_text("utf-8")
    model, ready = load_run(chosen, "Baseline", 0, tiny_root, tmp_path)
    after = ready.features.backbone.state_dict()
    moved = {name.split(".")[1] for name, t in after.items() if not torch.equal(before[name], t)}
    assert moved == {"1", "2", "3"} and (folder / "backbone.safetensors").is_file()
    groups = parameter_groups(model, ready.features.backbone, chosen.training)
    assert [group["rate"] for group in groups] == [1.0, 1.0, 0.5]
    path = folder / "backbone.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="backbone.safetensors have sha256 .*the file is damaged"):
        load_run(chosen, "Baseline", 0, tiny_root, tmp_path)
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match="backbone.safetensors is missing: fetch or make the model again"
    ):
        load_run(chosen, "Baseline", 0, tiny_root, tmp_path)
    stale = replace(chosen, training=replace(chosen.training, cache_features=True))
    with pytest.raises(ValueError, match="cache_features is on while the backbone is trained from"):
        prepare(replace(stale, model=model.settings.model), tiny_root, tmp_path)
