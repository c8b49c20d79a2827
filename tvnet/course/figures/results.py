"""Pictures of Table 1: its values, differences, learning curves and costs; panels of masks."""

from __future__ import annotations

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from tvnet.course.contrasts import NAMES, Contrast
from tvnet.course.tables import HEADINGS, SIZES, by_seed, paper_table
from tvnet.prediction import iou


def plot_table1(results: list[dict], columns: tuple[str, ...]) -> Figure:
    """Rows against columns, ours (mean, bars one sd, one dot a seed) and the paper's value.

    One line of panels for All, one for Small. Colour-blind safe.
    """
    sns.set_theme(style="whitegrid", palette="colorblind")
    paper = paper_table()
    rows = [row for row in by_seed(results, "all", "clean") if row in paper["all"]]
    figure, axes = plt.subplots(
        len(SIZES), len(columns), figsize=(3.4 * len(columns), 5.2), sharey=True, squeeze=False
    )
    for line, size in zip(axes, SIZES, strict=True):
        ours = by_seed(results, size, "clean")
        for ax, column in zip(line, columns, strict=True):
            values = [(row, seed[column]) for row in rows for seed in ours[row].values()]
            names, scores = [v[0] for v in values], [v[1] for v in values]
            sns.pointplot(x=scores, y=names, errorbar="sd", linestyle="none", ax=ax, label="ours")
            sns.stripplot(x=scores, y=names, color="grey", size=3, ax=ax, legend=False)
            k = paper["columns"].index(column)
            printed = [paper[size][row][k] for row in rows]
            ax.plot(printed, range(len(rows)), "D", mfc="none", color="C3", label="paper")
            ax.set(title=f"{HEADINGS[column]}, {size}", xlabel="per cent", ylabel="")
            ax.legend().set_visible(False)
    axes[0, 0].legend(loc="best", fontsize=8)
    figure.tight_layout()
    return figure


def plot_contrasts(found: list[Contrast], earlier: list[Contrast] | None = None) -> Figure:
    """A forest plot: one line a contrast, ours with its 95 % interval, the paper's as a mark.

    earlier: the same contrasts of another run, in grey below ours.
    """
    sns.set_theme(style="whitegrid", palette="colorblind")
    figure, ax = plt.subplots(figsize=(8.5, 1.2 + 0.27 * len(found)))
    for y, c in enumerate(found):
        ax.plot([c.ours.low, c.ours.high], [y, y], color="C0", lw=2)
        ax.plot(c.ours.value, y, "o", color="C0", label="ours, 95 % interval" if not y else None)
        if c.paper is not None:
            ax.plot(c.paper, y, "D", mfc="none", color="C3")
    lines = {(c.step, c.size, c.measure): y for y, c in enumerate(found)}
    for c in earlier or []:
        y = lines.get((c.step, c.size, c.measure))
        if y is not None:
            ax.plot([c.ours.low, c.ours.high], [y + 0.3, y + 0.3], color="grey", lw=1.5)
            ax.plot(c.ours.value, y + 0.3, "o", color="grey", ms=4)
    if earlier:
        ax.plot([], [], "o-", color="grey", ms=4, label="published")
    ax.plot([], [], "D", mfc="none", color="C3", label="paper")
    ax.axvline(0, color="black", lw=0.8)
    names = [f"{' → '.join(c.step)}, {NAMES[c.measure]}, {c.size}" for c in found]
    ax.set_yticks(range(len(found)), names, fontsize=8, parse_math=False)
    ax.invert_yaxis()
    ax.set_xlabel("difference in points")
    ax.legend(fontsize=8, loc="best")
    figure.tight_layout()
    return figure


def plot_learning(results: list[dict]) -> Figure:
    """The loss of every run, a moving mean over a fortieth of its steps; one colour a row."""
    sns.set_theme(style="whitegrid", palette="colorblind")
    figure, ax = plt.subplots(figsize=(8, 4.5))
    colours = {row: f"C{k}" for k, row in enumerate(dict.fromkeys(r["row"] for r in results))}
    for result in results:
        window = max(1, len(result["loss"]) // 40)
        smooth = np.convolve(result["loss"], np.ones(window) / window, "valid")
        label = result["row"] if result["row"] not in ax.get_legend_handles_labels()[1] else None
        steps = np.arange(window, len(result["loss"]) + 1)
        ax.plot(steps, smooth, color=colours[result["row"]], lw=1, label=label)
    ax.set(xlabel="step", ylabel="loss", yscale="log")
    ax.legend(fontsize=8)
    figure.tight_layout()
    return figure


def plot_costs(results: list[dict], costs: dict[str, dict]) -> Figure:
    """What each row reaches over what a training step of it costs, as a multiple of the Baseline's.

    One panel a threshold of precision; one dot a seed.
    """
    sns.set_theme(style="whitegrid", palette="colorblind")
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.6))
    ours = {row: seeds for row, seeds in by_seed(results, "all", "clean").items() if row in costs}
    for ax, column in zip(axes, ("prec_0.5", "prec_0.8"), strict=True):
        for row, seeds in ours.items():
            step = costs[row]["step"] / costs["Baseline"]["step"]
            reached = [values[column] for values in seeds.values()]
            ax.plot([step] * len(reached), reached, "o")
            ax.annotate(row, (step, max(reached)), fontsize=7, ha="center", va="bottom")
        ax.margins(x=0.2, y=0.12)
        ax.set(xlabel="step / step of the Baseline", ylabel=f"{HEADINGS[column]}, per cent")
    figure.tight_layout()
    return figure


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image in its colours inside the mask, grey and dark outside. image (H, W, 3) uint8."""
    grey = image.mean(axis=2, keepdims=True) * 0.35 + 30
    return np.where(mask[..., None], image, grey).astype(np.uint8)


def panel(lines: list[tuple[str, np.ndarray, dict[str, np.ndarray]]]) -> Figure:
    """One line a referent: the image, then one overlay per named mask (Fig. 5).

    Where one of the masks is named "truth", the IoU with it stands under each other one.
    lines: (expression, image (H, W, 3) uint8, {column: mask (H, W) bool}).
    """
    columns = list(lines[0][2])
    figure, axes = plt.subplots(
        len(lines),
        len(columns) + 1,
        figsize=(2.3 * (len(columns) + 1), 2.0 * len(lines)),
        squeeze=False,
    )
    for line, (expression, image, masks) in zip(axes, lines, strict=True):
        line[0].imshow(image)
        text = fill(f"“{expression}”", 32)  # no wider than its column
        line[0].set_title(text, fontsize=8, loc="left", parse_math=False)
        for ax, column in zip(line[1:], columns, strict=True):
            ax.imshow(overlay(image, masks[column]))
            if "truth" in masks and column != "truth":
                found = f"IoU {iou(masks[column], masks['truth']):.2f}"
                ax.text(
                    0.5, -0.03, found, fontsize=7, ha="center", va="top", transform=ax.transAxes
                )
    for ax, column in zip(axes[0, 1:], columns, strict=True):
        ax.set_title(column, fontsize=9, parse_math=False)
    for ax in axes.flat:
        ax.axis("off")
    figure.tight_layout()
    return figure
