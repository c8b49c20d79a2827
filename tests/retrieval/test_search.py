"""Stage 1: every search gives the answer of a slow and obvious reference, and the same one."""

import numpy as np
import pytest
import torch

from tvnet.data.images import BLANK
from tvnet.retrieval import search
from tvnet.retrieval.ranking import (
    Pool,
    candidates,
    hashes,
    of_sentences,
    through_ties,
)
from tvnet.retrieval.search import Faiss, OnGpu, Sparse, micro_similarity, search_over
from tvnet.settings import RetrievalSettings


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sparse(rows):
    from scipy.sparse import csr_matrix

    return csr_matrix(rows, dtype=np.float64)


def answer(kind, vectors, pool, k, ties="hash"):
    """The candidates of every text; "gpu" is all that runs on one, here on the CPU."""
    make = {"faiss": Faiss, "gpu": lambda keys: OnGpu(keys, "cpu"), "sparse": Sparse}[kind]
    if kind == "sparse":
        vectors = sparse(vectors)
        pool = Pool(vectors, pool.text, pool.image, pool.tie)
    return candidates(vectors, pool, k, make(pool.vectors), ties)


def exact_search(vectors, pool, own_text, own, k):
    """One query at a time, one key at a time, in float64: what every search has to equal."""
    wide, lines = vectors.astype(np.float64), []
    for text, image in zip(own_text, own, strict=True):
        scored = sorted(
            (-round(float(wide[text] @ wide[key]), 6), int(tie), int(other))
            for key, tie, other in zip(pool.text, pool.tie, pool.image, strict=True)
            if other != image
        )
        line = {}
        for score, _, other in scored:
            line.setdefault(other, -score)
        lines.append([*line.items(), *([(BLANK, 0)] * k)][:k])
    lines = np.array(lines)
    return lines[..., 0].astype(int), lines[..., 1].astype(np.float32)


class Problem:
    """Queries and a pool over a few texts, so that there are many exact ties."""

    def __init__(self, seed=0, queries=30, keys=80, images=25, texts=14, d=6):
        rng = np.random.default_rng(seed)
        self.vectors = unit(rng.normal(size=(texts, d)))
        self.vectors[1] = self.vectors[0]  # two texts that nothing can tell apart
        self.own_text = rng.integers(texts, size=queries)
        self.own = rng.integers(images, size=queries)
        text, image = rng.integers(texts, size=keys), rng.integers(images, size=keys)
        self.pool = Pool(self.vectors, text, image, hashes(range(keys)))

    def answer(self, kind, k):
        return of_sentences(answer(kind, self.vectors, self.pool, k), self.own_text, self.own, k)

    def compare(self, kind, k):
        found = self.answer(kind, k)
        exact = exact_search(self.vectors, self.pool, self.own_text, self.own, k)
        assert np.array_equal(found[0], exact[0]) and np.array_equal(found[1], exact[1])


@pytest.mark.parametrize("kind", ["faiss", "gpu", "sparse"])
class TestEverySearch:
    @pytest.mark.parametrize("k", [1, 5, 40])
    def test_equals_exact_search(self, kind, k):
        for seed in range(4):
            Problem(seed).compare(kind, k)

    def test_equals_it_on_a_narrow_cone_of_more_texts_than_a_shortlist_holds(self, kind):
        problem = Problem(3, queries=60, keys=900, images=200, texts=600, d=24)
        rng = np.random.default_rng(2)
        problem.vectors[:] = unit(problem.vectors + 3 * rng.normal(size=24))
        problem.compare(kind, 10)

    def test_equals_it_where_float32_cannot_tell_the_texts_apart(self, kind):
        """300 texts that nothing can tell apart, 299 more that float32 hardly can."""
        problem = Problem(5, queries=12, keys=800, images=120, texts=603, d=5)
        problem.vectors[3:303] = problem.vectors[3]
        noise = np.random.default_rng(6).normal(size=(300, 5))
        problem.vectors[303:] = unit(problem.vectors[2] + 2e-4 * noise)
        problem.compare(kind, 10)


@pytest.mark.parametrize("size", [1, 1000])
def test_neither_block_nor_tile_nor_order_nor_threads_matter(size, monkeypatch):
    problem = Problem(1, texts=40, keys=300, d=40)
    expected = problem.answer("faiss", 8)
    order = np.random.default_rng(5).permutation(300)
    pool = problem.pool
    problem.pool = Pool(pool.vectors, pool.text[order], pool.image[order], pool.tie[order])
    monkeypatch.setattr(OnGpu, "tile", 16)
    for kind in (Faiss, OnGpu, Sparse):
        monkeypatch.setattr(kind, "block", size)
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if size == 1000 else 1)
    try:
        for kind in ("faiss", "gpu", "sparse"):
            found = problem.answer(kind, 8)
            assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("make", [Faiss, lambda keys: OnGpu(keys, "cpu")])
def test_no_text_left_out_exceeds_the_ceiling(make):
    rng = np.random.default_rng(4)
    centre = 60 * np.eye(768)[5]  # a cone, as the embeddings of transformers lie in
    for keys in (unit(rng.normal(size=(800, 33))), unit(centre + rng.normal(size=(800, 768)))):
        near, micro, ceiling = make(keys).shortlist(keys[::25], 30)
        every = np.broadcast_to(np.arange(800), (32, 800))
        left_out = micro_similarity(keys[::25], keys, every)
        np.put_along_axis(left_out, near, -(10**9), axis=1)
        assert (left_out.max(axis=1) <= ceiling).all()
        assert (ceiling <= micro.min(axis=1) + 200).all()  # and it is worth something


def test_an_unsettled_query_is_searched_again_with_a_longer_list(monkeypatch):
    problem, widths = Problem(5, queries=12, keys=400, images=120, texts=303, d=5), []
    problem.vectors[3:] = problem.vectors[3]
    right = Faiss.shortlist
    monkeypatch.setattr(
        Faiss, "shortlist", lambda self, *given: widths.append(given[1]) or right(self, *given)
    )
    problem.compare("faiss", 10)
    assert sorted(set(widths)) == [15, 60, 240, 303]


def test_a_process_may_have_nothing_to_search_for():
    problem = Problem()
    best = candidates(problem.vectors[:0], problem.pool, 3, Faiss(problem.vectors))
    assert best.start.tolist() == [0] and len(best.image) == len(best.value) == 0


def test_similarities_in_millionths_depend_on_two_rows_alone(monkeypatch):
    keys = unit(np.random.default_rng(7).normal(size=(900, 48)))
    every = np.broadcast_to(np.arange(900), (3, 900))
    whole = micro_similarity(keys[:3], keys, every)
    exact = np.rint(keys[:3].astype(np.float64) @ keys.T.astype(np.float64) * 1e6)
    assert np.abs(whole - exact).max() == 0
    monkeypatch.setattr(search, "GATHERED", 7)
    assert np.array_equal(micro_similarity(keys[:3], keys, every), whole)


def test_ties_can_all_come_through_and_the_image_decides():
    """One text in many images: with ties="all" the best of them is chosen, whatever the hash."""
    rng = np.random.default_rng(8)
    vectors = unit(np.array([[1, 0, 0], [0.9, 0.4, 0], [0, 0, 1.0]]))
    image = np.arange(36)
    pool = Pool(vectors, np.array([1] + [0] * 30 + [2] * 5), image, hashes(image))
    features = unit(rng.normal(size=(36, 12)))
    own, own_text, k = np.array([7, 20]), np.array([1, 0]), 6
    for kind in ("faiss", "gpu", "sparse"):
        best = answer(kind, vectors, pool, k, "all")
        found, _ = of_sentences(best, own_text, own, k)
        found = through_ties(best, own_text, own, found, image, features)
        like = features @ features[own].T
        tied = [i for i in range(1, 31) if i != 7]
        assert found[0].tolist() == [0, *sorted(tied, key=lambda i: -like[i, 0])[:5]]
        tied = [i for i in range(1, 31) if i != 20]
        assert found[1].tolist() == sorted(tied, key=lambda i: -like[i, 1])[:6]


def test_two_that_tie_at_the_cut_are_told_apart_by_the_image_for_a_query_outside_the_pool():
    """Then k + 1 images come through, and none of them is the query's own."""
    vectors = unit(np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1.0]]))
    image = np.array([1, 2, 3, 4])
    pool = Pool(vectors, np.array([0, 1, 1, 2]), image, hashes(image))
    ids, own_text, own = np.array([1, 2, 3, 4, 99]), np.array([0]), np.array([99])
    best = answer("faiss", vectors, pool, 2, "all")
    found, _ = of_sentences(best, own_text, own, 2)
    for near, far in ((2, 3), (3, 2)):
        angle = {near: 0.1, far: 1.0, 99: 0}
        features = np.array([[np.cos(angle.get(i, 1.5)), np.sin(angle.get(i, 1.5))] for i in ids])
        kept = through_ties(best, own_text, own, found, ids, features)
        assert kept.tolist() == [[1, near]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 0}, "k is 0: choose a number from 1 to 10000"),
        ({"ties": "some"}, "ties is 'some': choose one of 'hash', 'all'."),
        (
            {"control": "worst"},
            "control is 'worst': choose one of 'none', 'random', 'self'",
        ),
        ({"image": "clip"}, "image is 'clip': choose one of 'backbone', 'vgg16', 'vgg16-pool5'."),
    ],
)
def test_choices_that_there_are_not_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        RetrievalSettings(**change)


def test_the_search_follows_the_rows_and_the_device():
    keys = Problem().vectors
    assert type(search_over(keys)) is Faiss and type(search_over(sparse(keys))) is Sparse
    assert type(search_over(keys, "cpu:0")) is OnGpu
