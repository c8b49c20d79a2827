"""The command that makes the shipped model, on the tiny root."""

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tvnet.data.words import Vocabulary
from tvnet.evaluation.metrics import PerSentence
from tvnet.release.ship import ROWS, examples, ship, shipped_settings
from tvnet.saved_model import load
from tvnet.settings import settings


def rows_of(intersection, union):
    n = len(union)
    return PerSentence(np.arange(n), np.array(intersection), np.array(union), np.ones(n),
                       np.ones(n))  # fmt: skip


def test_examples_are_the_worst_and_a_spread_each_picture_once():
    found = rows_of([0, 0, 5, 6, 7, 8, 9, 10], [10, 40, 10, 10, 10, 10, 10, 10])
    images = [7, 7, 3, 4, 5, 6, 8, 9]
    samples = [SimpleNamespace(sent_id=i, image_id=image) for i, image in enumerate(images)]
    chosen = examples(found, SimpleNamespace(samples=samples), count=2)
    # Of two at IoU 0 the larger union is the worse; the other shows the same picture.
    assert [(c["kind"], c["sent_id"]) for c in chosen] == [
        ("worst", 1), ("worst", 2), ("spread", 3), ("spread", 6),
    ]  # fmt: skip
    assert [c["iou"] for c in chosen] == [0, 0.5, 0.6, 0.9]


def test_the_shipped_models_know_the_words_of_places():
    assert shipped_settings().data.dataset == "unc"
    assert shipped_settings().training == settings("evening").training


@pytest.mark.slow
def test_shipping_copies_checkpoints_that_load(tiny_root, tmp_path):
    smoke = settings("smoke")
    training = replace(smoke.training, steps=2, batch=2)
    chosen = replace(smoke, data=replace(smoke.data, size=64, dataset="unc"), training=training)
    report = ship(chosen, tiny_root, tmp_path / "out", tmp_path / "weights")
    written = json.loads((tmp_path / "weights" / "shipped.json").read_text())
    assert written == json.loads(json.dumps(report))  # pairs become lists
    for row, about in report["rows"].items():
        model, vocabulary = load(tmp_path / "weights" / row.lower(), digests=about["sha256"])
        assert isinstance(vocabulary, Vocabulary) and model.settings.profile == "smoke"
        for name, digest in about["sha256"].items():
            content = (tmp_path / "weights" / row.lower() / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest
        assert about["metrics"]["val"]["n"] == 8
    assert list(report["rows"]) == list(ROWS)
    shown = json.loads((tmp_path / "weights" / "examples.json").read_text())
    assert {line["image_id"] for line in shown["sentences"]} == {7, 8}
