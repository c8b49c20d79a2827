"""Rows of Table 1 in one pass: they take turns at each step and share the frozen backbone's maps.

    python -m tvnet.experiment.together --data data/miniref --seed 0

For a device that computes the maps anew, as a GPU does; maps that are kept on disk cost nothing to
share. Each row leaves the very folder of a run of its own, so that an ablation finds it finished.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from torch import Tensor

from tvnet.data import refer
from tvnet.data.dataset import Batch
from tvnet.devices import device_of
from tvnet.experiment.ablation import (
    ROWS,
    look,
    measure,
    recorded,
    row_settings,
    run_folder,
    train_trunk,
)
from tvnet.experiment.features import CachedFeatures, LiveFeatures, Maps
from tvnet.experiment.one_run import command, parser
from tvnet.experiment.prepare import prepare
from tvnet.experiment.training import training_steps
from tvnet.retrieval.build import build
from tvnet.settings import Settings, changed, settings


class Shared:
    """Features that remember the last batch: rows that come to it later need not compute it."""

    def __init__(self, features: CachedFeatures | LiveFeatures):
        self.features, self.backbone, self.pixels = features, features.backbone, features.pixels
        self.key, self.maps = None, None

    def __call__(self, batch: Batch) -> tuple[Maps, Maps | None, Tensor | None]:
        similar = None if batch.similar_id is None else batch.similar_id.tolist()
        ids, known = batch.image_id.tolist(), self.key
        if known is None or known[0] != ids or similar not in (None, known[1]):
            self.key, self.maps = (ids, similar), self.features(batch)
        return self.maps if similar is not None else (self.maps[0], None, None)


def run_together(
    settings: Settings,
    rows: Iterable[str],
    seed: int,
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
) -> list[Path]:
    """Train and evaluate rows with one seed; their folders. Finished ones are left alone.

    Raises ValueError when the backbone is trained: its maps are then each row's own.
    """
    if settings.backbone.train_from != "none":
        raise ValueError(
            f"train_from is {settings.backbone.train_from!r}: rows can share the maps of a frozen "
            "backbone only, run them one by one."
        )
    # A row that reads a retrieved image enters last and so goes first in each turn: the maps that
    # it asks for hold all that the others need.
    rows = sorted(rows, key=lambda row: row_settings(settings, row).model.enrichment)
    folders, runs, shared = [], [], None
    with ExitStack() as stack:
        for row in rows:
            chosen = row_settings(settings, row)
            ready = prepare(chosen, data_dir, out_dir)
            folders.append(run_folder(settings, row, seed, out_dir, ready.data.fingerprint))
            record = recorded(folders[-1], chosen, seed, ready, device)
            if record.result():
                continue
            shared = shared or Shared(ready.features)
            start, first = ready.start, chosen.training.trunk_steps
            if first:
                start = train_trunk(settings, seed, data_dir, out_dir, device)
            progress = stack.enter_context(record.writing())
            dataset = ready.dataset(chosen, chosen.data.train_split)
            steps = training_steps(
                chosen, dataset, shared, seed, start, first, device=device, progress=progress,
                look=look(chosen, ready, device),
            )  # fmt: skip
            runs.append((row, folders[-1], ready, progress, steps))
        for row, folder, ready, progress, model in take_turns(runs):
            measure(folder, row, seed, model, ready, progress, device)
            progress.clear()
    return folders


def take_turns(runs: list[tuple]) -> list[tuple]:
    """One step of each, again and again; the same tuples with a model in place of the steps.

    A run that is asked to stop, or fails, takes the others with it, all of them saved. The seconds
    that it waits for the others do not count as its own.
    """
    models: dict[int, object] = {}
    ended: dict[int, BaseException] = {}
    left: dict[int, float] = {}  # when each had its last turn
    while len(models) + len(ended) < len(runs):
        # The last to enter its folder is the one that hears a signal: it goes first.
        for k, (*_, progress, steps) in reversed(list(enumerate(runs))):
            if k in models or k in ended:
                continue
            progress.asked = progress.asked or bool(ended)
            progress.began += time.perf_counter() - left.get(k, progress.began)
            try:
                next(steps)
            except StopIteration as finished:
                models[k] = finished.value
            except (Exception, SystemExit) as stop:
                ended[k] = stop
            left[k] = time.perf_counter()
    if ended:
        raise next(iter(ended.values()))
    return [(*run[:-1], models[k]) for k, run in enumerate(runs)]


@command
def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__).parse_args(arguments)
    where = options.data, options.out, str(device_of(options.device))
    chosen = changed(settings(options.profile), options.set)
    data = refer.read(options.data, chosen.data.dataset)
    build(chosen, data, options.out, device=where[-1])  # stage one
    print(*run_together(chosen, ROWS, options.seed, *where), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
