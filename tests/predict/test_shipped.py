"""The models and the pool that ship: whole, small, of use, and made by the commands they name."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tvnet
from tvnet import predictor as module
from tvnet.data import refer
from tvnet.data.words import UNK, Vocabulary
from tvnet.evaluation.metrics import figures
from tvnet.model.method import build
from tvnet.model_card import CARD
from tvnet.prediction import iou
from tvnet.predictor import POOL, load
from tvnet.release.ship import EXAMPLES, shipped_settings, write_cards
from tvnet.retrieval.ranking import pool_of
from tvnet.rows import ROWS, row_settings
from tvnet.saved_model import MODELS, save
from tvnet.settings import as_dict

REPORT, CHOSEN = (json.loads((MODELS / f"{n}.json").read_text()) for n in ("shipped", "examples"))
ROOT = Path(__file__).resolve().parents[2]


def size_of(folder):
    """Bytes of what ships, without the checksums that are kept beside it."""
    return sum(p.stat().st_size for p in folder.rglob("[!.]*") if p.is_file())


def examples():
    """The sentences of examples.json, the worst first, with their pictures and true masks."""
    data = refer.read(POOL, CHOSEN["dataset"])
    found = []
    for line in CHOSEN["sentences"]:
        (sample,) = data.samples_of([line["sent_id"]])
        path, truth = data.pictures[sample.image_id].path, data.mask(sample.ann_id)
        found.append(SimpleNamespace(**line, expression=sample.text, path=path, truth=truth))
    return found


@pytest.fixture(scope="module")
def predictors():
    first = load()
    return {row: load(row, retriever=first.retriever) for row in ROWS}


def test_every_file_is_the_one_that_the_report_names():
    assert list(REPORT["rows"]) == list(ROWS) and size_of(MODELS) < 12e6
    for row, about in REPORT["rows"].items():
        files = {p.name: p for p in (MODELS / row.lower()).iterdir() if p.name != CARD}
        assert about["sha256"].keys() == files.keys()
        for name, digest in about["sha256"].items():
            assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
        stored = json.loads(files["settings.json"].read_text())
        now = as_dict(row_settings(shipped_settings(), row))
        for part, values in stored.items():  # a younger setting may be missing there
            assert values == (
                {key: now[part][key] for key in values} if isinstance(values, dict) else now[part]
            )
        assert not about["provenance"]["commit"].endswith("+")


def test_every_model_card_is_what_the_report_gives(tmp_path):
    shutil.copytree(MODELS, tmp_path / "models")
    write_cards(tmp_path / "models")
    for row, about in REPORT["rows"].items():
        page = (MODELS / row.lower() / CARD).read_text("utf-8")
        assert page == (tmp_path / "models" / row.lower() / CARD).read_text("utf-8")
        assert all(digest in page for digest in about["sha256"].values())
        count = about["metrics"]["testB"]
        iou = figures(count)["overall_iou"]
        assert f"| testB | {count['n']:,} | overall IoU | {iou:.1f} |" in page


@pytest.mark.slow
def test_loading_a_model_does_not_import_the_compiler():
    """It took half of the time in which `make app` shows its first view."""
    done = "import sys, tvnet; tvnet.load(); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", done], timeout=120).returncode == 0


def test_a_word_that_no_model_has_learned_adds_little(predictors):
    for predictor in predictors.values():
        length = predictor.model.expression.embedding.weight.norm(dim=1)
        assert 0 < length[UNK] < 0.2 * length[UNK + 1 :].min()  # D47


def test_a_model_of_another_data_set_asks_for_its_pool(tmp_path):
    chosen = row_settings(shipped_settings(), "Baseline")
    chosen = replace(chosen, data=replace(chosen.data, dataset="referit"))
    save(tmp_path, build(chosen, 5), Vocabulary(["red"]), None)
    with pytest.raises(ValueError, match="The pool that ships holds no 'referit', .* as its pool"):
        load(tmp_path)


def test_an_altered_file_is_refused(tmp_path, monkeypatch):
    shutil.copytree(MODELS, tmp_path / "models")
    path = tmp_path / "models" / "baseline" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(module, "MODELS", tmp_path / "models")
    with pytest.raises(ValueError, match="model.safetensors have sha256 .* damaged or another"):
        load("Baseline")


def test_the_pool_is_small_and_holds_no_picture_that_is_evaluated_on():
    assert size_of(POOL) < 4e6
    made = json.loads((POOL / "excerpt.json").read_text())["command"]
    assert made in (ROOT / "Makefile").read_text()
    splits, shown = {}, {line["image_id"] for line in CHOSEN["sentences"]}
    for name in ("unc", "unc+", "gref"):
        data = refer.read(POOL, name)
        assert not data.missing_pictures()
        assert len({s.image_id for s in pool_of(data, "train")}) > 100
        for referent in data.referents:
            splits.setdefault(referent.image_id, set()).add(referent.split)
    assert {image_id for image_id, found in splits.items() if found != {"train"}} == shown


@pytest.mark.slow
def test_the_examples_are_val_and_say_what_the_models_can(predictors):
    found = examples()
    kinds = [example.kind for example in found]
    assert kinds == ["worst"] * EXAMPLES + ["spread"] * EXAMPLES
    assert len({example.path for example in found}) == len(found)
    measured = {}
    for row, predictor in predictors.items():
        masks = [predictor(example.path, example.expression).mask for example in found]
        pairs = [(mask, example.truth) for mask, example in zip(masks, found, strict=True)]
        measured[row] = np.array([iou(mask, truth) for mask, truth in pairs])
        assert measured[row][EXAMPLES:].mean() > 0.3  # an untrained network's is below 0.1
    assert measured["Baseline+RES+AMF"][:EXAMPLES].mean() < 0.2
    stored = [example.iou for example in found[EXAMPLES:]]
    # The candidates come from fewer pictures than when the examples were chosen.
    assert abs(np.mean(stored) - measured["Baseline+RES+AMF"][EXAMPLES:].mean()) < 0.15


def test_what_notebook_10_says_of_failures_is_true_of_those_that_ship(predictors):
    text = (ROOT / "notebooks" / "10_explorer.ipynb").read_text("utf-8").replace('\\"', '"')
    failures = {e.expression: e for e in examples() if e.kind == "worst"}
    named = re.search(r'by what stands beside it \("(.+?)", "(.+?)", "(.+?)"\)', text)
    assert set(named.groups()) < failures.keys()
    example = failures[re.search(r'the layer \*words\* for "(.+?)"\. Without "next"', text)[1]]
    predictor = predictors["Baseline+RES+AMF"]
    whole = predictor(example.path, example.expression)
    without = {w.word: w.mask for w in predictor.without_each_part(whole)[0]}
    assert iou(without["next"], whole.mask) > 0.9 and iou(without["lady"], whole.mask) < 0.1


def test_the_attention_has_collapsed_as_notebook_04_says(predictors):
    for example in examples():
        trace = predictors["Baseline+RES+AMF"](example.path, example.expression).trace
        for A in trace.A.values():
            assert len(A[0].argmax(1).unique()) < 0.05 * A.shape[1] and A.amax(2).mean() > 0.5


def test_the_reported_figures_are_those_of_a_trained_model():
    for about in REPORT["rows"].values():
        assert about["metrics"].keys() == {"val", "testA", "testB"}
        assert all(figures(count)["overall_iou"] > 20 for count in about["metrics"].values())


def test_the_words_of_places_are_known(predictors):
    example = examples()[0]
    for predictor in predictors.values():
        assert not predictor(example.path, "left dog").unknown_words
        assert predictor(example.path, "left bear").unknown_words == ("bear",)


def test_predict_needs_nothing_but_a_picture_and_an_expression():
    example = examples()[-1]
    found = tvnet.predict(example.path, example.expression)
    assert found.mask.shape == example.truth.shape and len(found.candidates) == 20
    assert tvnet.predict(example.path, "left dog", model="Baseline").neighbour == "none"


@pytest.mark.slow
def test_a_new_expression_costs_a_few_forward_passes(monkeypatch):
    """Shares of one forward pass, so that a slow machine changes nothing: measured 2 and 13."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    import bench_predict

    seconds = bench_predict.measure(rounds=5)
    one = seconds["one forward pass"]
    print({name: round(value / one, 1) for name, value in seconds.items()})
    assert seconds[bench_predict.WARM] < 6 * one
    assert seconds[bench_predict.COLD] < 40 * one
