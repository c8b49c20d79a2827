"""The neighbour that the annotations choose."""

from dataclasses import replace

import numpy as np
import pytest

from tvnet.data import refer
from tvnet.data.appearance import ALIKE, oracle
from tvnet.data.images import open_image
from tvnet.retrieval.ranking import pool_of


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc+")


def colour(data, sample):
    return np.asarray(open_image(data, sample.image_id))[data.mask(sample.ann_id)].mean(0)


def test_it_shows_a_large_referent_of_the_category_and_nearly_the_colour(data):
    pool, queries = pool_of(data, "train"), data.samples("val")
    images = oracle(queries, pool, data)
    for query, image in zip(queries, images, strict=True):
        assert image != query.image_id
        rivals = {s.ann_id: s for s in pool if s.category_id == query.category_id}
        if not rivals:  # then a referent of any category
            continue
        far = {
            s.image_id: np.square(colour(data, s) - colour(data, query)).sum()
            for s in rivals.values()
        }
        nearest = sorted(far.values())[:ALIKE]
        assert min(f for i, f in far.items() if i == image) <= nearest[-1]


def test_a_training_sentence_never_gets_its_own_image(data):
    pool = pool_of(data, "train")
    assert (oracle(pool, pool, data) != [s.image_id for s in pool]).all()


def test_a_category_that_the_pool_lacks_gets_another(data):
    pool, query = pool_of(data, "train"), data.samples("val")[0]
    stranger = replace(query, category_id=10**6)
    assert oracle([stranger], pool, data)[0] in {s.image_id for s in pool}
