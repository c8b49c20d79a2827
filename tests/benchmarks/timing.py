"""How every benchmark measures: one process, one thread, CPU time, variants taking turns.

Import it before numpy and faiss, which read the number of threads when they are loaded.
FAST=1 in the environment asks for small inputs: a look at whether all is well, not a figure.
"""

import json
import os
import time
from collections.abc import Callable
from statistics import median

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import torch  # noqa: E402

FAST = os.environ.get("FAST") == "1"
torch.set_num_threads(1)  # also where torch was loaded before


def interleaved(variants: dict[str, Callable[[], object]], rounds: int = 3) -> dict[str, float]:
    """Median CPU seconds of each variant; they take turns, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, run in variants.items():
            start = time.process_time()
            run()
            if turn:
                seconds[name].append(time.process_time() - start)
    return {name: median(values) for name, values in seconds.items()}


def peak(precision: str, size: tuple[int, int, int] = (512, 768, 16384)) -> float:
    """Multiplications and additions a second of one large matrix product."""
    queries, d, keys = size
    dtype = getattr(torch, precision)
    left, right = torch.ones(queries, d, dtype=dtype), torch.ones(keys, d, dtype=dtype)
    out = torch.empty(queries, keys, dtype=dtype)
    seconds = interleaved({"product": lambda: torch.mm(left, right.T, out=out)})
    return 2 * queries * d * keys / seconds["product"]


def say(what: str, measured: float, target: float, limit: str, unit: str = "x") -> None:
    """One line of the report: measured, aimed at, and what this machine could at most.

    record.py names a file in TVNET_FIGURES, and the figure is added to it as well.
    """
    reached = "reached" if measured >= target else "NOT reached"
    print(
        f"{what:58}{measured:9.2f}{unit}   target {target:g}{unit}, {reached}; {limit}", flush=True
    )
    if path := os.environ.get("TVNET_FIGURES"):
        figure = {"what": what, "measured": measured, "target": target, "unit": unit}
        with open(path, "a") as file:
            file.write(json.dumps(figure | {"limit": limit}) + "\n")
