"""A small data root cut out of a large one."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from data_setup.__main__ import main
from data_setup.excerpt import write_excerpt
from data_setup.fetch.sources import ContentError
from data_setup.index import read_index
from tvnet.data import refer


def test_an_excerpt_is_a_data_root_with_some_of_the_pictures(tiny_root, tmp_path):
    root = tmp_path / "pool"
    assert write_excerpt(tiny_root, root, 3, [8]) == {"unc": 4, "unc+": 4, "gref": 4}
    for name in ("unc", "unc+", "gref"):
        whole, part = refer.read(tiny_root, name), refer.read(root, name)
        assert list(part.pictures) == [1, 3, 5, 8]  # evenly over 1 to 6, and the named one
        assert not part.missing_pictures()
        assert part.referents == tuple(r for r in whole.referents if r.image_id in part.pictures)
        for ann_id, image_id in part.image_of.items():
            assert (part.mask(ann_id) == whole.mask(ann_id)).all()
            other = whole.pictures[image_id].path
            assert part.pictures[image_id].path.read_bytes() == other.read_bytes()


def test_the_same_excerpt_again_replaces_it_and_nothing_else(tiny_root, tmp_path):
    root = tmp_path / "pool"
    write_excerpt(tiny_root, root, 2, [])
    before = {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    write_excerpt(tiny_root, root, 2, [])
    assert before == {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert [p.name for p in tmp_path.iterdir()] == ["pool"]
    (root / "excerpt.json").unlink()
    with pytest.raises(ContentError, match="holds something that is no excerpt: choose another"):
        write_excerpt(tiny_root, root, 2, [])


def test_no_picture_that_any_set_evaluates_on_is_taken_unnamed(tiny_copy, tmp_path):
    """Picture 2 becomes val in G-Ref alone."""
    index = read_index(tiny_copy, "gref")
    held = [[*r[:4], "val", r[5]] if r[2] == 2 else r for r in index.referents]
    replace(index, referents=held).write(tiny_copy)
    write_excerpt(tiny_copy, tmp_path / "pool", 5, [])
    assert list(refer.read(tmp_path / "pool", "unc").pictures) == [1, 3, 4, 5, 6]


def test_pictures_in_a_zip_are_not_taken(tiny_copy, tmp_path):
    index = read_index(tiny_copy, "unc")
    replace(index, pictures_in=["archives/train2014.zip"]).write(tiny_copy)
    with pytest.raises(ContentError, match=r"do not lie in a folder .*2014\.zip\): unpack them"):
        write_excerpt(tiny_copy, tmp_path / "pool", 5, [])
    assert not list(tmp_path.glob("*pool*"))


@pytest.mark.parametrize(
    "pictures, also, sentence",
    [
        (7, None, "7 pictures cannot be taken from .*: it has 6 that are train in every set"),
        (0, None, "0 pictures cannot be taken"),
        (2, {"sentences": [{"image_id": 99}]}, "holds no picture 99: name others"),
        (2, {"sentences": 3}, "is no list of examples"),
    ],
)
def test_what_cannot_be_cut_is_refused(tiny_root, tmp_path, capsys, pictures, also, sentence):
    options = ["excerpt", "--source", str(tiny_root), "--root", str(tmp_path / "pool")]
    if also:
        (tmp_path / "also.json").write_text(json.dumps(also))
        options += ["--also", str(tmp_path / "also.json")]
    assert main([*options, "--pictures", str(pictures)]) == 6
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "pool").exists()


def test_the_command_takes_the_pictures_of_examples_along(tiny_root, tmp_path, capsys):
    (tmp_path / "also.json").write_text(json.dumps({"sentences": [{"image_id": 7}]}))
    options = ["excerpt", "--source", tiny_root, "--root", tmp_path / "pool", "--pictures", 1]
    assert main([*map(str, options), "--also", str(tmp_path / "also.json")]) == 0
    assert list(refer.read(tmp_path / "pool", "gref").pictures) == [1, 7]
    assert "pictures: unc 2, unc+ 2, gref 2" in capsys.readouterr().out
    assert np.all(refer.read(tmp_path / "pool", "unc").mask(70).shape == (48, 64))
