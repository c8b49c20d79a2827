"""The reader returns what was written, and refuses what is damaged with a sentence."""

import hashlib
import json
import os
import pickle
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_setup.convert.folders import FOLDERS, index_folders
from tests.conftest import write_root
from tvnet.data import contents, refer


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("written") / "root"
    write_root(root, pictures=3)
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "root")


def change(root, part, alter):
    """Let `alter` change instances.json or refs(unc).p of unc, and index them again."""
    path = root / "refcoco" / part
    if part.endswith(".json"):
        content = json.loads(path.read_text())
        alter(content)
        path.write_text(json.dumps(content))
    else:
        content = pickle.loads(path.read_bytes())
        alter(content)
        path.write_bytes(pickle.dumps(content, protocol=2))
    index_folders(root)


@pytest.mark.parametrize("name", ["unc", "unc+", "gref"])
def test_what_was_written_is_read_back(tiny_root, name):
    data = refer.read(tiny_root, name)
    folder, file = FOLDERS[name]
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
    index_folders(root)
    assert refer.read(root, "unc").samples("train")[0].text == "red squäre"


def test_a_root_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        refer.read(tmp_path / "miniref", "unc")
    assert str(error.value) == (
        f"There is no data at {tmp_path / 'miniref'}: draw the built-in world with "
        f"`python -m data_setup miniref --root {tmp_path / 'miniref'}`."
    )


def test_an_unknown_name_and_a_missing_index(root):
    with pytest.raises(
        ValueError, match="no data set 'refcoco' in .*root: choose unc, unc\\+, gref or referit"
    ):
        refer.read(root, "refcoco")
    with pytest.raises(ValueError, match="no data set '../index/unc'"):
        refer.read(root, "../index/unc")
    shutil.rmtree(root / "index")
    with pytest.raises(FileNotFoundError) as error:
        refer.read(root, "unc+")
    assert str(error.value) == (
        f"{root / 'index' / 'unc+.json'} is missing, so {root} holds no 'unc+': draw the built-in "
        f"world with `python -m data_setup miniref --root {root}`, or fetch the true data with "
        f"`python -m data_setup fetch unc+ --root {root}`."
    )


def test_a_flipped_bit_in_an_index_is_noticed(root):
    path = root / "index" / "unc.json"
    whole = path.read_bytes()
    for at in (0, 20, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match=r"unc.json is damaged \(.*\): fetch or draw"):
            refer.read(root, "unc")
    for content in (b"", b"[]", whole[:-40], whole.replace(b"tvnet index 1", b"tvnet index 0")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"unc.json is damaged \(.*\): fetch or draw"):
            refer.read(root, "unc")


def with_index(root, alter):
    """Let `alter` change the index of unc, as one that `data_setup` wrote."""
    path = root / "index" / "unc.json"
    head, body = path.read_text().rstrip("\n").split("\n")
    content = json.loads(body)
    alter(content)
    body = json.dumps(content)
    head = json.loads(head) | {"sha256": hashlib.sha256(body.encode()).hexdigest()}
    path.write_text(f"{json.dumps(head)}\n{body}\n")


@pytest.mark.parametrize("size", [(13_500, 13_500), (20_001, 1), (0, 48)])
def test_a_picture_of_a_size_that_is_never_read_is_refused(root, size):
    with_index(root, lambda content: content["pictures"][0].__setitem__(slice(2, 4), size))
    with pytest.raises(ValueError, match=f"jpg {size[0]}x{size[1]} pixels: fetch or draw"):
        refer.read(root, "unc")


def test_nothing_refers_to_an_unknown_annotation(root):
    with pytest.raises(ValueError, match="unc refers to no annotation 99"):
        refer.read(root, "unc").mask(99)


FORGED = {
    "no object": lambda x: [],
    "key gone": lambda x: {k: v for k, v in x.items() if k != "pictures"},
    "text as side": lambda x: x | {"pictures": [[1, "a.jpg", "5", 4]]},
    "short sentence": lambda x: x | {"referents": [[1, 10, 1, 1, "train", [[0]]]]},
    "no places": lambda x: x | {"pictures_in": []},
    "image gone": lambda x: x | {"pictures": []},
    "segmentation gone": lambda x: x | {"segmentations": []},
    "picture outside": lambda x: x | {"pictures": [[1, "../../a.jpg", 5, 4]]},
    "place outside": lambda x: x | {"pictures_in": ["../.."]},
    "absolute place": lambda x: x | {"pictures_in": ["/etc"]},
}


@pytest.mark.parametrize("case", [*FORGED, "deep"])
def test_an_index_with_the_right_hash_and_a_wrong_content_is_one_sentence(root, case):
    path = root / "index" / "unc.json"
    body = b"[" * 100_000
    if case in FORGED:
        body = json.dumps(FORGED[case](json.loads(path.read_bytes().splitlines()[1]))).encode()
    head = {"format": refer.FORMAT, "sha256": hashlib.sha256(body).hexdigest()}
    path.write_bytes(json.dumps(head).encode() + b"\n" + body + b"\n")
    with pytest.raises(ValueError, match="The index .*unc.json is damaged .*: fetch or draw the"):
        refer.read(root, "unc")


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
        ("refs(unc).p", lambda x: x[0]["sentences"][0].update(sent="another text")),
        ("refs(unc).p", lambda x: x[0].update(split="val")),
        ("instances.json", lambda x: x["annotations"][0]["segmentation"][0].__setitem__(0, 5.5)),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(root, copy)
        change(copy, part, alter)
        assert refer.read(copy, "unc").fingerprint != first
        shutil.rmtree(copy)
    data = refer.read(root, "unc")
    one, other = data.pictures[1], data.pictures[2]
    named = {2: replace(one, image_id=2), 1: replace(other, image_id=1)}
    named |= {i: picture for i, picture in data.pictures.items() if i > 2}
    assert replace(data, pictures=named).fingerprint != first  # each has the other one's file
    one.path.write_bytes(one.path.read_bytes() + b"x")
    assert refer.read(root, "unc").fingerprint != first


def swapped(root):
    """Two pictures change their names, as a script that renames files does."""
    one, other = (refer.read(root, "unc").pictures[i].path for i in (1, 2))
    one.rename(one.parent / "aside")
    other.rename(one)
    (one.parent / "aside").rename(other)


def painted_over(root):
    """Another picture of the same length and time, written into the file."""
    path = refer.read(root, "unc").pictures[1].path
    time.sleep(0.05)  # a tick of the clock that nobody can set back
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-9] + b"another" + content[-2:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("alter", [swapped, painted_over])
@pytest.mark.parametrize("settled", [-1, 1000])  # checksums are kept at once, or not yet
def test_another_picture_of_equal_length_is_other_data(root, monkeypatch, alter, settled):
    monkeypatch.setattr(contents, "SETTLED", settled)
    path = refer.read(root, "unc").pictures[1].path
    longer = path.read_bytes() + bytes(4000 - path.stat().st_size)
    for picture in refer.read(root, "unc").pictures.values():
        picture.path.write_bytes(longer[:-1] + bytes([picture.image_id]))
        os.utime(picture.path, ns=(0, 0))
    first = refer.read(root, "unc").fingerprint
    assert (root / contents.KEPT).is_file() == (settled < 0)
    alter(root)
    assert refer.read(root, "unc").fingerprint != first


def test_a_picture_s_content_is_read_once(root, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED", 1000)  # seconds, however slow the machine
    first = refer.read(root, "unc").fingerprint
    assert not (root / contents.KEPT).exists()  # so young a file may change unseen
    monkeypatch.setattr(contents, "SETTLED", -1)
    assert refer.read(root, "unc").fingerprint == first
    kept = (root / contents.KEPT).read_text()
    with monkeypatch.context() as patch:
        patch.setattr(contents.zlib, "crc32", lambda *_: pytest.fail("read again"))
        for name in ("unc", "unc+"):  # which have the same pictures
            assert refer.read(root, name).pictures and refer.read(root, name).fingerprint
        assert refer.read(root, "unc").fingerprint == first
    for damaged in ("", "[]", '{"a": 1}', kept[:-9], "[" * 100_000):
        (root / contents.KEPT).write_text(damaged)
        assert refer.read(root, "unc").fingerprint == first
        assert (root / contents.KEPT).read_text() == kept
    assert not list(root.glob("*part*"))


def test_a_root_that_cannot_be_written_has_a_fingerprint(root, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED", 1000)  # seconds, however slow the machine
    first = refer.read(root, "unc").fingerprint
    monkeypatch.setattr(contents, "SETTLED", -1)
    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # as on a read-only disk
    assert refer.read(root, "unc").fingerprint == first
    assert not list(root.glob(".checksums*"))


def refuse(*_, **__):
    raise PermissionError


def test_a_damaged_zip_of_pictures_is_named(tmp_path):
    (tmp_path / "pictures.zip").write_bytes(b"PK, cut")
    with pytest.raises(ValueError, match="The archive .*pictures.zip cannot be read .*: fetch it"):
        contents.contents([tmp_path / "pictures.zip" / "a.png"])


def test_what_is_no_file_has_no_content(tmp_path):
    """Reading a folder would be an error, and reading a pipe would never end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / contents.KEPT)
    paths = [tmp_path / name for name in ("folder", "pipe", "nothing")]
    assert contents.contents(paths, tmp_path) == [contents.NOTHING] * 3


def test_a_picture_in_a_zip_has_the_checksum_that_the_zip_states(root, monkeypatch):
    first = refer.read(root, "unc").fingerprint
    pictures = refer.read(root, "unc").pictures.values()
    with_index(root, lambda content: content.update(pictures_in=["pictures.zip/in"]))
    with zipfile.ZipFile(root / "pictures.zip", "w") as archive:
        for picture in pictures:
            archive.write(picture.path, f"in/{picture.path.name}")
    shutil.rmtree(root / "images")
    monkeypatch.setattr(contents.zlib, "crc32", lambda *_: pytest.fail("a member was read"))
    found = refer.read(root, "unc")
    assert found.missing_pictures() == [] and found.fingerprint == first
