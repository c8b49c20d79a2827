"""A new expression on a known picture, and a picture's first one, against one forward pass.

    python tests/benchmarks/bench_predict.py

One forward pass is the shipped Baseline+RES+AMF on maps that are there. Interleaved in one process,
one thread, CPU time, medians. A cold expression is the first that asks for its candidates, so that
stage 2 has to look at up to k pictures; a warm one finds them looked at.
"""

import itertools

from timing import FAST, interleaved, say

from tvnet.course.explorer.view import shipped_examples
from tvnet.predictor import load

WARM = "a new expression, its candidates looked at before"
COLD = "a new expression, no candidate looked at before"


def measure(rounds: int = 3 if FAST else 25) -> dict[str, float]:
    """Median CPU seconds of one forward pass, and of what a reader waits for."""
    predictor, forgetful = load(), load()
    data = predictor.retriever.data
    chosen = shipped_examples(data)
    files, texts = [data.pictures[e.image_id].path for e in chosen], [e.text for e in chosen]
    seen = [predictor.encode_image(path) for path in files]
    for picture, text in itertools.product(seen, texts):
        predictor(picture, text)
    whole = predictor(seen[0], texts[0])
    turn, paths = itertools.cycle(itertools.product(seen, texts)), itertools.cycle(files)

    def cold() -> None:
        forgetful.retriever.forget()
        forgetful(*next(turn))

    return interleaved(
        {
            "one forward pass": lambda: predictor._logits(
                whole.encoded, [whole.similar], [whole.words]
            ),
            WARM: lambda: predictor(*next(turn)),
            COLD: cold,
            "a new picture: read it, compute its maps": lambda: predictor.encode_image(next(paths)),
            f"each of {len(whole.words)} words left out": lambda: predictor.without_each_part(
                whole
            ),
        },
        rounds,
    )


def main() -> None:
    seconds = measure()
    one = seconds["one forward pass"]
    for name, value in seconds.items():
        print(f"{name:58}{value * 1e3:8.1f} ms{value / one:8.1f} forward passes")
    limit = "limit 1: the forward pass itself"
    say("forward pass / a new expression, candidates known", one / seconds[WARM], 0.5, limit)
    say("cold expressions a second", 1 / seconds[COLD], 1, "one core; a warm one needs less")


if __name__ == "__main__":
    main()
