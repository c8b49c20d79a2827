"""What each row of Table 1 costs beside the Baseline: parameters, arithmetic, time of a step."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from tvnet.model.summary import costs
from tvnet.rows import TABLE1, row_settings
from tvnet.settings import Settings
from tvnet.training.loop import train
from tvnet.training.processes import workers
from tvnet.training.setup import prepare


def row_costs(
    settings: Settings, data_dir: Path, out_dir: Path, steps: int = 20
) -> dict[str, dict]:
    """{row: {"parameters", "GFLOP" of a forward pass, "step" in seconds}}, without the backbone.

    A step is the median of `steps` real training steps, in processor time of one thread, so that
    other work on the machine hardly counts.
    """
    found = {}
    with workers(1) as alone:
        for row in TABLE1:
            found[row] = alone.submit(_costs, settings, row, data_dir, out_dir, steps).result()
    return found


def _costs(settings: Settings, row: str, data_dir: Path, out_dir: Path, steps: int) -> dict:
    chosen = row_settings(settings, row)
    ready = prepare(chosen, data_dir, out_dir)
    bill = costs(chosen, len(ready.vocabulary))
    head = [cost for part, cost in bill.items() if part != "backbone"]
    times: list[float] = []
    train(
        chosen, ready.dataset(chosen, chosen.data.train_split), ready.features, seed=0,
        last=steps, report=lambda *_: times.append(time.process_time()),
    )  # fmt: skip
    return {
        "parameters": sum(cost.parameters for cost in head),
        "GFLOP": sum(cost.flop for cost in head) / 1e9,
        "step": median(later - t for t, later in pairwise(times[2:])),  # the first ones warm up
    }
