"""Items and batches: the right picture, words and mask for every sentence."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.images import BLANK, mask_target, open_square
from tvnet.data.masks import store
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData
from tvnet.data.words import PAD, UNK, Vocabulary

SIZE = 40


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc")


@pytest.fixture(scope="module")
def vocabulary(data):
    return Vocabulary.build(s.text for s in data.samples("train"))


@pytest.fixture(scope="module")
def cache(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return TrainingCache(data, SIZE, store(data, folder / "masks.safetensors"), folder)


@pytest.fixture(scope="module")
def neighbours(data):
    """For every sentence the next picture; for the first one the black picture."""
    ids = np.array(sorted(s.sent_id for split in data.splits for s in data.samples(split)))
    similar = ids // 20 % len(data.pictures) + 1
    similar[0] = BLANK
    ones = np.ones((len(ids), 1))
    return Neighbours(ids, similar, similar[:, None], ones, ones, np.zeros(len(ids), int), {})


def test_items_hold_what_the_data_say(data, vocabulary, cache, neighbours):
    dataset = ReferDataset(data, "train", vocabulary, 3, cache, neighbours)
    samples = data.samples("train")
    assert len(dataset) == len(samples) == 24
    for i in (0, 1, 5, 23):
        item, sample = dataset[i], samples[i]
        for name in ("sent_id", "ref_id", "ann_id", "image_id"):
            assert item[name] == getattr(sample, name) and item[name].dtype == torch.long
        assert item["words"].tolist() == vocabulary.encode(sample.text, 3)
        similar = neighbours.of(np.array([sample.sent_id]))[0]
        assert item["similar_id"] == similar
        for name, image_id in (("image", sample.image_id), ("similar", similar)):
            square = open_square(data, image_id, SIZE).transpose(2, 0, 1)
            assert item[name].dtype == torch.uint8 and np.array_equal(item[name], square)
        assert item["mask"].shape == (1, SIZE, SIZE) and item["mask"].dtype == torch.bool
        true = mask_target(data.mask(sample.ann_id), SIZE)
        assert np.array_equal(item["mask"][0], true)
    assert dataset[0]["similar_id"] == BLANK and not dataset[0]["similar"].any()


def test_batches_pad_words_on_the_right(data, vocabulary, cache, neighbours):
    dataset = ReferDataset(data, "train", vocabulary, 20, cache, neighbours)
    batch = collate([dataset[i] for i in (0, 1, 2)])
    assert batch.lengths.tolist() == [2, 6, 2]
    assert batch.words.shape == (3, 6) and (batch.words[0, 2:] == PAD).all()
    assert (batch.words[1] != PAD).all()
    shapes = {
        "words": (3, 6), "lengths": (3,), "mask": (3, 1, SIZE, SIZE), "sent_id": (3,),
        "ref_id": (3,), "ann_id": (3,), "image_id": (3,), "similar_id": (3,),
        "image": (3, 3, SIZE, SIZE), "similar": (3, 3, SIZE, SIZE),
    }  # fmt: skip
    assert {f.name: tuple(getattr(batch, f.name).shape) for f in fields(Batch)} == shapes
    assert [s.sent_id for s in data.samples("train")[:3]] == batch.sent_id.tolist()
    moved = batch.to("meta")
    assert all(getattr(moved, f.name).device.type == "meta" for f in fields(Batch))


def test_without_pixels_no_picture_is_opened(data, vocabulary, cache, neighbours, tmp_path):
    nowhere = {i: replace(p, path=tmp_path / "none.jpg") for i, p in data.pictures.items()}
    blind = ReferData(data.name, nowhere, data.referents, data.segmentations, data.categories)
    targets = TrainingCache(blind, SIZE, cache.masks, tmp_path / "cache", pixels=False)
    dataset = ReferDataset(blind, "val", vocabulary, 20, targets, neighbours)
    batch = collate([dataset[0], dataset[1]])
    assert batch.image is None and batch.similar is None and batch.similar_id.shape == (2,)
    assert batch.mask.any() and batch.to("cpu").image is None
    with pytest.raises(FileNotFoundError, match="none.jpg is missing"):
        TrainingCache(blind, SIZE, cache.masks, tmp_path / "cache")


def test_without_neighbours_there_is_nothing_similar(data, vocabulary, cache):
    batch = collate([ReferDataset(data, "val", vocabulary, 20, cache)[0]])
    assert batch.similar_id is None and batch.similar is None and batch.image is not None


def test_an_empty_expression_is_one_unknown_word(data, vocabulary, cache):
    empty = replace(data.referents[0], sentences=(refer.Sentence(1, " . "),))
    quiet = ReferData(data.name, data.pictures, (empty,), data.segmentations, data.categories)
    batch = collate([ReferDataset(quiet, "train", vocabulary, 20, cache)[0]])
    assert batch.words.tolist() == [[UNK]] and batch.lengths.tolist() == [1]


def test_a_sentence_without_neighbour_stops_at_once(data, vocabulary, cache, neighbours):
    short = replace(
        neighbours, **{f.name: getattr(neighbours, f.name)[1:] for f in fields(neighbours)[:-1]}
    )
    first = neighbours.sent_id[0]
    with pytest.raises(ValueError, match=f"no line for sentence {first}: they were made for other"):
        ReferDataset(data, "train", vocabulary, 20, cache, short)
    ReferDataset(data, "val", vocabulary, 20, cache, short)  # which needs no such line


def test_a_retrieved_image_of_other_data_stops_at_once(data, vocabulary, cache, neighbours):
    strange = replace(neighbours, similar_id=np.full(len(neighbours.sent_id), 4711))
    with pytest.raises(ValueError, match="name image 4711, which unc does not hold"):
        ReferDataset(data, "train", vocabulary, 20, cache, strange)


def test_an_unknown_split_is_refused(data, vocabulary, cache):
    with pytest.raises(ValueError, match="unc has no split 'test': choose one of train, val"):
        ReferDataset(data, "test", vocabulary, 20, cache)
