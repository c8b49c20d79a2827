"""`python -m tvnet`: what it writes and says, and how it ends on what it cannot do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_rows import tiny_rows
from tvnet.__main__ import main
from tvnet.predictor import load
from tvnet.rows import ROWS


@pytest.fixture(scope="module")
def models(tiny_root, tmp_path_factory):
    """{row: a checkpoint folder} on the tiny root's words."""
    folder = tmp_path_factory.mktemp("models")
    tiny_rows(tiny_root, folder)
    return {row: folder / row for row in ROWS}


@pytest.fixture(scope="module")
def predictor(models, tiny_root):
    return load(models["Baseline+RES+AMF"], tiny_root)


@pytest.fixture(scope="module")
def photo(predictor):
    return predictor.retriever.data.pictures[8].path


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tvnet", *map(str, arguments)],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_writes_the_mask_and_says_what_it_did(models, tiny_root, photo, tmp_path):
    model, out = models["Baseline+RES+AMF"], tmp_path / "mask.png"
    shown = command(photo, "red zebra", "--model", model, "--pool", tiny_root, "--out", out)
    assert (shown.returncode, shown.stderr) == (0, "")
    found = load(model, tiny_root)(photo, "red zebra")
    assert ((np.asarray(Image.open(out)) == 255) == found.mask).all()
    assert "does not know 'zebra'" in shown.stdout and "Enriched by picture" in shown.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["mask.png"]


@pytest.mark.parametrize("neighbour", ["5", "file"])
def test_the_command_takes_a_number_or_a_file_as_neighbour(
    neighbour, models, tiny_root, photo, predictor, tmp_path
):
    other = predictor.retriever.data.pictures[5].path
    named = other if neighbour == "file" else neighbour
    options = ["--model", models["Baseline+RES+AMF"], "--pool", tiny_root, "--neighbour", named]
    assert main([*map(str, (photo, "red", *options, "--out", tmp_path / "mask.png"))]) == 0
    found = predictor(photo, "red", 5)
    assert ((np.asarray(Image.open(tmp_path / "mask.png")) == 255) == found.mask).all()


def test_with_anyway_the_picture_alone_answers(models, tiny_root, photo, capsys):
    options = ["--model", models["Baseline"], "--pool", tiny_root, "--anyway"]
    assert main([*map(str, (photo, "zebra", *options))]) == 0
    assert "It knows no word here" in capsys.readouterr().out


def run(capsys, *arguments):
    """Exit code and what was said, of a run that fails."""
    code = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return code, err


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"expression": "  "}, "The expression '' holds no word: say what to look for"),
        ({"expression": "?!"}, "The expression '\\?!' holds no word"),
        ({"image": "missing.jpg"}, "There is no picture at .*missing.jpg: check the path"),
        ({"expression": "zebra"}, "knows no word of 'zebra': .* add --anyway"),
        ({"expression": "左边的狗"}, "does not know '左边的狗' as a word: put a space between"),
        ({"neighbour": "best"}, "no neighbour 'best': choose .* self, the number of a .*, or a fi"),
        ({"neighbour": "99"}, "unc\\+ has no picture 99"),
        ({"out": "mask.jpg"}, "The mask is a PNG: name it .*mask.png"),
        ({"out": "nowhere/mask.png"}, "There is no folder .*nowhere: make it first"),
        ({"model": "Baselin"}, "There is no model 'Baselin': choose one of Baseline, Baseline.RES"),
        ({"model": "."}, "There is no trained model in .*: settings.json is missing"),
        ({"pool": "nowhere"}, "There is no data at .*nowhere"),
    ],
)
def test_a_wrong_command_ends_in_one_sentence(
    change, sentence, models, tiny_root, photo, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    given = {"image": photo, "expression": "red", "out": "mask.png", "neighbour": "retrieved"}
    given |= {"model": models["Baseline+RES+AMF"], "pool": tiny_root} | change
    options = [f"--{name}={given[name]}" for name in ("out", "neighbour", "model", "pool")]
    code, said = run(capsys, given["image"], given["expression"], *options)
    assert code == 2 and re.search(sentence, said), said
    assert not list(tmp_path.iterdir())


def test_a_mask_that_cannot_be_written_leaves_nothing(models, tiny_root, photo, tmp_path, capsys):
    (tmp_path / "mask.png").mkdir()
    options = ["--model", models["Baseline"], "--pool", tiny_root, "--out", tmp_path / "mask.png"]
    code, said = run(capsys, photo, "red", *options)
    assert code == 2 and "mask.png" in said
    assert [p.name for p in tmp_path.iterdir()] == ["mask.png"]


@pytest.mark.parametrize("name", ["photo.png", "./photo.png", "link.png"])
def test_no_output_replaces_what_is_read_or_another_output(
    name, photo, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tvnet.__main__.load", lambda *_: pytest.fail("a model was loaded"))
    Image.open(photo).save("photo.png")
    os.symlink("photo.png", "link.png")
    before = Path("photo.png").read_bytes()
    for options, kind in (
        (["photo.png", "red", "--out", name], "mask"),
        (["photo.png", "red", "--overlay", name], "overlay"),
        ([photo, "red", "--neighbour", "photo.png", "--out", name], "mask"),
        ([photo, "red", "--out", "new.png", "--overlay", "./new.png"], "overlay"),
    ):
        code, said = run(capsys, *options)
        assert code == 2
        assert said == f"The {kind} would replace {Path(options[-1])}: name another file.\n"
    assert Path("photo.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "link.png"}


def test_a_damaged_model_is_refused_in_one_sentence(models, tiny_root, photo, tmp_path, capsys):
    folder = shutil.copytree(models["Baseline"], tmp_path / "model")
    for name, damage, sentence in (
        ("model.safetensors", lambda b: b[: len(b) // 2], "model.safetensors have sha256"),
        ("model.safetensors", lambda b: b"", "model.safetensors have sha256"),
        ("settings.json", lambda b: b[:40], "settings.json have sha256"),
        ("vocabulary.json", lambda b: b[:9], "vocabulary.json have sha256"),
        ("sha256.json", lambda b: b[:40], "sha256.json is damaged .*: fetch or make the model"),
    ):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(damage(whole))
        with pytest.raises(ValueError, match=sentence):
            load(folder, tiny_root)
        code, _ = run(capsys, photo, "red", "--model", folder, "--pool", tiny_root)
        assert code == 2
        (folder / name).write_bytes(whole)
