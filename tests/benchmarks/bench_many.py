"""Many pictures against their bare forward passes.

    python tests/benchmarks/bench_many.py

The pictures of MiniRef's val and four of its sentences about each, by the shipped Baseline+RES+AMF
and its pool. Bare are the same passes on tensors that are ready: the backbone once a picture and
once a retrieved picture whose maps are not kept, the model once for a picture's four sentences.
CPU time of one thread; both sides take turns, after every picture of the pool has been looked at.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from timing import FAST, interleaved, say

from tvnet.data import refer
from tvnet.many.pairs import Pair
from tvnet.many.run import predict_many
from tvnet.predictor import Predictor, load

PER_PICTURE, TARGET = 4, 1.15  # everything takes at most so many times its forward passes


def pairs_of(root: Path, dataset: str, pictures: int) -> list[Pair]:
    """Four sentences about each of the first pictures of val that have so many."""
    data, by_image = refer.read(root, dataset), {}
    for sample in data.samples("val"):
        by_image.setdefault(sample.image_id, []).append(sample.text)
    whole = [(i, texts[:PER_PICTURE]) for i, texts in by_image.items() if len(texts) >= PER_PICTURE]
    return [
        Pair(str(image_id), str(image_id), data.pictures[image_id].path, text)
        for image_id, texts in whole[:pictures]
        for text in texts
    ]


class Passes:
    """Every call of the backbone and of the model in one run, to be made again by themselves."""

    def __init__(self, predictor: Predictor, pairs: list[Pair]):
        self.calls = []
        modules = predictor.retriever.backbone, predictor.model
        hooks = [m.register_forward_pre_hook(self._keep, with_kwargs=True) for m in modules]
        with TemporaryDirectory() as folder:
            predict_many(predictor, pairs, Path(folder) / "out")
        for hook in hooks:
            hook.remove()

    def _keep(self, module: torch.nn.Module, arguments: tuple, options: dict) -> None:
        self.calls.append((module, arguments, {**options, "trace": None} if options else {}))

    @torch.no_grad()
    def again(self) -> None:
        for module, arguments, options in self.calls:
            module(*arguments, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref-smoke"))
    parser.add_argument("--pictures", type=int, default=3 if FAST else 12)
    options = parser.parse_args()
    predictor = load()
    pairs = pairs_of(options.data, predictor.retriever.data.name, options.pictures)
    for image_id in set(predictor.retriever.pool.image.tolist()):
        predictor.retriever._of_pool(image_id)
    passes = Passes(predictor, pairs)

    def whole() -> None:
        with TemporaryDirectory() as folder:
            predict_many(predictor, pairs, Path(folder) / "out")

    seconds = interleaved({"forward passes": passes.again, "everything": whole})
    pictures = len({pair.path for pair in pairs})
    print(f"{len(pairs)} pairs on {pictures} pictures, {len(passes.calls)} forward passes")
    for name, value in seconds.items():
        print(f"{name:58}{value:9.2f} s{1e3 * value / len(pairs):9.1f} ms a pair")
    share = seconds["forward passes"] / seconds["everything"]
    say("forward passes / all of predicting many", share, 1 / TARGET, "limit 1: the passes alone")


if __name__ == "__main__":
    main()
