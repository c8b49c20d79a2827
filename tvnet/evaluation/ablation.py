"""Table 1: every row times every seed, resumed at the run where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tvnet import process_group
from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.devices import device_of
from tvnet.evaluation.evaluate import evaluate
from tvnet.evaluation.metrics import BINS, PerSentence, by_size, counters, figures
from tvnet.files import read_json, write_json
from tvnet.model.method import Method
from tvnet.model.pretrained import LEAK
from tvnet.results import provenance
from tvnet.rows import CONTROLS, EVERY, ROWS, TABLE1, row_settings
from tvnet.saved_model import save
from tvnet.settings import Settings, as_dict, fingerprint
from tvnet.training.loop import train
from tvnet.training.processes import workers
from tvnet.training.progress import Progress
from tvnet.training.setup import Prepared, prepare

SENTENCES = "sentences.safetensors"
COUNTERS = {"n": int, "intersection": int, "union": int, "hits": list, "iou_sum": float}
RESULT = {
    "row": str,
    "seed": int,
    "settings": dict,
    "data": str,
    "backbone": str,
    "unknown words": dict,
    "parameters": int,
    "loss": list,
    "seconds": dict,
    "metrics": {evaluator: dict.fromkeys(BINS, COUNTERS) for evaluator in ("clean", "parity")},
    "provenance": dict,
}


def run_folder(settings: Settings, row: str, seed: int, out_dir: Path, world: str) -> Path:
    """The folder of one run; its name changes with every setting and with the data."""
    key = fingerprint({"settings": as_dict(row_settings(settings, row)), "data": world})
    return Path(out_dir) / "runs" / f"{settings.profile}-{row.lower()}-seed{seed}-{key}"


def recorded(folder: Path, settings: Settings, seed: int, ready: Prepared, device: str) -> Progress:
    """The record of a run, which another seed, setting or data set may not go on with."""
    data = ready.data.fingerprint
    identity = {"settings": as_dict(settings), "seed": seed, "data": data}
    every = settings.training.snapshot_every
    return Progress(folder, identity, every, process_group.is_main_process(), device)


def run(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, device: str = "cpu"
) -> Path:
    """Train and evaluate one row with one seed; the run's folder. A finished run is left alone.

    Writes a checkpoint and, last, result.json: integer counters per evaluator and size bin.
    """
    chosen = row_settings(settings, row)
    ready = prepare(chosen, data_dir, out_dir)
    folder = run_folder(settings, row, seed, out_dir, ready.data.fingerprint)
    record = recorded(folder, chosen, seed, ready, device)
    if record.result(RESULT):
        return folder
    with record.writing() as progress:
        dataset = ready.dataset(chosen, chosen.data.train_split)
        model = train(
            chosen, dataset, ready.features, seed, ready.start, device=device, progress=progress,
            validate=validation(chosen, ready, device),
        )  # fmt: skip
        measure(folder, row, seed, model, ready, progress, device)
        progress.clear()
    process_group.barrier()
    return folder


def read_result(folder: Path) -> dict:
    """What a finished run found. Raises ValueError where its result.json is damaged."""
    return read_json(folder / "result.json", RESULT, "delete it and run the same again")


def read_sentences(folder: Path) -> PerSentence:
    """The integers behind a finished run's result, evaluator clean, one line a sentence."""
    arrays, _ = load_arrays(folder / SENTENCES)
    return PerSentence(**{name: values.astype(np.int64) for name, values in arrays.items()})


def validation(chosen: Settings, ready: Prepared, device: str) -> Callable[[Method], float]:
    """What a model in training is judged by: overall IoU on the evaluated split, in percent."""
    held_out = ready.dataset(chosen, chosen.data.eval_split)

    def overall_iou(model: Method) -> float:
        found = evaluate(model, held_out, ready.features, device=device)["clean"]
        return figures(counters(found))["overall_iou"]

    return overall_iou


def measure(
    folder: Path,
    row: str,
    seed: int,
    model: Method,
    ready: Prepared,
    progress: Progress,
    device: str,
) -> None:
    """Evaluate a trained model and write its checkpoint, what it found for every sentence, and
    result.json."""
    chosen = model.settings
    began = time.perf_counter()
    held_out = ready.dataset(chosen, chosen.data.eval_split)
    found = evaluate(model, held_out, ready.features, device=device)
    if not process_group.is_main_process():
        return
    seconds = {"train": progress.seconds(), "evaluate": time.perf_counter() - began}
    result = {
        "row": row,
        "seed": seed,
        "settings": as_dict(chosen),
        "data": ready.data.fingerprint,
        "backbone": LEAK[chosen.backbone.weights],
        "unknown words": ready.unknown_words(chosen.data.max_words),
        "parameters": model.count_parameters(),
        "loss": [round(x, 2) for x in progress.losses()],
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "metrics": by_size(found),
        "provenance": provenance(device),
    }
    save(folder, model, ready.vocabulary, ready.features.backbone)
    arrays = {name: values.astype(np.int32) for name, values in vars(found["clean"]).items()}
    save_arrays(folder / SENTENCES, arrays, {"row": row, "seed": seed})
    write_json(folder / "result.json", result)


def ablation(
    settings: Settings,
    seeds: Iterable[int],
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
) -> list[dict]:
    """Rivals and rows times all seeds and, with the first, the controls; finished runs are read.

    One process a core on a CPU, one on a GPU. Every run is a function of its settings and seed,
    so the number of processes changes no result.
    """
    data_dir, out_dir, seeds = Path(data_dir), Path(out_dir), list(seeds)
    device = str(device_of(device))
    for row in ROWS:  # the caches once, before the workers need them
        prepare(row_settings(settings, row), data_dir, out_dir)
    jobs = [(row, seed) for seed in seeds for row in reversed(TABLE1)]  # the longest first
    jobs += [(control, seeds[0]) for control in CONTROLS]
    results = []
    with workers(None if device == "cpu" else 1) as pool:

        def start(task: Callable, *arguments: object) -> Future:
            return pool.submit(task, settings, *arguments, data_dir, out_dir, device)

        waiting = [start(run, *job) for job in jobs]
        with tqdm(total=len(waiting), desc="Table 1", unit="run") as bar:
            for done in as_completed(waiting):
                result = read_result(done.result())
                results.append(result)
                count = result["metrics"]["clean"]["all"]
                precision = 100 * count["hits"][0] / count["n"]
                bar.set_postfix_str(f"{result['row']} {result['seed']}: Prec@0.5 {precision:.1f}")
                bar.update()
    order = list(EVERY)
    return sorted(results, key=lambda r: (order.index(r["row"]), r["seed"]))
