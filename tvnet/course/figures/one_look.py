"""The paper in one look: one sentence on its way to a mask, drawn from the shipped models.

    python -m tvnet.course.figures.one_look --out notebooks/figures/one_look.png

The sentence is chosen by a rule: of the shipped examples that the full model finds (IoU of at least
0.5), the one with the median gain in IoU over the model without AMF.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tvnet.course.explorer.view import View
from tvnet.course.figures.marks import FONT, bar, below, outline, said, show
from tvnet.course.figures.results import overlay
from tvnet.course.figures.stages import A2_of, attention_panels, gate_panel, grid, title
from tvnet.course.figures.trained import (
    BEFORE,
    example_views,
    median_gain,
    referent_cells,
    with_and_without_amf,
)
from tvnet.files import replacing
from tvnet.rows import BEST

LEVEL = 5
TITLES = (
    ("1  the sentence", "2  the picture", "3  the retrieved neighbour", "4  where the cell looks"),
    ("5  what RES lets pass", "6  mask without AMF", "7  what AMF lets pass", "8  full model"),
)


def one_look(view: View) -> Figure:
    """Eight panels in the order of one forward pass. The view holds the rows BEFORE and BEST."""
    figure, axes = grid(2, 4, 3.0, 3.0)
    picture = np.asarray(view.query.encoded.picture)
    _sentence(axes[0, 0], view.expression, picture)
    attention_panels(view, LEVEL, referent_cells(view)[0], axes[0, 1:])
    gate, before, A2, after = axes[1]
    gate_panel(view, LEVEL, gate)
    for ax, row in ((before, BEFORE), (after, BEST)):
        show(ax, overlay(picture, view.rows[row]))
        outline(ax, view.truth, 0.8)
        below(ax, f"IoU {view.iou(view.rows[row]):.2f}")
    bar(A2, show(A2, A2_of(view.prediction, view), vmin=0, vmax=1), "gate A2")
    outline(A2, view.truth)
    for line, names in zip(axes, TITLES, strict=True):
        title(line, names)
    return figure


def _sentence(ax: Axes, text: str, picture: np.ndarray) -> None:
    """The words, large, on a white page that is as large as the picture."""
    show(ax, np.full_like(picture, 255))
    ax.text(
        0.5, 0.5, said(text, 14), fontsize=1.5 * FONT, ha="center", va="center",
        transform=ax.transAxes, parse_math=False,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("notebooks/figures/one_look.png"))
    options = parser.parse_args(arguments)
    view = median_gain(example_views(with_and_without_amf()))
    figure = one_look(view)
    with replacing(options.out) as part:
        figure.savefig(part, format="png", bbox_inches="tight")
    plt.close(figure)
    print(f"{options.out} shows “{view.expression}” in picture {view.query.name.split()[-1]}.")


if __name__ == "__main__":
    main()
