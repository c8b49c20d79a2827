"""The pictures of notebook 03: a retrieval card, and the instruments as plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tvnet.data.images import BLANK, open_square
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 128  # pixels of a thumbnail
COLUMNS = 7


def retrieval_card(data: ReferData, neighbours: Neighbours, sent_id: int) -> Figure:
    """A query, its candidates in the order of the text, and the chosen one, framed.

    Raises ValueError when the neighbours hold no line for the sentence.
    """
    import matplotlib.pyplot as plt

    similar = int(neighbours.of(np.array([sent_id]))[0])
    row = int(np.searchsorted(neighbours.sent_id, sent_id))
    referent, text = next(
        (r, s.text) for r in data.referents for s in r.sentences if s.sent_id == sent_id
    )
    candidates = neighbours.candidates[row]
    rows = -(-(1 + len(candidates)) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(1.6 * COLUMNS, 1.85 * rows), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    first, *others = axes.flat
    first.imshow(open_square(data, referent.image_id, SIDE))
    first.set_title("the query", fontsize=8, fontweight="bold")
    for place, (ax, image_id) in enumerate(zip(others, candidates.tolist(), strict=False)):
        if image_id == BLANK:
            continue
        ax.imshow(open_square(data, image_id, SIDE))
        by_text = neighbours.text_similarity[row, place]
        by_image = neighbours.image_similarity[row, place]
        ax.set_title(f"{place + 1}: text {by_text:.2f}, image {by_image:.2f}", fontsize=7)
        if image_id == similar:
            ax.set_frame_on(True)
            for side in ax.spines.values():
                side.set(color="C1", linewidth=4)
    figure.suptitle(f"“{text}”", fontsize=10)
    figure.tight_layout()
    return figure


def plot_instruments(report: dict) -> Figure:
    """Histograms of both similarities, the chosen one's rank by text, and the effect of k."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2))
    for ax, name in zip(axes, ("text similarity", "image similarity"), strict=False):
        for label, histogram in report[name].items():
            ax.stairs(histogram["counts"], histogram["edges"], label=label)
        ax.set(title=name, xlabel="cosine", ylabel="sentences", yscale="log")
        ax.legend(fontsize=7)
    ranks = report["agreement of the stages"]["text rank of the chosen, counts"]
    axes[2].bar(range(1, len(ranks) + 1), ranks)
    axes[2].set(title="where stage 2 chose", xlabel="rank by text", ylabel="sentences")
    effect = report["effect of k"]
    ks = [line["k"] for line in effect]
    axes[3].plot(ks, [line["same category, per cent"] for line in effect], "o-", label="retrieved")
    shares = report["same category under the controls, per cent"]
    axes[3].axhline(shares["random"], color="grey", linestyle="--", label="random image")
    axes[3].set(title="effect of k", xlabel="candidates k", ylabel="same category, per cent")
    axes[3].set(xscale="log", ylim=(0, 100))
    axes[3].legend(fontsize=7)
    figure.tight_layout()
    return figure
