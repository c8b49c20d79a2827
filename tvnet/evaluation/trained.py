"""Measure the models that an ablation has trained again: on other splits, with other images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tvnet.data import refer
from tvnet.data.dataset import collate
from tvnet.data.images import open_image, placement
from tvnet.evaluation.ablation import RESULT, checkpoints_of, finished, run_folder
from tvnet.evaluation.evaluate import clean, evaluate
from tvnet.evaluation.metrics import PerSentence, by_size
from tvnet.evaluation.workers import in_parallel
from tvnet.model.method import Method
from tvnet.retrieval.build import neighbours_of
from tvnet.rows import row_settings
from tvnet.saved_model import load, load_backbone_of
from tvnet.settings import CONTROLS, Settings
from tvnet.training.loop import logits_of, train
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
    if not checkpoints_of(folder, chosen, seed, ready).result(RESULT):
        raise FileNotFoundError(
            f"There is no trained model in {folder}: run the ablation with row '{row}' and seed "
            f"{seed} first."
        )
    model, _ = load(folder, chosen)
    if chosen.backbone.train_from != "none":
        load_backbone_of(folder, ready.features.backbone)
    return model, ready


def load_or_begin(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, steps: int
) -> tuple[Method, Prepared, int]:
    """As `load_run`, and for how many steps the model was trained: all, if that run was made, else
    the first `steps`, which are trained now and kept nowhere."""
    chosen = row_settings(settings, row)
    data = refer.read(data_dir, settings.data.dataset)
    if finished(settings, [row], [seed], data, out_dir):
        return *load_run(settings, row, seed, data_dir, out_dir), chosen.training.steps
    ready = prepare(chosen, data_dir, out_dir)
    dataset = ready.dataset(chosen, chosen.data.train_split)
    few = replace(chosen, training=replace(chosen.training, compile=False))
    model = train(few, dataset, ready.features, seed, ready.word_rows, last=steps)
    return model, ready, steps


def measure_again(
    settings: Settings,
    runs: Iterable[tuple[str, int]],
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
    splits: Iterable[str] = (),
    crf: bool = False,
) -> list[dict]:
    """Trained runs (row, seed) again: row, seed, data set, split, metrics.

    splits: by default the evaluated one. crf: refined by DenseCRF; such a run is named "row+DCRF",
    so that the two are never mixed.
    """
    runs, splits = list(runs), list(splits) or [settings.data.eval_split]
    jobs = [(row, seed, split) for split in splits for row, seed in runs]
    given = [(settings, data_dir, out_dir, *job, "none", crf) for job in jobs]
    return [
        {
            "row": f"{row}+DCRF" if crf else row,
            "seed": seed,
            "dataset": settings.data.dataset,
            "split": split,
            "metrics": by_size(found),
        }
        for (row, seed, split), found in zip(
            jobs, in_parallel(_again, given, device, "measure again"), strict=True
        )
    ]


def swap_neighbours(
    settings: Settings,
    row: str,
    seeds: Iterable[int],
    data_dir: Path,
    out_dir: Path,
    device: str = "cpu",
    controls: Iterable[str] = CONTROLS[1:],
) -> dict[tuple[str, int], PerSentence]:
    """A trained row with its retrieved images replaced at test time, evaluator clean, by the name
    "row, control" and the seed."""
    split, jobs = settings.data.eval_split, [(c, seed) for c in controls for seed in seeds]
    given = [(settings, data_dir, out_dir, row, seed, split, c, False) for c, seed in jobs]
    found = in_parallel(_again, given, device, "swap neighbours")
    return {
        (f"{row}, {control}", seed): one["clean"]
        for (control, seed), one in zip(jobs, found, strict=True)
    }


def use_control(ready: Prepared, control: str, settings: Settings, out_dir: Path) -> None:
    """Let data sets made from now on show a control's images instead of those retrieved."""
    chosen = replace(settings, retrieval=replace(settings.retrieval, control=control))
    ready.neighbours = neighbours_of(chosen, ready.data, out_dir)


def _again(
    settings: Settings, data_dir: Path, out_dir: Path, row: str, seed: int, split: str,
    control: str, crf: bool, device: str,
) -> dict[str, PerSentence]:  # fmt: skip
    model, ready = load_run(settings, row, seed, data_dir, out_dir)
    if control != "none":
        use_control(ready, control, model.settings, out_dir)
    refine = None
    if crf:
        from tvnet.evaluation.crf import refine_batch as refine  # needs scipy, unlike training
    dataset = ready.dataset(model.settings, split)
    return evaluate(model, dataset, ready.features, device=device, refine=refine)


@torch.no_grad()
def masks_of(
    settings: Settings,
    rows: tuple[str, ...],
    seed: int,
    data_dir: Path,
    out_dir: Path,
    count: int,
    among: np.ndarray | None = None,
) -> list[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
    """`count` sentences of the evaluation split, drawn at random from the seed: expression, image
    (H, W, 3) and the mask of every row, the true one last. Feeds `figures.panel`.

    among: (sentences,) bool, from which they are drawn; by default all of the split.
    """
    lines: list[tuple[str, np.ndarray, dict[str, np.ndarray]]] = []
    for row in rows:
        model, ready = load_run(settings, row, seed, data_dir, out_dir)
        dataset = ready.dataset(model.settings, settings.data.eval_split)
        if not lines:
            known = np.arange(len(dataset)) if among is None else np.flatnonzero(among)
            if not len(known):
                return []
            picks = np.random.default_rng(seed).choice(known, min(count, len(known)), replace=False)
            samples = [dataset.samples[i] for i in picks]
            lines = [(s.text, np.asarray(open_image(ready.data, s.image_id)), {}) for s in samples]
        logits = logits_of(model, ready.features, collate([dataset.inputs(int(i)) for i in picks]))
        for k, (_, image, masks) in enumerate(lines):
            place = placement(*image.shape[:2], logits.shape[-1])
            masks[row] = clean(logits[k : k + 1], place)
    for sample, (_, _, masks) in zip(samples, lines, strict=True):
        masks["truth"] = ready.cache.masks.mask(sample.ann_id)
    return lines
