"""Runs of rows of Tables 1 and 2: trained, evaluated, and read again where they have finished."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise, product
from pathlib import Path

import numpy as np

from tvnet import process_group
from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.data.dataset import ReferDataset
from tvnet.data.records import ReferData
from tvnet.evaluation.evaluate import evaluate
from tvnet.evaluation.metrics import BINS, PerSentence, by_size, counters, figures
from tvnet.evaluation.statistics import interval
from tvnet.evaluation.workers import in_parallel, workers
from tvnet.files import read_json, write_json
from tvnet.model.method import Method
from tvnet.model.pretrained import LEAK, PRETRAINED
from tvnet.model.summary import costs, head
from tvnet.model_card import Figure, write_card
from tvnet.provenance import provenance
from tvnet.rows import CONTROLS, EVERY, PRINTED, TABLE1, row_settings
from tvnet.saved_model import save
from tvnet.settings import Settings, as_dict, fingerprint
from tvnet.training.checkpoint import AGAIN, Checkpoints
from tvnet.training.features import digest
from tvnet.training.loop import train
from tvnet.training.setup import Prepared, prepare

SENTENCES = "sentences.safetensors"
MEASURES = ("prec_0.5", "prec_0.8", "overall_iou", "mean_iou")  # of a model card
COUNTERS = {"n": int, "intersection": int, "union": int, "hits": list, "iou_sum": float}
RESULT = {
    "row": str, "seed": int, "settings": dict, "data": str, "backbone": str, "unknown words": dict,
    "parameters": int, "loss": list, "seconds": dict, "provenance": dict,
    "metrics": {evaluator: dict.fromkeys(BINS, COUNTERS) for evaluator in ("clean", "parity")},
}  # fmt: skip


def run_folder(settings: Settings, row: str, seed: int, out_dir: Path, world: str) -> Path:
    """The folder of one run; its name changes with every setting and with the data."""
    key = fingerprint({"settings": as_dict(row_settings(settings, row)), "data": world})
    return Path(out_dir) / "runs" / f"{settings.profile}-{row.lower()}-seed{seed}-{key}"


def checkpoints_of(folder: Path, settings: Settings, seed: int, ready: Prepared) -> Checkpoints:
    """Those of a run, which no run with another seed, setting, data set or backbone can resume."""
    identity = {"settings": as_dict(settings), "seed": seed, "data": ready.data.fingerprint}
    source = PRETRAINED.get(settings.backbone.weights)
    if source and not source.sha256:  # any file may lie there under this name
        identity["weights"] = digest(ready.features.backbone)
    return Checkpoints(folder, identity, settings.training.snapshot_every)


def run(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, device: str = "cpu"
) -> Path:
    """Train and evaluate one row with one seed; the run's folder. A finished run is left alone.

    Writes the trained model, what it found for every sentence, and, last, result.json: integer
    counters per evaluator and size bin.
    """
    chosen = row_settings(settings, row)
    ready = prepare(chosen, data_dir, out_dir)
    folder = run_folder(settings, row, seed, out_dir, ready.data.fingerprint)
    checkpoints = checkpoints_of(folder, chosen, seed, ready)
    if checkpoints.result(RESULT):
        return folder
    held_out = ready.dataset(chosen, chosen.data.eval_split)

    def overall_iou(model: Method) -> float:
        found = evaluate(model, held_out, ready.features, device=device)["clean"]
        return figures(counters(found))["overall_iou"]

    with checkpoints.writing():
        dataset = ready.dataset(chosen, chosen.data.train_split)
        model = train(
            chosen, dataset, ready.features, seed, ready.word_rows, device=device,
            checkpoints=checkpoints, validate=overall_iou,
        )  # fmt: skip
        began = time.perf_counter()
        found = evaluate(model, held_out, ready.features, device=device)
        seconds = {"train": checkpoints.seconds, "evaluate": time.perf_counter() - began}
        result = {
            "row": row,
            **checkpoints.identity,
            "backbone": LEAK[chosen.backbone.weights],
            "unknown words": ready.unknown_words(chosen.data.max_words),
            "parameters": model.count_parameters(),
            "loss": [round(x, 2) for x in checkpoints.losses],
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
            "metrics": by_size(found),
            "provenance": provenance(device),
        }
        if process_group.is_main_process():
            save(folder, model, ready.vocabulary, ready.features.backbone)
            arrays = {
                name: values.astype(np.int32) for name, values in vars(found["clean"]).items()
            }
            save_arrays(folder / SENTENCES, arrays, {"row": row, "seed": seed})
            count, known = counters(found["clean"]), intervals(found["clean"], held_out)
            about = origin(row, seed, result["data"], result["provenance"])
            write_card(folder, card_figures(chosen.data.eval_split, count, known), about)
            write_json(folder / "result.json", result)
        checkpoints.clear()
    process_group.barrier()
    return folder


def intervals(found: PerSentence, dataset: ReferDataset) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each of MEASURES."""
    image_of = {sample.sent_id: sample.image_id for sample in dataset.samples}
    images = np.array([image_of[i] for i in found.sent_id.tolist()])
    return {name: interval(found, images, name) for name in MEASURES}


def card_figures(split: str, count: dict, known: dict[str, tuple[float, float]]) -> list[Figure]:
    """What a model card says of one split, from its counters and intervals."""
    values = figures(count)
    return [Figure(split, count["n"], name, values[name], known[name]) for name in MEASURES]


def origin(row: str, seed: int, data: str, source: dict) -> dict[str, str]:
    """What a model card says of where a model comes from."""
    return {
        "row": row, "seed": str(seed), "fingerprint of the data": data,
        "commit": source["commit"], "torch": source["versions"]["torch"],
    }  # fmt: skip


def read_result(folder: Path) -> dict:
    """What a finished run found. Raises ValueError where its result.json is damaged."""
    return read_json(folder / "result.json", RESULT, AGAIN)


def read_sentences(folder: Path) -> PerSentence:
    """The integers behind a finished run's result, evaluator clean, one line a sentence."""
    arrays, _ = load_arrays(folder / SENTENCES)
    return PerSentence(**{name: values.astype(np.int64) for name, values in arrays.items()})


def table1(seeds: Iterable[int], printed: bool = False) -> list[tuple[str, int]]:
    """The runs of Table 1: its rows with every seed, the longest first; the controls with one.

    printed: only the rows that the paper prints, and no control.
    """
    seeds = list(seeds)
    rows = [*reversed(PRINTED), *(row for row in TABLE1 if row not in PRINTED and not printed)]
    runs = [(row, seed) for seed in seeds for row in rows]
    return runs + [(row, seeds[0]) for row in CONTROLS if not printed]


def ablation(
    settings: Settings,
    runs: Iterable[tuple[str, int]],
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
) -> list[dict]:
    """The results of runs (row, seed); those that have finished before are read.

    Every run is a function of its settings and seed, so the number of processes changes no result.
    """
    runs = list(runs)
    for row in dict.fromkeys(row for row, _ in runs):  # the caches, before the workers need them
        prepare(row_settings(settings, row), data_dir, out_dir)
    jobs = [(settings, *one, data_dir, out_dir) for one in runs]
    folders = in_parallel(run, jobs, device, "training")
    order = list(EVERY)
    return sorted(map(read_result, folders), key=lambda r: (order.index(r["row"]), r["seed"]))


def finished(
    settings: Settings, rows: Iterable[str], seeds: Iterable[int], data: ReferData, out_dir: Path
) -> list[tuple[str, int]]:
    """Which runs (row, seed) have been made in out_dir before, by whichever command."""
    return [
        (row, seed)
        for seed, row in product(seeds, rows)
        if (run_folder(settings, row, seed, out_dir, data.fingerprint) / "result.json").is_file()
    ]


def row_costs(
    settings: Settings,
    data_dir: Path,
    out_dir: Path,
    steps: int = 20,
    rows: Iterable[str] = TABLE1,
) -> dict[str, dict]:
    """{row: {"parameters", "GFLOP" of a forward pass, "step" in seconds}}, without the backbone.

    A step is the fastest of `steps` real training steps, in processor time of one thread, so that
    other work on the machine hardly counts.
    """
    found = {}
    with workers(1) as alone:
        for row in rows:
            found[row] = alone.submit(_costs, settings, row, data_dir, out_dir, steps).result()
    return found


def _costs(settings: Settings, row: str, data_dir: Path, out_dir: Path, steps: int) -> dict:
    chosen = row_settings(settings, row)
    ready = prepare(chosen, data_dir, out_dir)
    bill = head(costs(chosen, len(ready.vocabulary)))
    dataset, times = ready.dataset(chosen, chosen.data.train_split), []
    for _ in range(2):  # the first time brings the maps of these pictures into memory
        times.clear()
        train(
            chosen, dataset, ready.features, seed=0,
            last=steps, report=lambda *_: times.append(time.process_time()),
        )  # fmt: skip
    return {
        "parameters": bill.parameters,
        "GFLOP": bill.flop / 1e9,
        "step": min(later - t for t, later in pairwise(times)),
    }
