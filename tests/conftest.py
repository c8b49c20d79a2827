"""A tiny data root in the refer format, made by the tests themselves, and what stands on it."""

import gc
import json
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from data_setup.convert.folders import FOLDERS, index_folders
from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.masks import store
from tvnet.data.neighbours import Neighbours
from tvnet.data.words import Vocabulary
from tvnet.model.backbone import DeepLab
from tvnet.settings import settings
from tvnet.training.features import CachedFeatures
from tvnet.training.setup import Prepared

sys.modules["rfc3987_syntax"] = None  # a grammar that nbformat builds for seconds and never uses
gc.disable()  # until all tests are collected
torch.set_num_threads(1)  # tiny tensors: a second thread only gets in the way
os.environ["OMP_NUM_THREADS"] = "1"  # also in what a test starts beside other tests
torch.set_flush_denormal(True)  # as the ablation's workers do
WIDTH, HEIGHT = 64, 48
COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200)}


def pytest_collection_finish():
    """Modules and tests stay until the end: garbage is looked for among what comes later only."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Whole notebooks first, the long late ones before: begun last, one would run on alone."""
    runs = "test_it_runs_twice_in_one_kernel_and_from_anywhere"
    items.sort(key=lambda item: item.name if item.name.startswith(runs) else "", reverse=True)


def square(x, y, side):
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def runs(mask):
    """Uncompressed COCO counts, written the slow and obvious way."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def write_root(root, pictures=8):
    """`pictures` images of 64x48 with a red and a blue square each; the last two are val.

    The red one is two overlapping polygons, the blue one a polygon, in image 2 an RLE dict and in
    image 3 uncompressed counts. Two sentences each. All three data sets hold the same.
    """
    images = root / "images" / "mscoco" / "images" / "train2014"
    images.mkdir(parents=True)
    index = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "red square"}]}
    index["categories"].append({"id": 2, "name": "blue square"})
    refs = []
    rng = np.random.default_rng(0)
    for image_id in range(1, pictures + 1):
        name = f"COCO_train2014_{image_id:012d}.jpg"
        canvas = rng.integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        index["images"].append(
            {"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT}
        )
        for k, colour in enumerate(COLOURS):
            x, y, side = 4 + 30 * k + image_id, 6 + 2 * image_id, 16 + image_id
            canvas[y : y + side, x : x + side] = COLOURS[colour]
            mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
            mask[y : y + side, x : x + side] = True
            segmentation = [square(x, y, side)]
            if colour == "red":
                segmentation = [square(x, y, side - 4), square(x + 4, y + 4, side - 4)]
                segmentation += [square(x, y, side)]
            elif image_id in (2, 3):
                segmentation = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
                if image_id == 2:
                    from pycocotools import mask as coco

                    segmentation = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                    segmentation["counts"] = segmentation["counts"].decode()
            ann_id = 10 * image_id + k
            index["annotations"].append(
                {"id": ann_id, "image_id": image_id, "category_id": k + 1, "iscrowd": 0,
                 "bbox": [x, y, side, side], "area": side * side, "segmentation": segmentation}
            )  # fmt: skip
            texts = [f"{colour} square", f"the {colour} one of picture {image_id}"]
            refs.append(
                {"ref_id": ann_id, "ann_id": ann_id, "image_id": image_id, "category_id": k + 1,
                 "split": "val" if image_id > pictures - 2 else "train",
                 "file_name": name.replace(".jpg", f"_{ann_id}.jpg"),
                 "sent_ids": [2 * ann_id, 2 * ann_id + 1],
                 "sentences": [{"sent_id": 2 * ann_id + n, "sent": t, "raw": t.title() + ".",
                                "tokens": t.split()} for n, t in enumerate(texts)]}
            )  # fmt: skip
        Image.fromarray(canvas).save(images / name, quality=95)
    for folder, file in FOLDERS.values():
        (root / folder).mkdir()
        (root / folder / "instances.json").write_text(json.dumps(index))
        (root / folder / file).write_bytes(pickle.dumps(refs, protocol=2))
    index_folders(root)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """A data root that no test may change; copy it to damage it."""
    root = tmp_path_factory.mktemp("tiny") / "root"
    write_root(root)
    return root


@pytest.fixture
def tiny_copy(tiny_root, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(tiny_root, tmp_path / "tiny")


@pytest.fixture(scope="session")
def ready(tiny_root, tmp_path_factory):
    """The tiny root, opened for the smoke profile with an untrained backbone."""
    cache = tmp_path_factory.mktemp("cache")
    data = refer.read(tiny_root, "unc+")
    torch.manual_seed(0)
    chosen = settings("smoke")
    backbone = DeepLab(chosen.backbone).freeze()
    queries = sorted(s.sent_id for split in data.splits for s in data.samples(split))
    n = len(queries)
    other = np.array([1 + q // 20 % 5 for q in queries])
    neighbours = Neighbours(
        sent_id=np.array(queries), similar_id=other, candidates=other[:, None],
        text_similarity=np.ones((n, 1), np.float32), image_similarity=np.ones((n, 1), np.float32),
        chosen=np.zeros(n, dtype=np.int64), settings={},
    )  # fmt: skip
    return Prepared(
        data,
        Vocabulary.build(s.text for s in data.samples("train")),
        TrainingCache(
            data, chosen.data.size, store(data, cache / "masks.safetensors"), cache, pixels=False
        ),
        CachedFeatures(backbone, data, chosen.data.size, cache / "maps.bf16"),
        neighbours,
        word_rows=None,
    )
