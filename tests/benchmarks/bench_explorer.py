"""The explorer with the shipped models: redraws, and new expressions, as a reader would wait.

    python tests/benchmarks/bench_explorer.py

Wall-clock medians, all threads that torch takes. A redraw changes the layer or the opacity and
runs no model. A new expression shows its mask after one pass of the last row, and of the backbone
where the neighbour is new; then come the other rows, and one batch without each word and without
the neighbour.
"""

import time
from collections.abc import Callable, Iterable
from statistics import median

import torch
from timing import say

import tvnet
from tvnet.course.explorer import Explorer
from tvnet.course.explorer.canvas import jpeg, picture_of
from tvnet.course.explorer.layers import LAYERS


def seconds(act: Callable[[object], object], values: Iterable[object]) -> float:
    """Median over the values."""
    taken = []
    for value in values:
        began = time.perf_counter()
        act(value)
        taken.append(time.perf_counter() - began)
    return median(taken)


def measure(explorer: Explorer) -> dict[str, float]:
    """Median seconds of one forward pass, of two pictures as JPEG, of a redraw in each layer, and
    of a new expression."""
    model = list(explorer.predictors.values())[-1]
    found = explorer.view.prediction
    forward = lambda _: model._logits(found.encoded, [found.similar], [list(found.words)])  # noqa: E731
    seconds(forward, range(3))
    measured = {"forward pass": seconds(forward, range(15))}
    panel = picture_of(found.encoded)
    measured["two pictures"] = seconds(lambda _: [jpeg(panel), jpeg(panel)], range(15))
    for layer in LAYERS:
        explorer.choose(layer)
        steps = [(1 + k % 9) / 10 for k in range(15)]
        redraw = lambda opacity: setattr(explorer.opacity, "value", opacity)  # noqa: E731
        measured[f"redraw {layer}"] = seconds(redraw, steps)
    explorer.choose("mask")
    texts = sorted(
        {sentence.text for r in model.retriever.data.referents for sentence in r.sentences}
    )
    asked = texts[:: len(texts) // 20][:20]
    type_in = lambda text: setattr(explorer.expression, "value", text)  # noqa: E731
    measured["new expression"] = seconds(type_in, asked)
    return measured


def main() -> None:
    measured = measure(tvnet.Explorer())
    forward, pictures = measured.pop("forward pass"), measured.pop("two pictures")
    print(f"{torch.get_num_threads()} threads; one forward pass {1000 * forward:.1f} ms")
    for name, value in measured.items():
        print(f"{name:30}{1000 * value:8.1f} ms, {value / forward:6.1f} forward passes")
    new = measured.pop("new expression")
    limit = f"limit here {forward / pictures:.1f}x: writing two pictures as JPEG"
    say("forward pass / slowest redraw", forward / max(measured.values()), 1 / 0.3, limit)
    say("forward pass / a new expression, all of it", forward / new, 1 / 6, "mask and variants")


if __name__ == "__main__":
    main()
