"""The written world is what the loaders of RefCOCO, +, g and ReferIt rely on."""

import json
import pickle
import pickletools

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from scipy.io import loadmat

from data_setup.__main__ import main
from data_setup.miniref import formats
from data_setup.miniref import write as writer
from data_setup.miniref.catalogue import CATEGORIES
from data_setup.miniref.draw import render
from data_setup.miniref.picture import _eligible, mat_file
from data_setup.miniref.scenes import Scene, Thing, compose, scene_seed
from data_setup.miniref.view import View
from data_setup.miniref.write import OPEN_PICTURES, write

PICTURES, SEED = 40, 3
SETS = (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "google"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "miniref"
    assert write(folder, PICTURES, SEED, processes=1)
    return folder


def load(root, name, split_by):
    refs = pickle.loads((root / name / f"refs({split_by}).p").read_bytes())
    return refs, json.loads((root / name / "instances.json").read_text())


@pytest.fixture(scope="module", params=SETS, ids=[name for name, _ in SETS])
def data(request, root):
    return *request.param, *load(root, *request.param)


def bytes_of(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_refs_have_the_originals_fields_and_types(data):
    _, _, refs, _ = data
    kinds = {"ref_id": int, "ann_id": int, "category_id": int, "image_id": int, "file_name": str,
             "split": str, "sent_ids": list, "sentences": list}  # fmt: skip
    assert type(refs) is list and refs
    for ref in refs:
        assert {key: type(value) for key, value in ref.items()} == kinds
        assert ref["file_name"] == f"COCO_train2014_{ref['image_id']:012d}_{ref['ann_id']}.jpg"
        assert ref["sent_ids"] == [s["sent_id"] for s in ref["sentences"]]
        assert 2 <= len(ref["sentences"]) <= 4
        for sentence in ref["sentences"]:
            assert set(sentence) == {"sent_id", "sent", "raw", "tokens"}
            assert sentence["tokens"] == sentence["sent"].split()
            assert sentence["sent"] == sentence["sent"].lower()


def test_ids_are_unique_and_every_index_of_a_loader_closes(data):
    _, _, refs, instances = data
    images = {image["id"]: image for image in instances["images"]}
    annotations = {annotation["id"]: annotation for annotation in instances["annotations"]}
    categories = {category["id"]: category for category in instances["categories"]}
    assert len(images) == len(instances["images"])
    assert len(annotations) == len(instances["annotations"])
    assert len({ref["ref_id"] for ref in refs}) == len({ref["ann_id"] for ref in refs}) == len(refs)
    sent_ids = [sent_id for ref in refs for sent_id in ref["sent_ids"]]
    assert len(set(sent_ids)) == len(sent_ids)
    assert {ref["image_id"] for ref in refs} == set(images)
    for ref in refs:
        annotation = annotations[ref["ann_id"]]
        assert annotation["image_id"] == ref["image_id"]
        assert annotation["category_id"] == ref["category_id"]
    for annotation in annotations.values():
        assert annotation["image_id"] in images and annotation["iscrowd"] == 0
    for category in categories.values():
        assert category["supercategory"] == CATEGORIES[category["name"]].supercategory


def test_the_pickle_is_for_python_2_and_holds_no_globals(data, root):
    name, split_by, _, _ = data
    content = (root / name / f"refs({split_by}).p").read_bytes()
    codes = [code.name for code, _, _ in pickletools.genops(content)]
    assert content[:2] == b"\x80\x02"  # protocol 2
    assert not {"GLOBAL", "REDUCE", "BUILD", "STACK_GLOBAL"} & set(codes)


def test_images_are_there_in_the_size_that_is_told(data, root):
    _, _, _, instances = data
    for image in instances["images"]:
        assert image["file_name"] == f"COCO_train2014_{image['id']:012d}.jpg"
        with Image.open(root / OPEN_PICTURES / image["file_name"]) as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            assert picture.size == (image["width"], image["height"])


def test_annotations_decode_to_what_is_seen(root):
    _, instances = load(root, "refcoco", "unc")
    parts = []
    for image in instances["images"][:10]:
        scene = compose(scene_seed(SEED, image["id"]))
        _, masks = render(scene)
        own = [a for a in instances["annotations"] if a["image_id"] == image["id"]]
        names = {c["id"]: c["name"] for c in instances["categories"]}
        seen = [(t.category, m) for t, m in zip(scene.things, masks, strict=True)
                if t.supercategory != "stuff" and m.sum() >= 24]  # fmt: skip
        assert [names[a["category_id"]] for a in own] == [category for category, _ in seen]
        for annotation, (_, mask) in zip(own, seen, strict=True):
            polygons = annotation["segmentation"]
            rles = coco.frPyObjects(polygons, image["height"], image["width"])
            decoded = coco.decode(rles).sum(axis=2)  # as the original API adds them up
            assert decoded.max() == 1  # parts do not overlap: their sum is their union
            decoded = decoded > 0
            assert (decoded & mask).sum() / (decoded | mask).sum() >= 0.95
            assert annotation["area"] == decoded.sum()
            x, y, width, height = annotation["bbox"]
            rows, columns = np.nonzero(decoded)
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.abs(np.subtract((x, y, x + width, y + height), edges)).max() <= 1.01
            assert all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons)
            parts.append(len(polygons))
    assert np.mean(np.array(parts) > 1) > 0.02  # some things are split by what hides them


def test_about_half_of_the_referents_are_small(root):
    shares = []
    for name, split_by in SETS:
        refs, instances = load(root, name, split_by)
        images = {image["id"]: image["width"] * image["height"] for image in instances["images"]}
        areas = {a["id"]: a["area"] / images[a["image_id"]] for a in instances["annotations"]}
        shares += [areas[ref["ann_id"]] for ref in refs]
    assert min(shares) > 0.005
    assert 0.35 < np.mean(np.array(shares) < 0.05) < 0.6


def test_referit_lists_agree_with_each_other_and_with_the_files(root):
    folder = root / "referit"
    parts = {name: json.loads((folder / f"referit_query_{name}.json").read_text())
             for name in ("train", "val", "trainval", "test", "all")}  # fmt: skip
    lists = {name: (folder / f"referit_{name}_imlist.txt").read_text().split() for name in parts}
    boxes, crops, sizes = (json.loads((folder / f"referit_{name}.json").read_text())
                           for name in ("bbox", "imcrop", "imsize"))  # fmt: skip
    assert parts["trainval"].keys() == parts["train"].keys() | parts["val"].keys()
    assert parts["all"].keys() == parts["trainval"].keys() | parts["test"].keys() == boxes.keys()
    assert not set(lists["trainval"]) & set(lists["test"]) and all(lists.values())
    assert set(lists["all"]) == {name.removesuffix(".jpg") for name in sizes}
    assert {key for keys in crops.values() for key in keys} == boxes.keys()
    for name, queries in parts.items():
        assert {key.split("_")[0] for key in queries} == set(lists[name])
    for key, sentences in parts["all"].items():
        assert sentences and all(isinstance(sentence, str) for sentence in sentences)
        image = key.split("_")[0] + ".jpg"
        assert key in crops[image]
        with Image.open(folder / "images" / image) as picture:
            assert list(picture.size) == sizes[image]
        inside = loadmat(folder / "mask" / f"{key}.mat")["segimg_t"] == 0
        assert list(inside.shape[::-1]) == sizes[image]
        rows, columns = np.nonzero(inside)
        found = [columns.min(), rows.min(), columns.max(), rows.max()]
        assert found == boxes[key]  # inclusive
    assert len(list((folder / "mask").iterdir())) == len(boxes)


def test_referit_speaks_of_stuff(root):
    queries = json.loads((root / "referit" / "referit_query_all.json").read_text())
    stuff = {t.category for n in range(40) for t in compose(n).things if t.supercategory == "stuff"}
    words = {word for texts in queries.values() for text in texts for word in text.lower().split()}
    assert stuff & words


@pytest.mark.slow
def test_the_bytes_depend_on_the_seed_alone_not_on_the_processes(root, tmp_path):
    write(tmp_path / "again", PICTURES, SEED, processes=2)
    first, second = bytes_of(root), bytes_of(tmp_path / "again")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    write(tmp_path / "other", 30, SEED + 1, processes=1)
    other = bytes_of(tmp_path / "other")
    name = f"{OPEN_PICTURES}/COCO_train2014_{1:012d}.jpg"
    assert other[name] != first[name]


def test_equal_refs_are_equal_bytes_whoever_made_the_strings():
    word = "".join(["wo", "man"])
    shared, apart = [{"raw": word, "sent": word}], [{"raw": word, "sent": "".join(["wo", "man"])}]
    assert pickle.dumps(shared, 2) != pickle.dumps(apart, 2)  # what there is to guard against
    assert formats._pickled(shared) == formats._pickled(apart)


def test_a_mask_file_does_not_tell_the_hour():
    content = mat_file(np.eye(4, dtype=bool))
    assert content == mat_file(np.eye(4, dtype=bool))
    assert content[:116].strip() == b"MATLAB 5.0 MAT-file, written by MiniRef"


@pytest.mark.slow
def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def fail(job):
        raise RuntimeError("the pen broke")

    monkeypatch.setattr(writer, "referit_picture", fail)
    with pytest.raises(RuntimeError, match="the pen broke"):
        write(tmp_path / "miniref", 30, 0, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_the_same_world_is_not_drawn_again(root, capsys):
    before = (root / "miniref.json").stat().st_mtime_ns
    command = ["miniref", "--root", str(root), "--pictures", str(PICTURES), "--seed", str(SEED)]
    assert main(command) == 0
    assert "is there already" in capsys.readouterr().out
    assert (root / "miniref.json").stat().st_mtime_ns == before


def test_another_world_or_anything_else_is_never_overwritten(root, tmp_path, capsys):
    assert main(["miniref", "--root", str(root), "--pictures", "30"]) == 2
    output = capsys.readouterr().err
    assert "already holds another MiniRef (pictures 40, seed 3, version" in output
    assert "choose another --root or remove it first." in output
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="already holds something that is not MiniRef"):
        write(tmp_path, 30)
    with pytest.raises(ValueError, match="already holds something that is not MiniRef"):
        write(tmp_path / "thesis.txt", 30)
    (tmp_path / "miniref.json").write_text("{half")
    with pytest.raises(ValueError, match="already holds something that is not MiniRef"):
        write(tmp_path, 30)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "arguments, output",
    [
        (["minerf"], "invalid choice: 'minerf'"),
        ([], "command"),
        (
            ["miniref", "--pictures", "0"],
            "0 pictures cannot fill every split: ask for at least 30.",
        ),
        (["miniref", "--pictures", "-4"], "-4 pictures cannot fill every split"),
        (["miniref", "--pictures", "many"], "invalid int value: 'many'"),
        (["miniref", "--seed", "-1"], "The seed -1 is negative"),
        (["miniref-sheet", "--root", "nowhere"], "draw it with `python -m data_setup miniref"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(
    arguments, output, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and output in error
    assert error.count("\n") == 1 and error.endswith(".\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_sheet_shows_samples_of_all_four(root, tmp_path):
    outs = [tmp_path / "figures" / name for name in ("a.png", "b.png")]
    for out in outs:
        assert main(["miniref-sheet", "--root", str(root), "--out", str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len(outs[0].read_bytes()) < 1.5e6
    with Image.open(outs[0]) as sheet:
        assert sheet.width > 1000 and sheet.height > 1200
    assert sorted(path.name for path in outs[0].parent.iterdir()) == ["a.png", "b.png"]


def test_only_what_is_large_and_visible_enough_is_referred_to():
    boxes = [(0, 0, 40, 40), (50, 0, 40, 40), (52, 0, 38, 40), (0, 60, 10, 10)]
    names = ["sky", "cup", "cup", "cup"]
    families = ["stuff", "kitchen", "kitchen", "kitchen"]
    things = [Thing(n, f, b, 0.5, "red") for n, f, b in zip(names, families, boxes, strict=True)]
    masks = []
    for x, y, width, height in [*boxes[:1], (50, 0, 13, 40), *boxes[2:]]:
        masks.append(np.zeros((100, 200), bool))
        masks[-1][y : y + height, x : x + width] = True
    view = View.of(Scene("test", 0, 200, 100, tuple(things)), masks)
    # stuff, a cup of which a third is seen, a cup in full view, a cup of 0.5 % of the picture
    assert [_eligible(view, k) for k in range(4)] == [False, False, True, False]
