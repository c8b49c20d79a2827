"""Both stages against faiss and against the loops that people write.

python tests/benchmarks/bench_retrieval.py [--count 100000]

Keys are all there; queries are a sample, and its time is scaled to all. Results are compared
before anything is timed.
"""

import argparse

from timing import interleaved, peak, say  # first: it limits the threads

import faiss  # isort: skip
import numpy as np
import torch
import torch.nn.functional as F
from synthetic import repetitions, texts, vectors

from tvnet.retrieval.fast import PRECISIONS, Fast, probe
from tvnet.retrieval.plain import Faiss
from tvnet.retrieval.retrieve import searching
from tvnet.retrieval.rules import Pool, images_of_texts, tie_keys
from tvnet.retrieval.two_stage import candidates, most_similar, of_sentences

D, K, SAMPLE = 768, 20, 1024


def stage_one(count: int, unique: int, targets: tuple[float, float, float | None]) -> None:
    """faiss on all sentences / ours, the usual loop / ours, and our share of the peak rate."""
    rng = np.random.default_rng(0)
    rows = vectors(texts(unique, rng), D, rng)
    text, image = repetitions(count, unique, rng), rng.integers(20_000, size=count)
    pool = Pool(rows, text, image, tie_keys(np.arange(count), 0))
    some = np.sort(rng.choice(unique, SAMPLE, replace=False))
    precision, used = probe(), searching(rows)
    both = (Fast(rows, precision), Faiss(rows))
    ours, reference = (candidates(rows[some[:256]], pool, K, search) for search in both)
    for name in ("start", "image", "value"):
        assert np.array_equal(getattr(ours, name), getattr(reference, name))
    del both

    every = rows[text]
    index = faiss.IndexFlatIP(D)
    index.add(every)
    asked = every[rng.choice(count, SAMPLE, replace=False)]
    keys, single = torch.from_numpy(every), torch.from_numpy(asked)

    def loop():
        for query in single[:3]:
            F.cosine_similarity(query[None], keys).topk(K)

    seconds = interleaved(
        {
            "faiss": lambda: index.search(asked, K),
            "ours": lambda: candidates(rows[some], pool, K, used),
            "loop": loop,
        }
    )
    best = candidates(rows[some], pool, K, used)
    own_text = rng.integers(SAMPLE, size=count)
    once = interleaved(
        {
            "keys": lambda: searching(rows),
            "images": lambda: images_of_texts(pool, K + 1),
            "sentences": lambda: of_sentences(best, own_text, image, K),
        },
        rounds=1,
    )
    of_faiss, of_loop = seconds["faiss"] / SAMPLE * count, seconds["loop"] / 3 * count
    total = seconds["ours"] / SAMPLE * unique + sum(once.values())
    top = peak(precision)
    bound = of_faiss / (2 * D * unique * unique / top)
    share = unique / count
    print(
        f"\nStage 1, N = Q = {count:,}, {share:.0%} unique, {type(used).__name__} in {precision}: "
        f"faiss {of_faiss:.0f} s, ours {total:.0f} s (of which once: {sum(once.values()):.1f} s), "
        f"usual loop {of_loop:.0f} s of one thread"
    )
    limit = f"limit here {bound:.1f}x: {precision} products alone, at their peak"
    say(f"faiss IndexFlatIP / ours, {share:.0%} unique", of_faiss / total, targets[0], limit)
    say("share of the measured peak rate", 2 * D * unique**2 / top / total, targets[1], "limit 1")
    if targets[2]:
        bound *= of_loop / of_faiss
        say("per-query cosine loop / ours", of_loop / total, targets[2], f"limit here {bound:.0f}x")


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
        return most_similar(own, found, ids, features, text)[0]

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
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    faiss.omp_set_num_threads(1)
    rates = {name: peak(name, (64, D, 4096)) / 1e9 for name in PRECISIONS}
    print(
        "Products of this machine, 1e9 operations a second: "
        + ", ".join(f"{name} {value:.0f}" for name, value in rates.items())
        + f". Used: {probe()}. The targets of stage 1 take int8 with VNNI, 4 times as fast as "
        "float32, for granted."
    )
    stage_one(count, int(0.522 * count), (9, 0.70, 2500))
    stage_one(count, count, (2.5, 0.70, None))
    stage_two(4096)
    stage_two(512)


if __name__ == "__main__":
    main()
