"""The paper's encoders, through the true loading code: tiny ones with random weights."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from tvnet.data import refer
from tvnet.data.images import open_image
from tvnet.model import pretrained
from tvnet.retrieval import build as stage_one
from tvnet.retrieval import paper_encoders
from tvnet.retrieval.paper_encoders import DistilBert, Vgg16, precision_of, vgg16
from tvnet.settings import settings

pytestmark = pytest.mark.slow  # transformers take seconds to import
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the red blue square one of left man in a hat".split()
DEPTHS = (4, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 8, 8)


def tiny_vgg():
    """torchvision's VGG16, a few channels wide."""
    from torchvision.models import vgg

    depths = iter(DEPTHS)
    layers = [next(depths) if depth != "M" else "M" for depth in vgg.cfgs["D"]]
    model = vgg.VGG(vgg.make_layers(layers), num_classes=10)
    for place, shape in {0: (8 * 49, 20), 3: (20, 12), 6: (12, 10)}.items():
        model.classifier[place] = torch.nn.Linear(*shape)
    return model.eval()


def write_weights(folder):
    """Both encoders under a folder, named as the true ones; returns the sha256 of each file."""
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

    torch.manual_seed(0)
    text = folder / pretrained.DISTILBERT
    text.mkdir(parents=True)
    (text / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(str(text / "vocab.txt")).save_pretrained(text)
    config = DistilBertConfig(
        vocab_size=len(WORDS), dim=16, hidden_dim=32, n_layers=2, n_heads=2,
        max_position_embeddings=24,
    )  # fmt: skip
    DistilBertModel(config).save_pretrained(text)
    torch.save(tiny_vgg().state_dict(), folder / pretrained.VGG16)
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in pretrained.ENCODERS
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of tiny weights, pinned while this module's tests run."""
    folder = tmp_path_factory.mktemp("weights")
    pinned = write_weights(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "ENCODERS", pinned)
        patch.setattr(paper_encoders, "ENCODERS", pinned)
        patch.setattr("torchvision.models.vgg16", tiny_vgg)
        yield folder


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc+")


TEXTS = ["the red square", "red", "the left man in a blue hat", "", "hat of the one", "man unseen"]


def one_by_one(encoder, text, cls):
    """The library called plainly on one text."""
    given = encoder.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        states = encoder.model(given["input_ids"], given["attention_mask"]).last_hidden_state[0]
    inner = states[1:-1] if len(states) > 2 else states
    pooled = states[0] if cls else inner.mean(dim=0)
    return (pooled / pooled.norm()).numpy()


@pytest.mark.parametrize("name", ["distilbert", "distilbert-cls"])
def test_a_batch_gives_what_one_text_alone_gives(weights, name):
    encoder = DistilBert(weights, name, "float32")
    encoder.batch = 4
    rows = encoder.encode(TEXTS)
    assert rows.shape == (6, 16) and rows.dtype == np.float32
    for row, text in zip(rows, TEXTS, strict=True):
        assert row == pytest.approx(one_by_one(encoder, text, name == "distilbert-cls"), abs=1e-5)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_texts_longer_than_the_model_can_read_are_cut(weights):
    encoder = DistilBert(weights, "distilbert", "float32")
    rows = encoder.encode(["the red man " * 300, "the red man " * 200])
    assert np.isfinite(rows).all() and rows[0] == pytest.approx(rows[1], abs=1e-6)


def test_fc7_is_that_of_torchvisions_own_forward(weights, data):
    model = tiny_vgg()
    model.load_state_dict(torch.load(weights / pretrained.VGG16, weights_only=True))
    encoder = Vgg16(weights, "vgg16", "float32")
    ids = np.array([1, 4, 8])
    rows = encoder.encode(data, ids)
    with torch.inference_mode():
        pixels = torch.stack([encoder._pixels(open_image(data, i)) for i in ids])
        x = torch.flatten(model.avgpool(model.features(pixels)), 1)
        fc7 = model.classifier[:5](x).numpy()
    assert rows.shape == (3, 12)
    assert rows == pytest.approx(fc7 / np.linalg.norm(fc7, axis=1, keepdims=True), abs=1e-5)
    pool5 = Vgg16(weights, "vgg16-pool5", "float32").encode(data, ids)
    with torch.inference_mode():
        mean = model.features(pixels).mean(dim=(2, 3)).numpy()
    assert pool5 == pytest.approx(mean / np.linalg.norm(mean, axis=1, keepdims=True), abs=1e-5)


def test_the_image_enters_whole_and_as_imagenet_was_seen(weights, data):
    pixels = Vgg16(weights, "vgg16", "float32")._pixels(open_image(data, 1))
    assert pixels.shape == (3, 224, 224)
    from PIL import Image

    whole = Image.open(data.pictures[1].path).resize((224, 224), Image.Resampling.BILINEAR)
    red = (np.asarray(whole)[..., 0] / 255 - 0.485) / 0.229
    assert pixels[0].numpy() == pytest.approx(red, abs=1e-5)


def test_bfloat16_is_near_float32_and_float32_where_it_is_slow(weights, data, monkeypatch):
    for make, given in (
        (DistilBert, (TEXTS,)),
        (Vgg16, (data, np.array([1, 2]))),
    ):
        name = "distilbert" if make is DistilBert else "vgg16"
        full = make(weights, name, "float32").encode(*given)
        short = make(weights, name, "bfloat16").encode(*given)
        assert (full * short).sum(axis=1) == pytest.approx(1, abs=5e-3)
        assert not np.array_equal(full, short)
    assert precision_of("cuda") == "bfloat16"
    for bf16, amx, precision in ((1, 0, "bfloat16"), (0, 1, "bfloat16"), (0, 0, "float32")):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda here=bf16: here)
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda here=amx: here)
        assert precision_of("cpu") == precision


def test_the_command_builds_with_the_papers_encoders(
    weights, tiny_root, data, tmp_path, capsys, monkeypatch
):
    given = ["--data", str(tiny_root), "--profile", "paper", "--out", str(tmp_path)]
    given += ["--weights", str(weights)]
    assert stage_one.main(given) == 0, capsys.readouterr().err
    path = stage_one.neighbours_path(settings("paper"), data, tmp_path)
    held = {p.name.split("-")[0] for p in (tmp_path / "cache" / "embeddings").iterdir()}
    assert held == {"text", "image"}
    first = path.read_bytes()
    path.unlink()
    for encoder in (DistilBert, Vgg16):  # what is encoded stays
        monkeypatch.setattr(encoder, "encode", lambda *_: pytest.fail("it was encoded before"))
    assert stage_one.main(given) == 0 and path.read_bytes() == first


def test_the_backbone_as_encoder_comes_from_the_folder_that_was_named(data, tmp_path):
    chosen = settings("paper")
    chosen = replace(chosen, retrieval=replace(chosen.retrieval, text="tfidf", image="backbone"))
    with pytest.raises(FileNotFoundError, match=f"no backbone weights at {tmp_path}"):
        stage_one.encoders(chosen, data, tmp_path)


@pytest.mark.parametrize("make, name", [(DistilBert, "distilbert"), (Vgg16, "vgg16")])
def test_weights_that_are_absent_or_others_are_refused(weights, tmp_path, make, name):
    with pytest.raises(FileNotFoundError, match="encoder weights .* are missing: .*--weights"):
        make(tmp_path, name, "float32")
    file = (
        "distilbert-base-uncased/model.safetensors"
        if name == "distilbert"
        else "vgg16-397923af.pth"
    )
    (tmp_path / file).parent.mkdir(exist_ok=True)
    content = bytearray((weights / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    with pytest.raises(
        ValueError, match=r"have sha256 \w{12}\.\.\., not \w{12}\.\.\.: the file is"
    ):
        make(tmp_path, name, "float32")


def test_the_true_network_answers_with_fc7(monkeypatch):
    from torchvision import models

    monkeypatch.setattr(models, "vgg16", models.vgg.vgg16)  # not the tiny one
    with torch.device("meta"):  # shapes without numbers
        state, picture = models.vgg16().state_dict(), torch.empty(1, 3, 224, 224)
    assert vgg16(state)(picture).shape == (1, 4096)
