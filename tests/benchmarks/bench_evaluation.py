"""From logits to the integers of IoU at a picture's own size, against prior work's way.

    python tests/benchmarks/bench_evaluation.py

Prior work thresholds, resizes every mask with scikit-image and sums numpy's logical and / or of
floats. scikit-image is no dependency of the project: `make bench` installs it.
"""

import sys

import numpy as np
import torch
from timing import FAST, interleaved, say

from tvnet.data.images import placement
from tvnet.evaluation import evaluate as evaluation

SIZE, HEIGHT, WIDTH, MASKS = 320, 480, 640, 4 if FAST else 24


def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    """Logits of one noisy blob each, and a true mask in the column order of the mask store."""
    dice = np.random.default_rng(0)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    place, found = placement(HEIGHT, WIDTH, SIZE), []
    for _ in range(MASKS):
        up, left = dice.uniform(100, 220, 2)
        tall, wide = dice.uniform(15, 60, 2)
        blob = 4 - 4 * np.hypot((y - up) / tall, (x - left) / wide)
        logits = (blob + dice.normal(0, 0.2, blob.shape)).astype(np.float32)
        truth = evaluation.clean(torch.from_numpy(np.roll(logits, 6, 1))[None, None], place)
        found.append((logits, np.asfortranarray(truth)))
    return found


def prior_way(resize, threshold_first: bool):
    """Counts (I, U) of a mask as CMPC's evaluation does, or with the threshold last."""
    place = placement(HEIGHT, WIDTH, SIZE)
    side = max(HEIGHT, WIDTH)
    top, left = (side - HEIGHT) // 2, (side - WIDTH) // 2

    def counts(logits: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
        if threshold_first:
            square = resize((logits >= 1e-9).astype(np.float32), (side, side), order=1)
            mask = square[top : top + HEIGHT, left : left + WIDTH]
        else:
            mask = resize(logits[place.inner], (HEIGHT, WIDTH), order=1, mode="edge")
        mask = mask if threshold_first else mask > 0  # CMPC leaves its resized mask a float
        both, either = np.logical_and(mask, truth), np.logical_or(mask, truth)
        return int(both.sum()), int(either.sum())

    return counts


def our_way(evaluator):
    """The same from packed bits."""
    place = placement(HEIGHT, WIDTH, SIZE)

    def counts(logits: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
        packed, mask = evaluation.pack(truth), evaluator(logits, place)
        both = evaluation.count(mask & packed)
        return both, evaluation.count(mask) + evaluation.count(packed) - both

    return counts


def main() -> None:
    try:
        from skimage.transform import resize
    except ModuleNotFoundError:
        sys.exit("Nothing was measured: `pip install -e '.[bench]'` first, as `make bench` does.")
    pairs = examples()
    for name, target in (("parity", 40.0), ("clean", 10.0)):
        ways = {
            "prior": prior_way(resize, name == "parity"),
            "ours": our_way(evaluation.EVALUATORS[name]),
        }
        integers = {way: [counts(*pair) for pair in pairs] for way, counts in ways.items()}
        equal = sum(a == b for a, b in zip(*integers.values(), strict=True))
        assert equal == len(pairs), f"{name}: {len(pairs) - equal} of {len(pairs)} masks differ"
        seconds = interleaved(
            {way: lambda c=counts: [c(*pair) for pair in pairs] for way, counts in ways.items()}
        )
        each = "{:.2f} ms against {:.2f} ms a mask, same integers".format(
            *(1000 * seconds[way] / len(pairs) for way in ("prior", "ours"))
        )
        say(f"{name}: scikit-image / packed bits", seconds["prior"] / seconds["ours"], target, each)


if __name__ == "__main__":
    main()
