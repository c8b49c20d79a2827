"""True COCO annotations go through the reader unchanged."""

import json

import numpy as np
import pytest

from data_setup.convert.segmentations import decode
from tests.real_root import REASON, real_samples, write_real_root
from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import ReferDataset, collate
from tvnet.data.images import open_picture
from tvnet.data.masks import from_counts, store, to_counts
from tvnet.data.words import Vocabulary

pytestmark = pytest.mark.skipif(real_samples() is None, reason=REASON)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    root = tmp_path_factory.mktemp("real") / "root"
    chosen = write_real_root(real_samples(), root)
    return root, chosen, refer.read(root, "unc")


def test_every_referent_is_read(opened):
    _, chosen, data = opened
    assert len(chosen) == len(data.referents) > 50 and data.splits == ["train", "val"]
    names = {s.ann_id: s.text for split in data.splits for s in data.samples(split)}
    assert names == {a["id"]: data.categories[a["category_id"]] for a in chosen}
    assert data.missing_pictures() == []
    train, val = ({s.image_id for s in data.samples(split)} for split in ("train", "val"))
    assert train and val and not train & val


def test_every_picture_opens(opened):
    _, _, data = opened
    for picture in data.pictures.values():
        found = open_picture(picture.path, picture.width, picture.height)
        assert np.asarray(found).shape == (picture.height, picture.width, 3)


def test_no_true_annotation_is_refused(opened):
    """All of them, crowds and many-part polygons too; area and box in the file agree."""
    root, _, data = opened
    index = json.loads((root / "refcoco" / "instances.json").read_text())
    crowds = 0
    for annotation in index["annotations"]:
        picture = data.pictures[annotation["image_id"]]
        mask = decode(annotation["segmentation"], picture.height, picture.width)
        assert np.array_equal(from_counts(to_counts(mask), *mask.shape), mask)
        crowds += annotation["iscrowd"]
        if annotation["iscrowd"]:  # whose area in the file is not that of its runs
            continue
        slack = 2 + 0.15 * annotation["area"] + 2 * sum(annotation["bbox"][2:])
        assert abs(mask.sum() - annotation["area"]) <= slack, annotation["id"]
        x, y, width, height = annotation["bbox"]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):
            assert rows[0] >= y - 2 and rows[-1] <= y + height + 2
            assert columns[0] >= x - 2 and columns[-1] <= x + width + 2
    assert crowds > 0


def test_crowds_decode_as_pycocotools_does(opened):
    from pycocotools import mask as coco

    root, _, _ = opened
    index = json.loads((root / "refcoco" / "instances.json").read_text())
    for annotation in index["annotations"]:
        if annotation["iscrowd"]:
            rle = annotation["segmentation"]
            height, width = rle["size"]
            packed = coco.frPyObjects(rle, height, width)
            true = coco.decode(packed).astype(bool)
            assert np.array_equal(decode(rle, height, width), true)
            assert np.array_equal(decode(packed, height, width), true)


def test_the_data_set_runs(opened, tmp_path):
    _, _, data = opened
    vocabulary = Vocabulary.build(s.text for s in data.samples("train"))
    cache = TrainingCache(
        data, 320, store(data, tmp_path / "masks.safetensors"), tmp_path / "cache"
    )
    dataset = ReferDataset(data, "val", vocabulary, 20, cache)
    batch = collate([dataset[i] for i in range(8)])
    assert batch.image.shape == (8, 3, 320, 320) and batch.mask.flatten(1).any(1).all()
