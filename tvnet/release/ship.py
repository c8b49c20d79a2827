"""Train the model that ships: the rows of Table 1 on RefCOCO's dialect.

    python -m tvnet.release.ship --data data/miniref-evening

writes tvnet/shipped/models/<row>/ and, last, shipped.json beside them: sha256 of every file, this
command, the counters of val, testA and testB; and from it a model card for each row. The same
command again resumes where it stopped. Nothing is chosen by these counters: one seed, one budget.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from tvnet.data import refer
from tvnet.data.dataset import ReferDataset
from tvnet.devices import one_thread
from tvnet.evaluation.ablation import card_figures, intervals, origin, read_result, run
from tvnet.evaluation.evaluate import evaluate
from tvnet.evaluation.metrics import PerSentence, counters
from tvnet.evaluation.trained import load_run
from tvnet.files import read_json, sha256_of, write_json
from tvnet.model_card import write_card
from tvnet.provenance import provenance
from tvnet.retrieval.build import build
from tvnet.rows import BEST, ROWS, on_data_set, row_settings
from tvnet.saved_model import FILES, MODELS
from tvnet.settings import Settings, as_dict, settings

SEED = 0
EXAMPLES = 6  # of each kind
RULE = (
    "worst: the sentences of val with the least IoU, among equals the largest union first; spread: "
    "the middles of equal parts of val in the order of IoU; each picture once"
)


def shipped_settings() -> Settings:
    """The evening profile's, with a dialect that may name places ("left dog")."""
    return on_data_set(settings("evening"), "unc")


def examples(found: PerSentence, dataset: ReferDataset, count: int = EXAMPLES) -> list[dict]:
    """Sentences to look at, by RULE: no hand picks them."""
    iou = found.iou()
    order = np.lexsort((found.sent_id, -found.union, iou))
    image_of = {sample.sent_id: sample.image_id for sample in dataset.samples}
    starts = {"worst": np.zeros(count), "spread": (np.arange(count) + 0.5) / count * len(order)}
    taken, chosen = set(), []
    for kind, first in starts.items():
        for start in first.astype(int):
            for k in order[start:]:
                sent_id, image_id = int(found.sent_id[k]), image_of[int(found.sent_id[k])]
                if image_id not in taken:
                    taken.add(image_id)
                    about = {"sent_id": sent_id, "image_id": image_id, "kind": kind}
                    chosen.append(about | {"iou": round(float(iou[k]), 4)})
                    break
    return chosen


def ship(chosen: Settings, data_dir: Path, out_dir: Path, target: Path) -> dict:
    """Train or find the runs, copy their checkpoints, measure, choose examples; the report."""
    one_thread()
    build(row_settings(chosen, BEST), refer.read(data_dir, chosen.data.dataset), out_dir)
    report = {"command": f"python -m tvnet.release.ship --data {data_dir}", "rows": {}}
    source = provenance()  # before the new files change the tree
    folders = {row: run(chosen, row, SEED, data_dir, out_dir) for row in ROWS}
    for row, folder in folders.items():
        result = read_result(folder)
        model, ready = load_run(chosen, row, SEED, data_dir, out_dir)
        metrics, known = {}, {}
        for split in ready.data.splits:
            if split == chosen.data.train_split:
                continue
            dataset = ready.dataset(model.settings, split)
            found = evaluate(model, dataset, ready.features)["clean"]
            metrics[split] = counters(found)
            known[split] = intervals(found, dataset)
            if row == BEST and split == chosen.data.eval_split:
                about = {"rule": RULE, "model": row, "dataset": ready.data.name, "split": split}
                about["sentences"] = examples(found, dataset)
                write_json(target / "examples.json", about)
        (target / row.lower()).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(folder / name, target / row.lower() / name)
        about = {"sha256": {name: sha256_of(folder / name) for name in sorted(FILES)}}
        about |= {name: result[name] for name in ("parameters", "seconds", "provenance")}
        report["rows"][row] = about | {"metrics": metrics, "intervals": known}
    report |= {"data": ready.data.fingerprint, "seed": SEED, "training": as_dict(chosen.training)}
    report["provenance"] = source
    write_json(target / "shipped.json", report)
    write_cards(target)
    return report


def write_cards(target: Path) -> None:
    """The model card of every row, from shipped.json beside them."""
    report = read_json(target / "shipped.json", dict, "make them again")
    for row, about in report["rows"].items():
        found = [
            figure
            for split, count in about["metrics"].items()
            for figure in card_figures(split, count, about["intervals"][split])
        ]
        source = origin(row, report["seed"], report["data"], about["provenance"])
        write_card(target / row.lower(), found, source)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref-evening"))
    parser.add_argument("--out", type=Path, default=Path("out/evening"))
    options = parser.parse_args(arguments)
    try:
        report = ship(shipped_settings(), options.data, options.out, MODELS)
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
