"""Pictures of one pass of any system of Table 2: maps over the picture, and shares of the words."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tvnet.course.figures import overlay
from tvnet.course.figures.marks import outline, said
from tvnet.course.table2 import NAME_OF
from tvnet.data.dataset import Batch, collate
from tvnet.data.images import open_square
from tvnet.data.words import tokenise
from tvnet.evaluation.trained import load_or_begin
from tvnet.model import trace as tvnet_trace
from tvnet.model.method import METHODS, Maps, Method, options_of
from tvnet.model.trace import Symbols
from tvnet.settings import Settings

ACROSS = 6  # panels in a line, at most
MOST_WORDS = 6  # of the expression that is shown
# What the numbers of a map are: its colours, and the words beside its colour bar.
KINDS = {
    "score": ("PuOr_r", "score: above 0 is mask"),
    "share": ("magma", "times an equal share"),
    "chance": ("cividis", "from 0 to 1"),
    "cosine": ("PuOr_r", "cosine"),
    "difference": ("PuOr_r", "difference"),
}


@dataclass
class Seen:
    """One sentence of the evaluation split in one system; pictures are (S, S, ...)."""

    row: str
    steps: int  # how many the network was trained for
    budget: int  # of how many
    words: list[str]
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    trace: Symbols
    expected: dict[str, tuple[int, ...]]  # the table of shapes
    model: Method
    batch: Batch
    V_in: Maps

    @property
    def network(self) -> str:
        """Which network this is, in words."""
        name = NAME_OF.get(self.row, self.row)
        if self.steps == self.budget:
            return f"{name}, trained for all of its {self.budget:,} steps"
        return f"{name} after {self.steps} of {self.budget:,} steps: barely trained"


@dataclass
class View:
    """What is drawn of a pass: maps {title: (kind of KINDS, (h, w))}; shares {title: (T,)} of the
    words; a cell (row, column as shares of the side) to mark; links (T, T) between words."""

    maps: dict[str, tuple[str, np.ndarray]]
    shares: dict[str, np.ndarray] = field(default_factory=dict)
    cell: tuple[float, float] | None = None
    links: np.ndarray | None = None


def look(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, steps: int = 0
) -> Seen:
    """The longest expression of the evaluation split up to six words, the first of several, in a
    row's network: that of its finished run, else one that is trained now for `steps` steps."""
    model, ready, steps = load_or_begin(settings, row, seed, data_dir, out_dir, steps)
    data = model.settings.data
    dataset = ready.dataset(model.settings, data.eval_split)
    lengths = [len(tokenise(sample.text)) for sample in dataset.samples]
    at = int(np.argmax([n if n <= MOST_WORDS else 0 for n in lengths]))
    sample, batch = dataset.samples[at], collate([dataset[at]])
    V_in, V_sim, valid = ready.features(batch)
    trace, shapes = vocabulary_of(model)
    with torch.no_grad():
        logits = model(V_in, V_sim, batch.words, batch.lengths, valid, trace=trace)
    T, size = batch.words.shape[1], logits.shape[-1]
    return Seen(
        row=row,
        steps=steps,
        budget=model.settings.training.steps,
        words=tokenise(sample.text)[:T],
        image=open_square(ready.data, sample.image_id, data.size),
        truth=batch.mask[0, 0].numpy(),
        mask=(logits > 0)[0, 0].numpy(),
        trace=trace,
        expected=shapes(model.settings, 1, size, T),
        model=model,
        batch=batch,
        V_in=V_in,
    )


def vocabulary_of(model: Method) -> tuple[Symbols, object]:
    """An empty trace for a system, and what tells the shapes that belong into it."""
    path, name = METHODS[options_of(model.settings.model.method)[0]]
    if name == "TVNet":
        table = tvnet_trace.expected_shapes
        return tvnet_trace.Trace(), lambda settings, batch, size, words: table(
            settings, batch, size
        )
    module = import_module(path)
    return getattr(module, name.removesuffix("Oracle") + "Trace")(), module.expected_shapes


def draw(seen: Seen, view: View) -> Figure:
    """The picture with its referent, the maps, the mask; below them the shares of the words.

    A map is drawn without the picture under it, so that its colours are those of its bar.
    """
    panels = len(view.maps) + 2
    lines = -(-panels // ACROSS)
    table = 0.3 * len(view.shares) + 0.9 if view.shares else 0
    across = -(-panels // lines)
    size = 1.9 * across, 2.5 * lines + table + 0.3
    figure = plt.figure(figsize=size, dpi=72, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.07)
    heights = [2.5 * lines, table] if table else [1]
    parts = np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights))
    axes = parts[0].subplots(lines, across, squeeze=False).ravel()
    axes[0].imshow(seen.image)
    axes[0].set_title(said(" ".join(seen.words), 26), fontsize=8, parse_math=False)
    for ax, (title, (kind, values)) in zip(axes[1:], view.maps.items(), strict=False):
        heat(ax, seen, title, kind, values)
        if view.cell:
            y, x = (place * len(seen.image) for place in view.cell)
            ax.plot(x, y, "+", color="cyan", ms=10, mew=2)
    axes[panels - 1].imshow(overlay(seen.image, seen.mask))
    axes[panels - 1].set_title("its mask", fontsize=8)
    for ax in axes:
        ax.axis("off")
    for ax in axes[:panels]:
        outline(ax, seen.truth, 1.2)
    if view.shares:
        draw_shares(parts[1].subplots(), seen.words, view)
    figure.suptitle(f"{seen.network}. The white line is the true outline.", fontsize=9)
    return figure


def heat(ax: Axes, seen: Seen, title: str, kind: str, values: np.ndarray) -> None:
    """One map as large as the picture, with its own colour bar."""
    size = len(seen.image)
    colours, meaning = KINDS[kind]
    most = max(float(np.abs(values).max()), 1e-6)
    low, high = {"chance": (0, 1), "share": (0, most)}.get(kind, (-most, most))
    shown = ax.imshow(values, cmap=colours, vmin=low, vmax=high, extent=(0, size, size, 0))
    scale = ax.figure.colorbar(shown, ax=ax, orientation="horizontal", shrink=0.8, pad=0.03)
    scale.set_label(meaning, fontsize=7)
    scale.ax.tick_params(labelsize=7)
    scale.ax.locator_params(nbins=3)
    ax.set_title(fill(title, 24), fontsize=8, parse_math=False)


def draw_shares(ax: Axes, words: list[str], view: View) -> None:
    """One line a title, one column a word; links between words as arcs above the columns."""
    values = np.array(list(view.shares.values()))
    sns.heatmap(
        values, vmin=0, vmax=max(1.0, values.max()), annot=True, fmt=".2f", cmap="cividis",
        cbar=False, ax=ax, annot_kws={"fontsize": 8},
    )  # fmt: skip
    lines = np.arange(len(values)) + 0.5
    ax.set_yticks(lines, list(view.shares), rotation=0, fontsize=8, parse_math=False)
    ax.set_xticks(np.arange(len(words)) + 0.5, words, fontsize=8, rotation=0, parse_math=False)
    if view.links is None:
        return
    angle = np.linspace(0, np.pi, 30)
    for a, b in zip(*np.nonzero(np.triu(view.links)), strict=True):
        middle, half = (a + b + 1) / 2, (b - a) / 2
        ax.plot(middle + half * np.cos(angle), -0.35 * half * np.sin(angle), "k", clip_on=False)
