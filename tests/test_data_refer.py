"""The reader returns what was written, and refuses what is damaged with a sentence."""

import json
import pickle
import shutil

import numpy as np
import pytest
from conftest import write_root

from tvnet.data import refer


@pytest.fixture
def root(tmp_path):
    write_root(tmp_path / "root", pictures=3)
    return tmp_path / "root"


def change(root, part, alter):
    """Let `alter` change the index ("instances.json") or the referents ("refs(unc).p") of unc."""
    path = root / "refcoco" / part
    if part.endswith(".json"):
        content = json.loads(path.read_text())
        alter(content)
        path.write_text(json.dumps(content))
    else:
        content = pickle.loads(path.read_bytes())
        alter(content)
        path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("name", ["unc", "unc+", "gref"])
def test_what_was_written_is_read_back(tiny_root, name):
    data = refer.read(tiny_root, name)
    folder, file = refer.FOLDERS[name]
    written = pickle.loads((tiny_root / folder / file).read_bytes())
    index = json.loads((tiny_root / folder / "instances.json").read_text())
    assert data.name == name and len(data.referents) == len(written) == 16
    for referent, ref in zip(data.referents, written, strict=True):
        for key in ("ref_id", "ann_id", "image_id", "category_id", "split"):
            assert getattr(referent, key) == ref[key]
        assert [(s.sent_id, s.text) for s in referent.sentences] == [
            (s["sent_id"], s["sent"]) for s in ref["sentences"]
        ]
    for image in index["images"]:
        picture = data.pictures[image["id"]]
        assert (picture.width, picture.height) == (image["width"], image["height"])
        assert picture.path.name == image["file_name"] and picture.path.is_file()
    assert data.segmentations == {a["id"]: a["segmentation"] for a in index["annotations"]}
    assert data.categories == {1: "red square", 2: "blue square"}
    assert data.missing_pictures() == []


def test_one_sample_a_sentence_in_the_order_of_the_file(tiny_root):
    data = refer.read(tiny_root, "unc")
    train, val = data.samples("train"), data.samples("val")
    assert (len(train), len(val)) == (24, 8)
    first = train[1]
    assert (first.sent_id, first.ref_id, first.image_id) == (21, 10, 1)
    assert first.text == "the red one of picture 1"
    with pytest.raises(ValueError, match="unc has no split 'testA': choose one of train, val"):
        data.samples("testA")


def test_masks_of_every_kind_are_the_squares_that_were_drawn(tiny_root):
    """Overlapping polygons, an RLE and uncompressed counts all give full squares: no holes."""
    data = refer.read(tiny_root, "unc")
    index = json.loads((tiny_root / "refcoco" / "instances.json").read_text())
    for annotation in index["annotations"]:
        x, y, side, _ = annotation["bbox"]
        true = np.zeros((48, 64), dtype=bool)
        true[y : y + side, x : x + side] = True
        found = data.mask(annotation["id"])
        assert found.dtype == bool and np.array_equal(found, true), annotation["id"]


def test_latin1_strings_of_python_2_are_read(root):
    path = root / "refcoco" / "refs(unc).p"
    written = path.read_bytes()
    sentence = b"X\x0a\x00\x00\x00red square"  # BINUNICODE; Python 2 wrote SHORT_BINSTRING
    assert sentence in written
    path.write_bytes(written.replace(sentence, b"U\x0ared squ\xe4re"))
    assert refer.read(root, "unc").samples("train")[0].text == "red squäre"


def test_a_root_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        refer.read(tmp_path / "miniref", "unc")
    assert str(error.value) == (
        f"There is no data at {tmp_path / 'miniref'}: draw the built-in world with "
        f"`python -m data_setup miniref --root {tmp_path / 'miniref'}`."
    )


def test_an_unknown_name_and_a_missing_file(root):
    with pytest.raises(ValueError, match="no data set 'refcoco': choose unc, unc\\+, gref or ref"):
        refer.read(root, "refcoco")
    shutil.rmtree(root / "refcoco+")
    with pytest.raises(FileNotFoundError, match=r"instances.json is missing, so .* no 'unc\+'"):
        refer.read(root, "unc+")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_is_refused(root, capsys, protocol):
    path = root / "refcoco" / "refs(unc).p"
    path.write_bytes(pickle.dumps([Evil()], protocol=protocol))
    with pytest.raises(ValueError, match=r"refs\(unc\).p cannot be read \(it names .*print"):
        refer.read(root, "unc")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"<html>", pickle.dumps({"a": 1}), pickle.dumps([1]), b"\x80\x02]q"]
)
def test_a_damaged_pickle_is_one_sentence(root, content):
    (root / "refcoco" / "refs(unc).p").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"The referents in .*refs\(unc\).p cannot be read .*again"
    ):
        refer.read(root, "unc")


@pytest.mark.parametrize("content", [b"", b'{"images": [', b"[]", b"\xff\xfe"])
def test_a_damaged_index_is_one_sentence(root, content):
    (root / "refcoco" / "instances.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"instances.json is damaged \(.*\): fetch or draw"):
        refer.read(root, "unc")


INDEX, REFS = "instances.json", "refs(unc).p"
FAULTS = {
    "annotation gone": (INDEX, lambda x: x["annotations"].pop(0), "10 of unc .* annotation 10"),
    "image gone": (INDEX, lambda x: x["images"].pop(0), "10 of unc points to image 1 and"),
    "category gone": (INDEX, lambda x: x["categories"].pop(0), "10 of unc .* category 1"),
    "image double": (INDEX, lambda x: x["images"].append(x["images"][0]), "1 among the images"),
    "annotation double": (
        INDEX,
        lambda x: x["annotations"].append(x["annotations"][0]),
        "Id 10 among the annotations of unc stands twice",
    ),
    "list gone": (INDEX, lambda x: x.pop("images"), "index of unc holds no list 'images'"),
    "no segmentation": (INDEX, lambda x: x["annotations"][0].pop("segmentation"), "'segmentation'"),
    "no width": (INDEX, lambda x: x["images"][0].pop("width"), "no usable 'width'"),
    "giant": (
        INDEX,
        lambda x: x["images"][0].update(width=10**6),
        "gives the picture .*1000000x48",
    ),
    "other folder": (
        INDEX,
        lambda x: x["images"][0].update(file_name="../../a.jpg"),
        "'../../a.jpg' is not a plain file name",
    ),
    "other image": (REFS, lambda x: x[0].update(image_id=2), "10 of unc .* in image 2"),
    "referent double": (REFS, lambda x: x[1].update(ref_id=10), "Referent 10 of unc stands twice"),
    "sentence double": (
        REFS,
        lambda x: x[1]["sentences"][0].update(sent_id=20),
        "Sentence 20 of unc stands twice",
    ),
    "no sentence": (REFS, lambda x: x[0]["sentences"][0].pop("sent"), "no usable 'sent'"),
    "text as id": (REFS, lambda x: x[0].update(ref_id="10"), "no usable 'ref_id'"),
    "no split": (REFS, lambda x: x[0].update(split=None), "no usable 'split'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_dangling_double_and_malformed_entries_are_named(root, fault):
    part, alter, words = FAULTS[fault]
    change(root, part, alter)
    with pytest.raises(ValueError, match=words + ".*fetch or draw the data again"):
        refer.read(root, "unc")


def test_a_malformed_mask_names_its_annotation(root):
    change(root, INDEX, lambda x: x["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]))
    data = refer.read(root, "unc")
    with pytest.raises(ValueError, match="Annotation 10 of unc: A polygon of 7 numbers"):
        data.mask(10)
    with pytest.raises(ValueError, match="unc refers to no annotation 99"):
        data.mask(99)


def test_missing_pictures_are_listed(root):
    data = refer.read(root, "unc")
    gone = data.pictures[2].path
    gone.unlink()
    assert data.missing_pictures() == [gone]


def test_the_fingerprint_follows_the_content_and_not_the_folder(root, tmp_path):
    first = refer.read(root, "unc").fingerprint
    shutil.copytree(root, tmp_path / "moved")
    assert refer.read(tmp_path / "moved", "unc").fingerprint == first
    for part, alter in (
        (REFS, lambda x: x[0]["sentences"][0].update(sent="another text")),
        (REFS, lambda x: x[0].update(split="val")),
        (INDEX, lambda x: x["annotations"][0]["segmentation"][0].__setitem__(0, 5.5)),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(root, copy)
        change(copy, part, alter)
        assert refer.read(copy, "unc").fingerprint != first
        shutil.rmtree(copy)
    path = refer.read(root, "unc").pictures[1].path
    path.write_bytes(path.read_bytes() + b"x")
    assert refer.read(root, "unc").fingerprint != first
