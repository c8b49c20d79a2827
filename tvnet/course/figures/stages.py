"""The stages of TV-Net as pictures: before and after training, on sentences chosen by rule."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tvnet.course.explorer.canvas import legacy
from tvnet.course.explorer.view import View, attention_row
from tvnet.course.figures.marks import (
    CELL,
    DPI,
    FONT,
    SIGNED,
    bar,
    below,
    mark_cell,
    on_picture,
    outline,
    said,
    show,
)
from tvnet.course.figures.results import overlay
from tvnet.course.figures.trained import gate_of, half_of, referent_cells
from tvnet.prediction import Prediction
from tvnet.predictor import Predictor


def grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns panels, each width x height inches, and its axes."""
    return plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, dpi=DPI,
        layout="constrained",
    )  # fmt: skip


def plot_probabilities(
    text: str, image: np.ndarray, truth: np.ndarray, maps: dict[str, np.ndarray]
) -> Figure:
    """A picture with its referent, then maps of probability (H, W) on one scale.

    The referent's outline lies on every panel.
    """
    figure, axes = grid(1, 1 + len(maps), 3.1, 3.1)
    show(axes[0, 0], image, said(text))
    for ax, (name, values) in zip(axes[0, 1:], maps.items(), strict=True):
        bar(ax, show(ax, values, name, vmin=0, vmax=1), "probability of the referent")
    for ax in axes.flat:
        outline(ax, truth)
    return figure


def attention_panels(view: View, level: int, cell: tuple[int, int], axes: tuple) -> None:
    """A cell of the referent on its picture, where it looks in the neighbour, and its weights."""
    found, on_legacy = view.prediction, legacy(view)
    picture, neighbour, attention = axes
    show(picture, np.asarray(found.encoded.picture))
    outline(picture, view.truth)
    mark_cell(picture, found.encoded, on_legacy, cell)
    below(picture, "line: the referent\nring: a cell of it that looks")
    row = attention_row(found, level, cell)
    show(neighbour, np.asarray(found.similar.picture))
    outline(neighbour, on_picture(half_of(row), found.similar, on_legacy), colour=CELL)
    below(neighbour, "inside the line:\nhalf of its attention")
    shown = show(attention, on_picture(row, found.similar, on_legacy), vmin=0)
    bar(attention, shown, f"A{level}, in even shares")


def gate_panel(view: View, level: int, ax: plt.Axes) -> None:
    """The gate of RES at one level, its mean over the channels."""
    found = view.prediction
    share = on_picture(gate_of(found, level), found.encoded, legacy(view))
    bar(ax, show(ax, share, vmin=0, vmax=1), f"gate on V{level}")
    outline(ax, view.truth)


def plot_enrichment(view: View) -> Figure:
    """What RES does at level 5 for the referent's cell: the neighbour, where it looks there, and
    the gate."""
    figure, axes = grid(1, 4, 2.9, 3.2)
    attention_panels(view, 5, referent_cells(view)[0], axes[0, :3])
    gate_panel(view, 5, axes[0, 3])
    names = (said(view.expression), "the neighbour", "weight of each cell", "what may pass")
    title(axes[0], names)
    return figure


def title(axes: np.ndarray, names: tuple[str, ...]) -> None:
    """A title in words for each panel."""
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(name, fontsize=FONT, parse_math=False)


def plot_fusion(first: View, second: View) -> Figure:
    """One picture and two sentences: the score that fusion alone gives each cell, and the
    difference of both. The views come from a model without AMF."""
    encoded, views = first.query.encoded, (first, second)
    scores = [on_picture(v.prediction.trace.score[0, 0].numpy(), encoded, legacy(v)) for v in views]
    figure, axes = grid(1, 4, 2.9, 3.2)
    picture, *maps, difference = axes[0]
    show(picture, np.asarray(encoded.picture), "the picture")
    for number, view in enumerate(views, start=1):
        for ax in (picture, difference):
            outline(ax, view.truth)
            number_at(ax, view.truth, number)
    top = max(1, *(float(score.max()) for score in scores))  # the sign matters most
    for number, (ax, view, score) in enumerate(zip(maps, views, scores, strict=True), start=1):
        name = f"{number}: {said(view.expression)}"
        shown = show(ax, score, name, cmap=SIGNED, vmin=-top, vmax=top)
        bar(ax, shown, "score: mask above 0", extend="min")
        outline(ax, view.truth)
    change = scores[0] - scores[1]
    top = np.abs(change).max()
    shown = show(difference, change, "score 1 minus score 2", cmap=SIGNED, vmin=-top, vmax=top)
    bar(difference, shown, "gain from the words of 1")
    return figure


def number_at(ax: plt.Axes, mask: np.ndarray, number: int) -> None:
    """A number in a box at the middle of a mask."""
    ys, xs = np.nonzero(mask)
    box = {"facecolor": "white", "edgecolor": "black", "pad": 2}
    ax.text(xs.mean(), ys.mean(), str(number), fontsize=FONT, ha="center", va="center", bbox=box)


def plot_gates(views: list[View], before: Predictor) -> Figure:
    """A line a sentence: A2 before training and after it, and the mask without and with A2.

    before: the same network with fresh weights.
    """
    figure, axes = grid(len(views), 5, 2.5, 2.7)
    for line, view in zip(axes, views, strict=True):
        found, encoded = view.prediction, view.query.encoded
        fresh = before(encoded, view.expression, found.similar or "none")
        picture = np.asarray(encoded.picture)
        show(line[0], picture)
        below(line[0], said(view.expression))
        for ax, seen in zip(line[1:3], (fresh, found), strict=True):
            bar(ax, show(ax, A2_of(seen, view), vmin=0, vmax=1), "share that may pass")
        for ax, mask in zip(line[3:], (view.closed, found.mask), strict=True):
            show(ax, overlay(picture, mask))
            below(ax, f"IoU {view.iou(mask):.2f}")
            outline(ax, view.truth, 0.8)
        for ax in line[:3]:
            outline(ax, view.truth)
    names = ("the picture", "A2 before training", "A2 after training", "mask if A2 = 0", "mask")
    title(axes[0], names)
    return figure


def A2_of(found: Prediction, view: View) -> np.ndarray:
    """The gate A2 on the picture: (H, W)."""
    return on_picture(found.trace.A2[0, 0].numpy(), found.encoded, legacy(view))


def plot_replaced(shares: dict[str, float]) -> Figure:
    """How many pixels of the masks change when one input is replaced: {input: per cent}."""
    figure, ax = plt.subplots(figsize=(8, 0.5 * len(shares) + 0.9), dpi=DPI, layout="constrained")
    bars = ax.barh(list(shares), list(shares.values()), color="C0")
    ax.bar_label(bars, fmt="%.1f", padding=3, fontsize=FONT)
    ax.set(xlim=(0, 110), xticks=range(0, 101, 25))
    ax.tick_params(labelsize=FONT)
    ax.invert_yaxis()
    ax.set_xlabel("mask pixels that change, per cent", fontsize=FONT)
    return figure
