"""Figures of CMPC on one expression: the types of its words, the weights of its graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure

from tvnet.course.figures import overlay
from tvnet.course.figures.systems import Seen, one_pass
from tvnet.data.words import tokenise
from tvnet.evaluation.trained import load_run
from tvnet.model.rivals.cmpc import TYPES
from tvnet.settings import Settings


@dataclass
class Comprehension(Seen):
    """What a trained CMPC computes for one expression; maps are (h, w)."""

    types: np.ndarray  # (T, 4)
    attended: dict[str, np.ndarray]  # relation word -> its weights over the cells, sum 1
    cell: tuple[int, int]  # row and column of the cell with the highest score
    neighbours: np.ndarray  # that cell's row of the adjacency


def comprehend(settings: Settings, seed: int, data_dir: Path, out_dir: Path) -> Comprehension:
    """The longest expression of the evaluation split, the first of several, at level 5."""
    model, ready = load_run(settings, "CMPC", seed, data_dir, out_dir)
    seen = one_pass("CMPC", model, ready, settings.training.steps, np.inf)
    trace, words = seen.trace, seen.words
    h, w = trace.score.shape[-2:]
    cell = int(trace.score.flatten().argmax())
    to_words, to_cells = trace.to_words[5][0], trace.to_cells[5][0]  # (hw, T), (T, hw)
    relation = trace.types[0, :, TYPES.index("relation")]
    top = relation.argsort(descending=True)[:2].tolist()
    return Comprehension(
        **vars(seen),
        types=trace.types[0].numpy(),
        attended={words[t]: to_cells[t].reshape(h, w).numpy() for t in sorted(top)},
        cell=(cell // w, cell % w),
        neighbours=(to_words[cell] @ to_cells).reshape(h, w).numpy(),
    )


@torch.no_grad()
def common_words(
    settings: Settings, seed: int, data_dir: Path, out_dir: Path, count: int = 10
) -> dict[str, np.ndarray]:
    """{word: (4,) mean types} of the most frequent words of the evaluation split, "all" first."""
    model, ready = load_run(settings, "CMPC", seed, data_dir, out_dir)
    dataset = ready.dataset(model.settings, settings.data.eval_split)
    found: dict[str, list[np.ndarray]] = {}
    for sample in dataset.samples:
        ids = torch.tensor([ready.vocabulary.encode(sample.text, settings.data.max_words)])
        h, pad = model.expression(ids, torch.tensor([ids.shape[1]]))
        for word, types in zip(tokenise(sample.text), model.parser(h, pad)[0], strict=False):
            found.setdefault(word, []).append(types.numpy())
    often = sorted(found, key=lambda word: -len(found[word]))[:count]
    everything = [types for many in found.values() for types in many]
    return {"all": np.mean(everything, 0)} | {word: np.mean(found[word], 0) for word in often}


def draw_types(found: Comprehension) -> Figure:
    """Words against types, each word's shares in its row."""
    figure, ax = plt.subplots(figsize=(5.5, 0.42 * len(found.words) + 1))
    sns.heatmap(
        found.types, vmin=0, vmax=1, annot=True, fmt=".2f", cmap="cividis", cbar=False, ax=ax,
        xticklabels=TYPES, yticklabels=False,
    )  # fmt: skip
    ax.set_yticks(np.arange(len(found.words)) + 0.5, found.words, rotation=0, parse_math=False)
    ax.set_title("how much of each type each word is", fontsize=10)
    figure.tight_layout()
    return figure


def draw_graph(found: Comprehension) -> Figure:
    """The weights of the two most relational words, and one cell's row of the adjacency."""
    size = len(found.image)
    maps = {f"“{word}” points at": where for word, where in found.attended.items()}
    maps["+ receives from"] = found.neighbours
    figure, axes = plt.subplots(1, len(maps) + 2, figsize=(2.6 * (len(maps) + 2), 2.7))
    for ax, (title, where) in zip(axes, maps.items(), strict=False):
        ax.imshow(found.image.mean(axis=2), cmap="gray", alpha=0.5)
        shown = ax.imshow(where * where.size, cmap="magma", alpha=0.75, extent=(0, size, size, 0))
        scale = figure.colorbar(shown, ax=ax, orientation="horizontal", shrink=0.8, pad=0.04)
        scale.ax.tick_params(labelsize=7)
        scale.ax.locator_params(nbins=4)
        ax.set_title(title, fontsize=9, parse_math=False)
    y, x = ((np.array(found.cell) + 0.5) * size / len(found.neighbours)).tolist()
    figure.suptitle("maps are in multiples of an equal share", fontsize=9)
    axes[len(maps) - 1].plot(x, y, "+", color="cyan", ms=12, mew=2)
    for ax, (title, mask) in zip(
        axes[-2:], {"CMPC's mask": found.mask, "truth": found.truth}.items(), strict=True
    ):
        ax.imshow(overlay(found.image, mask))
        ax.set_title(title, fontsize=9)
    for ax in axes:
        ax.axis("off")
    figure.tight_layout()
    return figure
