"""ONNX: equal to PyTorch for any batch and number of words, or not kept; what is refused."""

import re
from dataclasses import replace

import pytest
import torch

from tests.tiny_rows import tiny_rows
from tvnet import export
from tvnet.export import Check, compare, main
from tvnet.predictor import load

needs_onnx = pytest.mark.skipif(
    any(export.find_spec(name) is None for name in export.NEEDED), reason="needs .[export]"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def rows(folder, tiny_root):
    return tiny_rows(tiny_root, folder)


@pytest.mark.slow
@needs_onnx
def test_the_shipped_model_is_the_same_in_onnx_on_sentences_of_val(tmp_path, capsys):
    assert main(["--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"maps and logits differ from PyTorch's by .* of their largest, and 12 of 12 masks are",
        said,
    )
    page = (tmp_path / "model_card.md").read_text("utf-8")
    assert "## ONNX" in page and "12 of 12 masks" in page and "overall IoU" in page
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"backbone.onnx", "model.onnx", "vocabulary.json", "model_card.md"}
    check = compare(load(), tmp_path / "backbone.onnx", tmp_path / "model.onnx")
    assert max(check.random, check.true) < export.TOLERANCE and check.equal == check.sentences == 12


@pytest.mark.slow
@needs_onnx
def test_a_model_without_enrichment_takes_no_second_picture(rows, tmp_path):
    check = export.export(rows["Baseline"], tmp_path)
    assert max(check.random, check.true) < export.TOLERANCE and check.equal == check.sentences > 1
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert (
        {"words", "lengths"} <= {one.name for one in session.get_inputs()} <= {*export.INPUTS[:6]}
    )


@needs_onnx
def test_what_differs_is_not_kept(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_write", lambda _, given, path, *rest: path.write_bytes(b"x"))
    for check in (Check(2e-5, 0, 1, 1), Check(0, 2e-5, 1, 1), Check(float("nan"), 0, 1, 1)):
        monkeypatch.setattr(export, "compare", lambda *_, check=check: check)
        with pytest.raises(
            ValueError, match="differs from PyTorch's by .* of the largest number, more than 1e-05"
        ):
            export.export(rows["Baseline"], tmp_path)
        assert not list(tmp_path.iterdir())


def test_other_methods_and_missing_packages_are_refused(
    rows, folder, tiny_root, tmp_path, monkeypatch, capsys
):
    predictor = rows["Baseline"]
    chosen = predictor.model.settings
    with monkeypatch.context() as patch:
        other = replace(chosen, model=replace(chosen.model, method="cmpc"))
        patch.setattr(predictor.model, "settings", other)
        with pytest.raises(
            ValueError, match="The method 'cmpc' cannot be exported: choose a row of"
        ):
            export.export(predictor, tmp_path)
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else 1)
    given = ["--model", str(folder / "Baseline"), "--pool", str(tiny_root), "--out", str(tmp_path)]
    assert main(given) == 2
    assert capsys.readouterr().err == (
        "Export needs onnxruntime: run `pip install '.[export]'` in the checkout.\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_trained_model_is_refused(rows, folder, tiny_root, monkeypatch, capsys):
    """Its vocabulary and its card have the names of the export's."""
    monkeypatch.setattr(export, "find_spec", lambda name: True)
    monkeypatch.setattr(export, "_write", lambda _, given, path, *rest: path.write_bytes(b"x"))
    monkeypatch.setattr(export, "compare", lambda *_: Check(0, 0, 1, 1))
    mine = folder / "Baseline"
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert main(["--model", str(mine), "--pool", str(tiny_root), "--out", str(mine)]) == 2
    assert capsys.readouterr().err == (
        f"{mine} holds a trained model: name another folder for the export.\n"
    )
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_the_random_input_holds_padding_and_shorter_sentences(rows):
    words, lengths, maps, similar = export._random(rows["Baseline+RES+AMF"], 3, 20)
    assert words.shape == (3, 20) and lengths[0] == 20 and lengths.min() < 20
    assert not similar[-1].all() and similar[-1].any(dim=(1, 2)).all()
    assert not any(torch.equal(a, b) for a, b in zip(maps[1:], similar, strict=False))
    assert maps[-1].isfinite().all()
