"""The whole chain on true photographs, unchanged: a proof that it is not made for MiniRef alone."""

import json
from dataclasses import replace

import pytest

from tests.real_root import REASON, real_samples, write_real_root
from tvnet.course.figures import panel
from tvnet.course.retrieval_report import quality
from tvnet.data import refer
from tvnet.evaluation.ablation import run
from tvnet.evaluation.trained import masks_of
from tvnet.retrieval.build import build
from tvnet.settings import settings
from tvnet.training.setup import prepare

SMOKE = settings("smoke")
CHOSEN = replace(
    SMOKE,
    data=replace(SMOKE.data, dataset="unc"),
    training=replace(SMOKE.training, steps=30),
)


@pytest.mark.slow
@pytest.mark.skipif(real_samples() is None, reason=REASON)
def test_retrieval_training_evaluation_and_pictures(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    write_real_root(real_samples(), root)
    data = refer.read(root, "unc")
    neighbours = build(CHOSEN, data, out)
    assert quality(neighbours, data)["the query's own image, per cent"] == 0
    row = "Baseline+RES+AMF"
    run(CHOSEN, row, 0, root, out)
    ready = prepare(CHOSEN, root, out)
    val = ready.dataset(CHOSEN, "val")
    lines = masks_of(CHOSEN, (row,), 0, root, out, count=3)
    figure = panel(lines)
    figure.savefig(tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 20_000
    result = json.loads(next(out.glob("runs/*/result.json")).read_text())
    assert len(result["loss"]) == 30 and result["loss"][-1] < result["loss"][0]
    assert result["metrics"]["clean"]["all"]["n"] == len(val)
