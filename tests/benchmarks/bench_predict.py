"""A new expression on a known picture, and a picture's first one, against one forward pass.

    python tests/benchmarks/bench_predict.py

One forward pass is the shipped Baseline+RES+AMF on maps that are there. Interleaved in one process,
one thread, CPU time, medians. A cold expression is the first that asks for its candidates, so that
stage 2 has to look at up to k pictures; a warm one finds them looked at.
"""

from __future__ import annotations

import itertools
import time
from statistics import median

from timing import interleaved, say

import torch  # isort: skip

from tvnet.examples import examples
from tvnet.predict import load
from tvnet.retrieval.online import Online


def main() -> None:
    torch.set_num_threads(1)
    predictor = load()
    chosen = examples()
    seen = [predictor.see(example.path) for example in chosen]
    for picture in seen:
        for example in chosen:
            predictor(picture, example.expression)
    whole = predictor(seen[0], chosen[0].expression)
    turn = itertools.cycle(itertools.product(seen, [example.expression for example in chosen]))
    paths = itertools.cycle(example.path for example in chosen)
    sight = predictor.sight
    cold = Online(sight.data, sight.chosen, sight.online.text, sight.online.image)

    def cold_retrieval() -> None:
        cold._seen.clear()
        picture, text = next(turn)
        cold(text, sight.glance(picture))

    seconds = interleaved(
        {
            "forward": lambda: predictor._masks(whole.seen, whole.similar, [whole.words]),
            "warm": lambda: predictor(*next(turn)),
            "picture": lambda: predictor.see(next(paths)),
            "cold": cold_retrieval,
            "words": lambda: predictor.without_each_word(whole),
        },
        rounds=25,
    )
    one = seconds["forward"]
    print(f"one forward pass: {one * 1e3:.1f} ms")
    for name, told in (
        ("warm", "a new expression, its candidates known"),
        ("picture", "a new picture: read it, compute its maps"),
        ("cold", "retrieval, no candidate known"),
        ("words", f"each of {len(whole.words)} words left out"),
    ):
        print(f"{told:48}{seconds[name] * 1e3:8.1f} ms{seconds[name] / one:8.1f} forward passes")

    fresh = [predictor.see(example.path) for example in chosen]
    sight.online._seen.clear()
    waits = []
    for picture, example in zip(fresh, chosen, strict=True):
        began = time.perf_counter()
        predictor(picture, example.expression)
        waits.append(time.perf_counter() - began)
    say("new expressions a second, cold, wall clock", 1 / median(waits), 1, "the issue's limit")


if __name__ == "__main__":
    main()
