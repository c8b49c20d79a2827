"""What it costs in accuracy to keep the sentences of one image side by side (D42).

    python -m tvnet.experiment.grouped --data data/miniref --out out --steps 1000 --seeds 3

Grouped batches make a trained backbone cheaper, because an image's maps are computed once for
all its sentences; but the sentences of a batch are then less varied. Each seed trains a Baseline
twice from the same weights, once in each order, and counts both on the evaluated split.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tvnet.experiment.ablation import row_settings
from tvnet.experiment.evaluation import evaluate
from tvnet.experiment.metrics import counters, figures
from tvnet.experiment.prepare import prepare
from tvnet.experiment.processes import workers
from tvnet.experiment.results import provenance, write_json
from tvnet.experiment.training import train
from tvnet.settings import Settings, as_dict, settings


def one(settings: Settings, seed: int, data_dir: Path, out_dir: Path) -> dict:
    """The counters of one run, on the evaluated split."""
    ready = prepare(settings, data_dir, out_dir)
    trained = ready.dataset(settings, settings.data.train_split)
    model = train(settings, trained, ready.features, seed, ready.start)
    held_out = ready.dataset(settings, settings.data.eval_split)
    count = counters(evaluate(model, held_out, ready.features)["clean"])
    return {"grouped": settings.training.grouped, "seed": seed, "counters": count}


def compare(settings: Settings, seeds: int, data_dir: Path, out_dir: Path, processes: int) -> dict:
    """Both orders for every seed, and grouped minus plain, paired by seed, in percent."""
    chosen = row_settings(settings, "Baseline")
    prepare(chosen, data_dir, out_dir)  # the caches once
    with workers(processes) as pool:
        waiting = [
            pool.submit(
                one, replace(chosen, training=replace(chosen.training, grouped=grouped)),
                seed, data_dir, out_dir,
            )
            for seed in range(seeds)
            for grouped in (False, True)
        ]  # fmt: skip
        runs = [future.result() for future in waiting]
    pairs = zip(runs[0::2], runs[1::2], strict=True)
    tables = [(figures(plain["counters"]), figures(side["counters"])) for plain, side in pairs]
    differences = {
        name: [round(side[name] - plain[name], 2) for plain, side in tables]
        for name in ("prec_0.5", "overall_iou", "mean_iou")
    }
    about = {"settings": as_dict(chosen), "provenance": provenance()}
    return {"runs": runs, "grouped minus plain": differences, **about}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    profile = settings(options.profile)
    budget = replace(profile.training, steps=options.steps, trunk_steps=0)
    profile = replace(profile, training=budget)
    found = compare(profile, options.seeds, options.data, options.out, options.processes)
    write_json(options.out / "grouped.json", found)
    print(found["grouped minus plain"])


if __name__ == "__main__":
    main()
