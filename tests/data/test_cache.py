"""The cache gives the same pixels and targets, for its own inputs only, whatever interrupts it."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from tvnet.data import cache as module
from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import collate
from tvnet.data.images import BLANK, mask_target, open_square
from tvnet.data.masks import store
from tvnet.settings import settings
from tvnet.training.setup import prepare

SIZE = 45  # a side whose square is no multiple of eight


@pytest.fixture
def data(tiny_root):
    return refer.read(tiny_root, "unc")


@pytest.fixture
def masks(data, tmp_path):
    return store(data, tmp_path / "masks.safetensors")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 3)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_pixels_and_targets_are_those_computed_anew(data, masks, tmp_path):
    cache = TrainingCache(data, SIZE, masks, tmp_path / "cache")
    for image_id in (BLANK, *data.pictures):
        found = cache.square(image_id)
        assert np.array_equal(found, open_square(data, image_id, SIZE))
        found[0] = 7  # a batch may write into its pixels
    assert not cache.square(BLANK).any()
    for ann_id in data.image_of:
        target = cache.target(ann_id)
        assert target.dtype == bool and target.shape == (SIZE, SIZE)
        assert np.array_equal(target, mask_target(data.mask(ann_id), SIZE))


def test_an_interrupted_build_goes_on(data, masks, tmp_path, monkeypatch):
    opened = []

    def stops(data, image_id, size):
        opened.append(image_id)
        if len(opened) == 5:
            raise KeyboardInterrupt
        return open_square(data, image_id, size)

    monkeypatch.setattr(module, "open_square", stops)
    with pytest.raises(KeyboardInterrupt):
        TrainingCache(data, SIZE, masks, tmp_path / "cache")
    TrainingCache(data, SIZE, masks, tmp_path / "cache")
    assert opened == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8]  # only the block that was cut is made again
    assert not list(tmp_path.rglob("*.part*"))
    opened.clear()
    TrainingCache(data, SIZE, masks, tmp_path / "cache")
    assert opened == []


def test_another_key_for_every_input(data, masks, tmp_path, monkeypatch):
    folders = set()

    def key(data=data, size=SIZE):
        TrainingCache(data, size, masks, tmp_path / "cache")
        folders.update(path.name for path in (tmp_path / "cache").iterdir())
        return len(folders)

    assert [key(), key()] == [1, 1]
    assert key(size=SIZE + 1) == 2
    other = refer.read(data.pictures[1].path.parents[4], "unc")
    first = other.referents[0]
    other.referents = (replace(first, split="val"), *other.referents[1:])
    assert key(data=other) == 3
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert key() == 4
    monkeypatch.setattr(module.PIL, "__version__", "0")
    assert key() == 5


def test_a_flipped_bit_or_a_cut_is_refused(data, masks, tmp_path):
    TrainingCache(data, SIZE, masks, tmp_path / "cache")
    path = next((tmp_path / "cache").rglob("pictures/00000.rows"))
    whole = path.read_bytes()
    flipped = whole[:999] + bytes([whole[999] ^ 1]) + whole[1000:]
    for content in (flipped, whole[:-1], b""):
        path.write_bytes(content)
        cache = TrainingCache(data, SIZE, masks, tmp_path / "cache")
        with pytest.raises(ValueError, match="00000.rows are damaged: delete the file"):
            cache.square(1)


def _build(root, folder):
    data = refer.read(root, "unc")
    cache = TrainingCache(data, SIZE, store(data, folder / "masks.safetensors"), folder / "cache")
    return int(cache.square(1).sum())


def test_two_processes_build_one_cache(tiny_root, data, tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sums = pool.starmap(_build, [(tiny_root, tmp_path)] * 2)
    assert sums == [int(open_square(data, 1, SIZE).sum())] * 2
    assert not [name for name in files(tmp_path / "cache") if "part" in name]


def test_a_run_on_pixels_reads_through_the_cache(tiny_root, tmp_path):
    chosen = settings("smoke")
    chosen = replace(
        chosen,
        model=replace(chosen.model, enrichment=False),
        training=replace(chosen.training, cache_features=False),
    )
    ready = prepare(chosen, tiny_root, tmp_path)
    dataset = ready.dataset(chosen, "val")
    ready.data.pictures.clear()  # nothing opens a picture any more
    batch = collate([dataset[i] for i in range(len(dataset))])
    assert batch.image.shape == (8, 3, 96, 96) and batch.mask.any()
    assert ready.features(batch)[0]["V5"].shape[0] == 8
