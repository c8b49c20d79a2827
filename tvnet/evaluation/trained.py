"""Look again at the models that an ablation left behind: other retrieved images, their masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tvnet.data.dataset import collate
from tvnet.data.images import open_picture, placement
from tvnet.devices import device_of
from tvnet.evaluation.ablation import RESULT, recorded, run_folder
from tvnet.evaluation.evaluate import clean, evaluate
from tvnet.evaluation.metrics import by_size, counters
from tvnet.model.method import Method
from tvnet.rows import row_settings
from tvnet.saved_model import load, load_backbone_of
from tvnet.settings import CONTROLS, Settings
from tvnet.training.loop import logits_of
from tvnet.training.processes import workers
from tvnet.training.setup import Prepared, prepare


def load_run(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path
) -> tuple[Method, Prepared]:
    """The trained model of one run of the ablation and what it reads, in eval mode.

    Raises FileNotFoundError when that run has not been made.
    """
    chosen = row_settings(settings, row)
    ready = prepare(chosen, data_dir, out_dir)
    folder = run_folder(settings, row, seed, out_dir, ready.data.fingerprint)
    if not recorded(folder, chosen, seed, ready, "cpu").result(RESULT):
        raise FileNotFoundError(
            f"There is no trained model in {folder}: run the ablation with row '{row}' and seed "
            f"{seed} first."
        )
    model, _ = load(folder, chosen)
    if chosen.backbone.train_from != "none":
        load_backbone_of(folder, ready.features.backbone)
    return model, ready


def swap_neighbours(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, device: str = "cpu"
) -> dict[str, dict]:
    """{control: counters} of one trained row, its retrieved images replaced at test time."""
    device = str(device_of(device))
    with workers(None if device == "cpu" else 1) as pool:
        found = {
            control: pool.submit(_swapped, settings, row, seed, data_dir, out_dir, device, control)
            for control in CONTROLS
        }
        return {control: future.result() for control, future in found.items()}


def _swapped(
    settings: Settings,
    row: str,
    seed: int,
    data_dir: Path,
    out_dir: Path,
    device: str,
    control: str,
) -> dict:
    model, _ = load_run(settings, row, seed, data_dir, out_dir)
    swapped = replace(settings, retrieval=replace(settings.retrieval, control=control))
    chosen = row_settings(swapped, row)
    ready = prepare(chosen, data_dir, out_dir)
    dataset = ready.dataset(chosen, settings.data.eval_split)
    return counters(evaluate(model, dataset, ready.features, device=device)["clean"])


def measure_again(
    settings: Settings,
    runs: Iterable[tuple[str, int]],
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
    splits: Iterable[str] = (),
    crf: bool = False,
) -> list[dict]:
    """Trained runs (row, seed) on other splits, or refined by DenseCRF: row, seed, split, metrics.

    Without `splits`, on the evaluation split. A refined run has a row of its own, "row+DCRF", so
    that the two are never mixed.
    """
    device, splits = str(device_of(device)), list(splits) or [settings.data.eval_split]
    with workers(None if device == "cpu" else 1) as pool:
        waiting = [
            pool.submit(_measured, settings, *run, data_dir, out_dir, device, split, crf)
            for split in splits
            for run in runs
        ]
        return [done.result() for done in waiting]


def _measured(
    settings: Settings,
    row: str,
    seed: int,
    data_dir: Path,
    out_dir: Path,
    device: str,
    split: str,
    crf: bool,
) -> dict:
    from tvnet.evaluation.crf import DenseCRF  # needs scipy, which training does not

    model, ready = load_run(settings, row, seed, data_dir, out_dir)
    refine = DenseCRF(ready.data) if crf else None
    dataset = ready.dataset(model.settings, split)
    found = evaluate(model, dataset, ready.features, device=device, refine=refine)
    name = f"{row}+DCRF" if crf else row
    return {"row": name, "seed": seed, "split": split, "metrics": by_size(found)}


@torch.no_grad()
def masks_of(
    settings: Settings, rows: tuple[str, ...], seed: int, data_dir: Path, out_dir: Path, count: int
) -> list[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
    """`count` sentences of the evaluation split, drawn at random from the seed: expression, image
    (H, W, 3) and the mask of every row, the true one last. Feeds `figures.panel`."""
    lines: list[tuple[str, np.ndarray, dict[str, np.ndarray]]] = []
    for row in rows:
        model, ready = load_run(settings, row, seed, data_dir, out_dir)
        dataset = ready.dataset(model.settings, settings.data.eval_split)
        picks = np.random.default_rng(seed).choice(len(dataset), count, replace=False)
        if not lines:
            for sample in (dataset.samples[i] for i in picks):
                picture = ready.data.pictures[sample.image_id]
                image = open_picture(picture.path, picture.width, picture.height)
                lines.append((sample.text, np.asarray(image), {}))
        logits = logits_of(model, ready.features, collate([dataset.inputs(int(i)) for i in picks]))
        for k, (i, line) in enumerate(zip(picks, lines, strict=True)):
            picture = ready.data.pictures[dataset.samples[i].image_id]
            place = placement(picture.height, picture.width, logits.shape[-1])
            line[2][row] = clean(logits[k : k + 1], place)
    for i, line in zip(picks, lines, strict=True):
        line[2]["truth"] = ready.masks.mask(dataset.samples[i].ann_id)
    return lines
