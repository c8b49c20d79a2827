"""Stage 1: every search gives the answer of a slow and obvious reference, and the same one."""

import numpy as np
import pytest
import torch

from tvnet.retrieval import fast, retrieve, two_stage
from tvnet.retrieval.fast import PRECISIONS, Fast, probe, rate
from tvnet.retrieval.plain import Faiss, Sparse, micro_similarity
from tvnet.retrieval.retrieve import searching
from tvnet.retrieval.rules import BLANK, Pool, tie_keys
from tvnet.retrieval.two_stage import candidates, of_sentences, through_ties


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sparse(keys):
    from scipy.sparse import csr_matrix

    return Sparse(csr_matrix(keys, dtype=np.float64))


SEARCHES = {"faiss": Faiss, "sparse": sparse} | {
    p: lambda keys, p=p: Fast(keys, p) for p in PRECISIONS
}
FAST = [p for p in PRECISIONS if rate(p, size=(16, 32, 64)) > 0]  # those that this torch can do


class Problem:
    """Queries and a pool over a few texts, so that there are many exact ties."""

    def __init__(self, seed=0, queries=30, keys=80, images=25, texts=14, d=6):
        rng = np.random.default_rng(seed)
        self.vectors = unit(rng.normal(size=(texts, d)))
        self.vectors[1] = self.vectors[0]  # two texts that nothing can tell apart
        self.own_text = rng.integers(texts, size=queries)
        self.own = rng.integers(images, size=queries)
        text = rng.integers(texts, size=keys)
        self.pool = Pool(
            self.vectors, text, rng.integers(images, size=keys), tie_keys(np.arange(keys), 0)
        )

    def answer(self, search, k, ties="hash"):
        keys = self.pool.vectors
        queries = keys
        if search == "sparse":
            from scipy.sparse import csr_matrix

            queries = csr_matrix(keys, dtype=np.float64)
        searching = SEARCHES[search](keys)
        best = candidates(queries, self.pool, k, searching, ties)
        return of_sentences(best, self.own_text, self.own, k)

    def reference(self, k):
        """One query at a time, one key at a time."""
        wide, lines = self.vectors.astype(np.float64), []
        for text, own in zip(self.own_text, self.own, strict=True):
            scored = sorted(
                (-round(float(wide[text] @ wide[key]), 6), int(tie), int(image))
                for key, tie, image in zip(
                    self.pool.text, self.pool.tie, self.pool.image, strict=True
                )
                if image != own
            )
            line = {}
            for score, _, image in scored:
                line.setdefault(image, -score)
            line = [*line.items(), *([(BLANK, 0)] * k)][:k]
            lines.append(line)
        lines = np.array(lines)
        return lines[..., 0].astype(int), lines[..., 1].astype(np.float32)


@pytest.mark.parametrize("search", ["faiss", "sparse", *FAST])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_every_search_agrees_with_the_reference(search, k):
    for seed in range(4):
        problem = Problem(seed)
        found, score = problem.answer(search, k)
        image, similarity = problem.reference(k)
        assert np.array_equal(found, image) and np.array_equal(score, similarity)


@pytest.mark.parametrize("search", ["faiss", *FAST])
def test_a_long_list_of_texts_needs_no_complete_search(search):
    """More texts than a shortlist holds: the certificate decides, and decides right."""
    rng = np.random.default_rng(2)
    problem = Problem(3, queries=60, keys=900, images=200, texts=600, d=24)
    problem.pool.vectors[:] = unit(problem.vectors + 3 * rng.normal(size=24))  # a narrow cone
    image, similarity = problem.reference(10)
    found, score = problem.answer(search, 10)
    assert np.array_equal(found, image) and np.array_equal(score, similarity)


@pytest.mark.parametrize("search", ["faiss", "sparse", *FAST])
def test_texts_that_tie_beyond_a_shortlist_are_all_seen(search):
    """300 texts that nothing can tell apart: the hash decides among all of their images."""
    problem = Problem(5, queries=12, keys=400, images=120, texts=303, d=5)
    problem.pool.vectors[3:] = problem.pool.vectors[3]
    image, similarity = problem.reference(10)
    found, score = problem.answer(search, 10)
    assert np.array_equal(found, image) and np.array_equal(score, similarity)


@pytest.mark.parametrize("block", [1, 1000])
def test_neither_block_nor_tile_nor_order_nor_threads_matter(block, monkeypatch):
    problem = Problem(1, texts=40, keys=300, d=40)
    expected = problem.answer("float32", 8)
    order = np.random.default_rng(5).permutation(300)
    pool = problem.pool
    problem.pool = Pool(pool.vectors, pool.text[order], pool.image[order], pool.tie[order])
    monkeypatch.setattr(fast, "TILE", 16)
    monkeypatch.setattr(
        two_stage, "_blocks", lambda rows, _, cut=two_stage._blocks: cut(rows, block)
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if block == 1000 else 1)
    try:
        for search in FAST:
            found = problem.answer(search, 8)
            assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("count", [5, 64, 700, 3000, 3011])
def test_the_largest_are_found_wherever_they_stand(count):
    rng = np.random.default_rng(count)
    for values in (rng.normal(size=(9, count)), rng.integers(4, size=(9, count))):
        top, at = fast.largest(torch.from_numpy(values), 10)
        expected = -np.sort(-values, axis=1)[:, :10]
        assert np.array_equal(-np.sort(-top.numpy(), axis=1), expected)
        assert np.array_equal(np.take_along_axis(values, at.numpy(), axis=1), top.numpy())
        assert all(len(set(line)) == top.shape[1] for line in at.tolist())


def bert_like(rng, n, d=768):
    """Mean cosine 0.987 and three outlier dimensions, worse than BERT's own."""
    centre = rng.normal(size=d) * 0.5
    centre[[5, 100, 400]] = (60, -40, 30)
    spread = np.ones(d)
    spread[[5, 100, 400]] = 3
    topics = rng.normal(size=(4, d))  # hundreds of keys each
    rows = centre + spread * 0.22 * (topics[rng.integers(4, size=n)] + rng.normal(size=(n, d)))
    return unit(rows)


def first_pass_recall(precision, keys, queries, k=20, width=48):
    near, _, _ = Fast(keys, precision).shortlist(queries, width)
    true = np.argsort(-(queries @ keys.T), axis=1)[:, :k]
    return np.mean([len(set(t) & set(n)) / k for t, n in zip(true, near, strict=True)])


@pytest.mark.parametrize("precision", [p for p in FAST if p != "float32"])
def test_low_precision_finds_all_on_outlier_dimensions_because_it_is_centred(
    precision, monkeypatch
):
    rng = np.random.default_rng(0)
    keys = bert_like(rng, 1200)
    queries = keys[:32]
    assert 0.97 < np.mean(queries @ keys.T) < 0.995
    assert first_pass_recall(precision, keys, queries) == 1.0
    monkeypatch.setattr(Fast, "_centre", lambda self: torch.zeros(768))
    assert first_pass_recall(precision, keys, queries) < 0.9


@pytest.mark.parametrize("precision", FAST)
def test_no_key_left_out_exceeds_the_ceiling(precision):
    """The certificate itself, on easy and on hard vectors."""
    rng = np.random.default_rng(4)
    for keys in (unit(rng.normal(size=(800, 33))), bert_like(rng, 800)):
        queries = keys[::25]
        near, micro, ceiling = Fast(keys, precision).shortlist(queries, 30)
        everything = np.broadcast_to(np.arange(800), (len(queries), 800))
        left_out = micro_similarity(queries, keys, everything)
        np.put_along_axis(left_out, near, -(10**9), axis=1)
        assert (left_out.max(axis=1) <= ceiling).all()
        assert np.median(ceiling - left_out.max(axis=1)) < 30_000  # and it is worth something


@pytest.mark.parametrize("precision", [p for p in FAST if p != "float32"])
def test_a_query_that_the_certificate_refuses_is_done_again(precision, monkeypatch):
    """Keys closer together than the few bits can tell: right all the same, by the exact search."""
    rng = np.random.default_rng(6)
    problem = Problem(3, queries=20, keys=400, images=90, texts=300, d=64)
    close = rng.normal(size=64) + 1e-3 * rng.normal(size=(300, 64))
    problem.pool.vectors[:] = unit(np.concatenate([close[:299], -close[299:]]))
    redone = []
    exact = Fast.exact.func
    monkeypatch.setattr(Fast, "exact", property(lambda self: redone.append(1) or exact(self)))
    image, similarity = problem.reference(10)
    found, score = problem.answer(precision, 10)
    assert redone and np.array_equal(found, image) and np.array_equal(score, similarity)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_way_of_a_gpu_gives_the_same_answers(precision, monkeypatch):
    """All that runs on a GPU but its product, which takes bfloat16 in and gives float32."""
    monkeypatch.setattr(
        fast, "product", lambda q, k, out: torch.mm(q.float(), k.float().T, out=out)
    )
    problem = Problem(3, queries=60, keys=900, images=200, texts=600, d=24)
    image, similarity = problem.reference(10)
    search = Fast(problem.vectors, precision, "cpu:0")  # not "cpu", so that it counts as another
    best = candidates(problem.vectors, problem.pool, 10, search)
    found, score = of_sentences(best, problem.own_text, problem.own, 10)
    assert np.array_equal(found, image) and np.array_equal(score, similarity)
    assert fast.out_dtype(precision, "cuda") == torch.float32 and probe("cuda") == "bfloat16"


def test_the_sums_of_a_gpu_are_those_of_the_cpu():
    rng = np.random.default_rng(7)
    keys = unit(rng.normal(size=(90, 48)))
    near = rng.integers(90, size=(5, 11))
    there = Fast(keys, "float32")._micro_on_device(
        torch.from_numpy(keys[:5]), torch.from_numpy(near)
    )
    assert np.array_equal(there.numpy(), micro_similarity(keys[:5], keys, near))


def test_ties_can_all_come_through_and_the_image_decides():
    """One text in many images: with ties="all" the best of them is chosen, whatever the hash."""
    rng = np.random.default_rng(8)
    vectors = unit(np.array([[1, 0, 0], [0.9, 0.4, 0], [0, 0, 1.0]]))
    text = np.array([1] + [0] * 30 + [2] * 5)
    image = np.arange(36)
    pool = Pool(vectors, text, image, tie_keys(image, 0))
    features = unit(rng.normal(size=(36, 12)))
    own, own_text, k = np.array([7, 20]), np.array([1, 0]), 6
    for search in ("faiss", "float32"):
        best = candidates(vectors, pool, k, SEARCHES[search](vectors), "all")
        found, _ = of_sentences(best, own_text, own, k)
        found = through_ties(best, own_text, own, found, image, features)
        like = features @ features[own].T
        tied = [i for i in range(1, 31) if i != 7]
        assert found[0].tolist() == [0, *sorted(tied, key=lambda i: -like[i, 0])[:5]]
        tied = [i for i in range(1, 31) if i != 20]
        assert found[1].tolist() == sorted(tied, key=lambda i: -like[i, 1])[:6]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 0}, "k is 0: ask for at least one candidate"),
        ({"ties": "some"}, "There is no rule 'some' for ties: choose one of hash, all"),
        ({"precision": "float16"}, "There is no precision 'float16': choose auto, int8"),
    ],
)
def test_what_cannot_be_searched_is_named(change, words):
    problem = Problem()
    given = {"k": 3, "ties": "hash", "precision": "float32"} | change
    with pytest.raises(ValueError, match=words):
        search = Fast(problem.vectors, given["precision"])
        candidates(problem.vectors, problem.pool, given["k"], search, given["ties"])


def test_the_search_is_the_fastest_here_unless_one_is_asked_for(monkeypatch):
    assert probe() in FAST
    keys = Problem().vectors
    for fastest, kind in (("float32", Faiss), ("int8", Fast), ("bfloat16", Fast)):
        monkeypatch.setattr(retrieve, "probe", lambda fastest=fastest: fastest)
        monkeypatch.setattr(fast, "probe", lambda _, fastest=fastest: fastest)
        assert type(searching(keys)) is kind and type(searching(keys, "plain")) is Faiss
        assert getattr(searching(keys), "precision", "float32") == fastest
        assert searching(keys, "bfloat16").precision == "bfloat16"
