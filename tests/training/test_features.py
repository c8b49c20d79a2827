"""The frozen backbone's maps on disk: those of this backbone and data, bit by bit, or none."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import ReferDataset, collate
from tvnet.data.images import BLANK
from tvnet.model.backbone import DeepLab
from tvnet.model.pretrained import load_backbone
from tvnet.settings import settings
from tvnet.training.features import CachedFeatures, LiveFeatures
from tvnet.training.setup import prepare

SMOKE = settings("smoke")


def flipped(content):
    return content[:999] + bytes([content[999] ^ 1]) + content[1000:]


DAMAGE = {
    "one bit flipped": flipped,
    "all zeros": lambda content: bytes(len(content)),
    "half zeros": lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
    "cut": lambda content: content[:-2],
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_maps_that_are_not_those_written_are_refused(ready, tmp_path, damage):
    """A file of the right name and length may hold other maps: other weights, no message."""
    dataset = ready.dataset(SMOKE, "train")
    batch = collate([dataset[i] for i in range(4)])
    where = ready.features.backbone, ready.data, SMOKE.data.size, tmp_path / "maps"
    before = CachedFeatures(*where)(batch)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    with pytest.raises(ValueError, match=re.escape(f"{path} are damaged: delete the file")):
        CachedFeatures(*where)(batch)
    path.unlink()
    again = CachedFeatures(*where)(batch)
    assert path.read_bytes() == whole
    assert all(torch.equal(again[0][name], V) for name, V in before[0].items())


def test_maps_are_kept_whatever_encodes_images(tiny_root, tmp_path):
    """The neighbours of vgg16 know nothing of the backbone; its maps are found all the same."""
    chosen = replace(
        SMOKE,
        model=replace(SMOKE.model, enrichment=False),
        retrieval=replace(SMOKE.retrieval, image="vgg16", text="distilbert"),
    )
    ready = prepare(chosen, tiny_root, tmp_path)
    batch = collate([ready.dataset(chosen, "train")[0]])
    assert ready.features(batch)[0]["V5"].shape[0] == 1


def test_maps_of_another_backbone_are_not_taken(ready, tmp_path):
    """Weights may change under the same name, and pooling has none."""
    dataset = ready.dataset(SMOKE, "train")
    batch = collate([dataset[0]])
    found = []
    for seed, pool in ((0, "floor"), (1, "floor"), (0, "floor"), (0, "ceil")):
        torch.manual_seed(seed)
        backbone = DeepLab(replace(SMOKE.backbone, pool=pool)).freeze()
        maps = CachedFeatures(backbone, ready.data, SMOKE.data.size, tmp_path)
        found.append(maps(batch)[0]["V5"])
    assert len(list(tmp_path.iterdir())) == 3 and torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


@pytest.fixture(scope="module")
def both(ready, tmp_path_factory):
    """The two ways to the maps of one backbone."""
    live = LiveFeatures(ready.features.backbone, ready.data, SMOKE.data.size)
    folder = tmp_path_factory.mktemp("maps")
    return live, CachedFeatures(live.backbone, ready.data, SMOKE.data.size, folder)


def batch_of(ready, neighbours, folder, similar=None):
    cache = TrainingCache(ready.data, SMOKE.data.size, ready.cache.masks, folder)
    words = ready.vocabulary, SMOKE.data.max_words
    dataset = ReferDataset(ready.data, "train", *words, cache, neighbours)
    batch = collate([dataset[i] for i in range(6)])
    if similar is not None:
        batch.similar_id[:] = similar
        batch.similar[:] = 0
    return batch


@pytest.mark.parametrize("similar", [None, BLANK])
def test_maps_from_disk_are_those_that_are_computed(ready, both, similar, tmp_path):
    batch = batch_of(ready, ready.neighbours, tmp_path, similar)
    (V_in, V_sim, valid), (V_in_disk, V_sim_disk, valid_disk) = (f(batch) for f in both)
    assert valid is not None and torch.equal(valid, valid_disk)
    assert valid.all() == (similar == BLANK)  # these pictures have padding, a black square none
    for computed, read, names in ((V_in, V_in_disk, "2345"), (V_sim, V_sim_disk, "345")):
        for name in (f"V{n}" for n in names):
            kept = computed[name].bfloat16().float()  # as they lie on disk
            assert read[name].dtype == torch.float32
            np.testing.assert_allclose(read[name], kept, rtol=2**-7, atol=1e-4)


def test_without_a_retrieved_image_neither_gives_one(ready, both, tmp_path):
    batch = batch_of(ready, None, tmp_path)
    for features in both:
        V_in, V_sim, valid = features(batch)
        assert V_sim is None and valid is None and set(V_in) == {"V2", "V3", "V4", "V5"}


def test_random_weights_are_the_same_ones_each_time():
    """A frozen backbone stands in no checkpoint: a run that is resumed must meet its own."""
    random = replace(SMOKE.backbone, weights="random")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, other = (load_backbone(random).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), before)
