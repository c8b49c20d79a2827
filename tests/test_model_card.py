"""The page beside a model: what it says comes from the files."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tvnet.data.words import Vocabulary
from tvnet.evaluation.ablation import MEASURES, card_figures, intervals
from tvnet.evaluation.metrics import PerSentence, counters, figures
from tvnet.files import sha256_of
from tvnet.model.backbone import DeepLab
from tvnet.model.method import build
from tvnet.model_card import card
from tvnet.rows import row_settings
from tvnet.saved_model import save
from tvnet.settings import settings

SMOKE = settings("smoke")


@pytest.mark.parametrize(
    "row, method, retrieves",
    [
        ("Baseline", "TV-Net, Baseline", False),
        ("Baseline+RES+Cct", "TV-Net, Baseline+RES+Cct", True),
        ("RRN", "rrn", False),
    ],
)
def test_a_saved_model_has_a_page_with_its_own_values(row, method, retrieves, tmp_path):
    chosen = row_settings(SMOKE, row)
    model = build(chosen, 6)
    save(tmp_path, model, Vocabulary(["red", "dog"]), None)
    page = card(tmp_path)
    count = sum(t.numel() for t in model.state_dict().values())
    for text in (
        f"- method: {method}\n", f"- parameters: {count:,},", "at most 20 words of the 2 that",
        "- trained on: unc+, split train\n", "padded to 96 x 96", "- backbone: minivoc; clean:",
        "Not measured: no result was known", "No test split has been measured",
        "has seen drawn pictures only", '"d_m": 48',
        f"- `model.safetensors`: `{sha256_of(tmp_path / 'model.safetensors')}`",
        f"- `vocabulary.json`: `{sha256_of(tmp_path / 'vocabulary.json')}`",
    ):  # fmt: skip
        assert text in page, text
    assert ("It retrieves from the split train" in page) == retrieves
    assert "backbone.safetensors" not in page


def test_a_trained_backbone_is_hashed_and_real_pictures_are_no_drawn_ones(tmp_path):
    backbone = replace(SMOKE.backbone, weights="random", train_from="res5")
    chosen = replace(row_settings(SMOKE, "Baseline"), backbone=backbone)
    save(tmp_path, build(chosen, 6), Vocabulary(["red", "dog"]), DeepLab(backbone))
    page = card(tmp_path)
    assert f"- `backbone.safetensors`: `{sha256_of(tmp_path / 'backbone.safetensors')}`" in page
    assert "drawn pictures" not in page and "clean: untrained" in page


def test_figures_stand_with_their_intervals(tmp_path):
    dice = np.random.default_rng(0)
    n, samples = 400, [SimpleNamespace(sent_id=k, image_id=k // 4) for k in range(400)]
    dataset = SimpleNamespace(samples=sorted(samples, key=lambda s: s.sent_id % 4))
    union = dice.integers(50, 100, n)
    found = PerSentence(np.arange(n), dice.integers(0, 50, n), union, union, union)
    known = intervals(found, dataset)
    count = counters(found)
    for name in MEASURES:
        low, high = known[name]
        assert low < figures(count)[name] < high
    # Of n pictures that are alike inside and differ between, the mean has sd / sqrt(n).
    alike = PerSentence(found.sent_id, (found.sent_id // 4 % 2) * 10, union * 0 + 10, union, union)
    low, high = intervals(alike, dataset)["mean_iou"]
    assert high - low == pytest.approx(2 * 1.96 * 50 / 10, rel=0.1)
    save(tmp_path, build(row_settings(SMOKE, "Baseline"), 6), Vocabulary(["red", "dog"]), None)
    page = card(tmp_path, card_figures("testA", count, known), {"seed": "3"})
    low, high = known["overall_iou"]
    iou = figures(count)["overall_iou"]
    assert f"| testA | 400 | overall IoU | {iou:.1f} | {low:.1f} to {high:.1f} |" in page
    assert "- seed: 3\n" in page and "No test split" not in page


def test_saving_twice_gives_the_same_page(tmp_path):
    torch.manual_seed(0)
    model = build(row_settings(SMOKE, "Baseline"), 6)
    pages = []
    for _ in range(2):
        save(tmp_path, model, Vocabulary(["red", "dog"]), None)
        pages.append(card(tmp_path))
    assert pages[0] == pages[1]
