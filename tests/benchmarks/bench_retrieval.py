"""Both stages against faiss on all sentences and against the loops that people write.

python tests/benchmarks/bench_retrieval.py [--count 100000]

Keys are all there; queries are a sample, and its time is scaled to all. Results are compared
before anything is timed.
"""

import argparse

from timing import FAST, interleaved, peak, say  # first: it limits the threads

import faiss  # isort: skip
import numpy as np
import torch
import torch.nn.functional as F
from synthetic import repetitions, texts, vectors

from tvnet.retrieval.ranking import (
    Pool,
    candidates,
    hashes,
    images_of_texts,
    most_similar,
    of_sentences,
)
from tvnet.retrieval.search import OnGpu, search_over

D, K, SAMPLE = 768, 20, 1024


def stage_one(count: int, unique: int, target: float) -> None:
    """faiss on all sentences / ours on the different texts."""
    rng = np.random.default_rng(0)
    rows = vectors(texts(unique, rng), D, rng)
    text, image = repetitions(count, unique, rng), rng.integers(20_000, size=count)
    pool = Pool(rows, text, image, hashes(range(count)))
    some = np.sort(rng.choice(unique, SAMPLE, replace=False))
    search = search_over(rows)
    ours, product = (candidates(rows[some[:64]], pool, K, s) for s in (search, OnGpu(rows, "cpu")))
    for name in ("start", "image", "value"):
        assert np.array_equal(getattr(ours, name), getattr(product, name))

    every = rows[text]
    index = faiss.IndexFlatIP(D)
    index.add(every)
    asked = every[rng.choice(count, SAMPLE, replace=False)]
    seconds = interleaved(
        {
            "faiss": lambda: index.search(asked, K),
            "ours": lambda: candidates(rows[some], pool, K, search),
            "images": lambda: images_of_texts(pool, K + 1),
        }
    )
    best = candidates(rows[some], pool, K, search)
    own_text = rng.integers(SAMPLE, size=count)
    once = interleaved({"": lambda: of_sentences(best, own_text, image, K)}, rounds=1)[""]
    plain = seconds["faiss"] / SAMPLE * count
    total = (seconds["ours"] - seconds["images"]) / SAMPLE * unique + seconds["images"] + once
    floor, share = 2 * D * unique * unique / peak("float32"), unique / count
    print(
        f"\nStage 1, N = Q = {count:,}, {share:.0%} unique: faiss {plain:.0f} s, ours {total:.0f} s"
    )
    limit = f"limit here {plain / floor:.1f}x: the product alone, at the peak of float32"
    say(f"faiss IndexFlatIP / ours, {share:.0%} unique", plain / total, target, limit)


def stage_two(d: int, images: int = 8000, queries: int = 4096) -> None:
    """The per-query loop / ours; 52 % of the queries have a text of their own."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(images, d)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    unique = int(0.52 * queries)
    text = repetitions(queries, unique, rng)
    found = np.stack([rng.choice(images, K, replace=False) for _ in range(unique)])[text]
    own, ids = rng.integers(images, size=queries), np.arange(images)
    there = torch.from_numpy(features)

    def loop():
        answers = []
        for query, line in zip(own, torch.from_numpy(found), strict=True):
            answers.append(F.cosine_similarity(there[query][None], there[line]).argmax())
        return torch.stack(answers).numpy()

    def ours():
        return most_similar(own, found, ids, features)[0]

    assert (loop() == ours()).mean() > 0.999  # float32 in another order: near ties may differ
    gathered = np.empty((K, d), np.float32)

    def gather():  # what must be read from memory, whatever is done with it
        for row in found[np.unique(text, return_index=True)[1]]:
            np.take(features, row, axis=0, out=gathered, mode="clip")

    seconds = interleaved({"loop": loop, "ours": ours, "gather": gather})
    bound = seconds["loop"] / seconds["gather"]
    print(f"\nStage 2, {d}-d: {seconds['ours'] / queries * 1e6:.0f} us a query")
    limit = f"limit here {bound:.1f}x: gathering each text's candidates once"
    say(f"per-query loop / ours, {d}-d", seconds["loop"] / seconds["ours"], 4, limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000 if FAST else 100_000)
    count = parser.parse_args().count
    faiss.omp_set_num_threads(1)
    stage_one(count, int(0.522 * count), 3.4)
    stage_one(count, count, 0.98)
    stage_two(4096)
    stage_two(512)


if __name__ == "__main__":
    main()
