"""No region, picture or name is taken for another one, and no set is lost for a name."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data_setup.__main__ import main
from data_setup.custom.splits import copies, thumbnail
from data_setup.index import read_index
from tvnet.data import refer

TEXTS = ("red cup", "blue lamp")


def square(x, y):
    return [x, y, x + 9, y, x + 9, y + 9, x, y + 9]


def coco(names, ann_ids=(1, 1), image_ids=(1, 2)):
    """A cup at (5, 5) in the first picture, and a lamp at (30, 20) in the second one."""
    images = [
        {"id": k, "file_name": name, "width": 50, "height": 40}
        for k, name in zip(image_ids, names, strict=True)
    ]
    annotations = [
        {"id": k, "image_id": image, "segmentation": [square(*at)], "sentence": text}
        for k, image, at, text in zip(ann_ids, image_ids, [(5, 5), (30, 20)], TEXTS, strict=True)
    ]
    return {"images": images, "annotations": annotations}


def task(name, x, *more):
    """A rectangle of Label Studio, whose region has the same id in every task."""
    size = {"original_width": 50, "original_height": 40, "id": "r1"}
    value = {"x": 2 * x, "y": 12.5, "width": 18, "height": 22.5, "rotation": 0}
    said = {"id": "r1", "type": "textarea", "value": {"text": [TEXTS[x > 20]]}}
    drawn = size | {"type": "rectanglelabels", "value": value}
    results = [drawn, said, *(size | result for result in more)]
    return {
        "data": {"image": f"/data/upload/1/0123abcd-{name}"},
        "annotations": [{"result": results}],
    }


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    dice = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(dice.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / name)
    return folder


def own(folder):
    return main(["own", str(folder), "--name", "mine", "--root", str(folder.parent / "data")])


def found(folder):
    """{sentence: (file of its picture, left edge of its mask)}"""
    data = refer.read(folder.parent / "data", "mine")
    return {
        sentence.text: (
            data.pictures[referent.image_id].path.name,
            int(np.flatnonzero(data.mask(referent.ann_id).any(0))[0]),
        )
        for referent in data.referents
        for sentence in referent.sentences
    }


RIGHT = {"red cup": ("a.png", 5), "blue lamp": ("b.png", 30)}
TABLE = "image,id,sentence,split\na.png,1,red cup,train\nb.png,1,blue lamp,val\n"


@pytest.mark.parametrize(
    "export, table",
    [
        (coco(["a.png", "b.png"]), ""),
        (coco(["a.png", "b.png"]), TABLE),
        ([task("a.png", 5), task("b.png", 30)], ""),
    ],
)
def test_ids_that_are_counted_in_every_picture_are_two_things(folder, export, table):
    (folder / "export.json").write_text(json.dumps(export))
    if table:
        (folder / "sentences.csv").write_text(table)
    assert own(folder) == 0
    assert found(folder) == RIGHT


def test_the_data_sheet_tells_the_regions_of_one_picture_apart(folder):
    export = coco(["a.png", "b.png"], ann_ids=(7, 7))
    export["annotations"].append(export["annotations"][0] | {"id": 8})
    (folder / "export.json").write_text(json.dumps(export))
    assert own(folder) == 0
    double = json.loads((folder.parent / "data/reports/mine.json").read_text())["duplicates"]
    names = ["export.json (annotation 7)", "export.json (annotation 8)"]
    assert double["masks"] == [names] and double["sentences"][0]["masks"] == names


def test_two_pictures_of_one_id_are_refused(folder, capsys):
    export = coco(["a.png", "b.png"], ann_ids=(1, 2), image_ids=(1, 1))
    (folder / "export.json").write_text(json.dumps(export))
    assert own(folder) == 6
    assert "image 1 stands twice: give each an id of its own" in capsys.readouterr().err


def test_a_picture_of_another_folder_is_not_taken_for_one_that_is_missing(folder, capsys):
    (folder / "cats").mkdir()
    (folder / "a.png").rename(folder / "cats" / "001.png")
    export = coco(["cats/001.png", "dogs/001.png"], ann_ids=(1, 2))
    (folder / "export.json").write_text(json.dumps(export))
    assert own(folder) == 6
    said = "'dogs/001.png' is missing, and 'cats/001.png' lies in another folder: put the picture"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["C:\\x\\a.png", "/x/y/a.png", "images/a.png", "../a.png", "upload/1/0123abcd-a.png"]
)
def test_a_picture_may_have_come_from_elsewhere(folder, name):
    (folder / "export.json").write_text(json.dumps(coco([name, "b.png"])))
    assert own(folder) == 0
    assert found(folder) == RIGHT


def test_what_label_studio_says_of_a_region_is_no_second_region(folder):
    said = {"type": "choices", "value": {"choices": ["big"]}}
    named = {"type": "labels", "value": {"labels": ["cup"], "x": 0, "y": 0}}
    tasks = [task("a.png", 5, said), task("b.png", 30, named)]
    (folder / "export.json").write_text(json.dumps(tasks))
    assert own(folder) == 0
    assert found(folder) == RIGHT


def test_drawings_on_nothing_are_compared_on_white():
    dice = np.random.default_rng(1)
    drawn = []
    for _ in range(12):
        ink = np.zeros((32, 32, 4), dtype=np.uint8)  # black, as is what lies under the paper
        ink[..., 3] = 255 * dice.integers(0, 2, (4, 4)).repeat(8, 0).repeat(8, 1)
        drawn.append(Image.fromarray(ink))
    assert len(copies([thumbnail(picture) for picture in drawn])) == 12
    paper = Image.new("RGB", (32, 32), "white")
    paper.paste(drawn[0], (0, 0), drawn[0])
    assert copies([thumbnail(drawn[0]), thumbnail(paper)]) == [[0, 1]]


def test_an_unused_file_whose_name_is_no_utf8_costs_nothing(folder):
    (folder / "export.json").write_text(json.dumps(coco(["a.png", "b.png"])))
    assert own(folder) == 0
    try:
        with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:
            file.write((folder / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    assert own(folder) == 0
    assert read_index(folder.parent / "data", "mine") and found(folder) == RIGHT
    assert r"caf\udce9.png" in (folder.parent / "data" / "reports" / "mine.md").read_text()
