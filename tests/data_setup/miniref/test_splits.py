"""Which picture of MiniRef belongs to which split: as in the originals, at any number of them."""

import json

import numpy as np
import pytest

from data_setup.miniref.splits import gref_splits, referit_split, unc_split
from data_setup.miniref.write import write
from tests.data_setup.miniref.test_write import PICTURES, SEED, SETS, load


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "miniref"
    write(folder, PICTURES, SEED, processes=1)
    return folder


def test_unc_splits_share_no_image_and_test_sets_are_people_and_things(root):
    split_of = {}
    for name in ("refcoco", "refcoco+"):
        refs, instances = load(root, name, "unc")
        person = next(c["id"] for c in instances["categories"] if c["name"] == "person")
        for ref in refs:  # one mapping for both: UNC+ keeps UNC's splits
            assert split_of.setdefault(ref["image_id"], ref["split"]) == ref["split"]
            if ref["split"].startswith("test"):
                assert (ref["category_id"] == person) == (ref["split"] == "testA")
        assert {ref["split"] for ref in refs} == {"train", "val", "testA", "testB"}
    train = sum(split == "train" for split in split_of.values())
    assert 0.6 < train / len(split_of) < 0.87


def test_unc_plus_refers_to_what_unc_refers_to(root):
    unc, plus = ({ref["ann_id"] for ref in load(root, name, "unc")[0]} for name, _ in SETS[:2])
    assert len(unc & plus) > 0.75 * len(unc | plus)


def test_gref_is_split_by_object(root):
    refs, _ = load(root, "refcocog", "google")
    images = {
        name: {r["image_id"] for r in refs if r["split"] == name} for name in ("train", "val")
    }
    assert {ref["split"] for ref in refs} == {"train", "val"}
    assert 0.3 < len(images["train"] & images["val"]) / len(images["val"]) < 1  # 0.67 of 2,000


def test_gref_val_share_is_the_true_one_in_a_large_world():
    splits = {n: gref_splits(n, [{"thing": t} for t in range(1 + n % 3)]) for n in range(1, 3301)}
    assert np.mean(["val" in found for found in splits.values()]) == pytest.approx(2 / 11)
    assert all(found.count("val") <= 1 for found in splits.values())


@pytest.mark.slow
def test_a_small_world_and_a_large_one_agree_on_every_picture_of_both(root, tmp_path):
    """Else a model of the one may be evaluated, as clean, on pictures that trained the other."""
    write(tmp_path / "small", 30, SEED, processes=1)
    for name, split_by in SETS:
        large, small = (
            {r["ann_id"]: (r["image_id"], r["split"], r["sentences"]) for r in load(*found)[0]}
            for found in ((root, name, split_by), (tmp_path / "small", name, split_by))
        )
        assert small and all(large[ann_id] == found for ann_id, found in small.items())
    for split in ("train", "val", "test"):
        of = [json.loads((w / "referit" / f"referit_query_{split}.json").read_text())
              for w in (root, tmp_path / "small")]  # fmt: skip
        assert of[1] and of[1].items() <= of[0].items()


def test_every_stretch_of_pictures_fills_the_splits_in_their_shares():
    people, things = [{"person": True}], [{"person": False}]
    for start in (1, 7, 1000):
        found = [unc_split(n, things) for n in range(start, start + 500)]
        assert (found.count("val"), found.count("testB")) == (60, 80)
        assert [unc_split(n, people) for n in range(start, start + 500)].count("testA") == 80
        regions = [referit_split(10 * n) for n in range(start, start + 10)]
        assert sorted(regions) == ["test"] * 3 + ["train"] * 6 + ["val"]


def test_a_world_without_people_to_test_on_is_refused_and_leaves_nothing(tmp_path):
    wanted = "30 pictures of seed 2 leave testA of unc empty: ask for more pictures or another seed"
    with pytest.raises(ValueError, match=wanted):
        write(tmp_path / "miniref", 30, 2, processes=1)
    assert list(tmp_path.iterdir()) == []
