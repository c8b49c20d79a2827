"""The pictures of notebook 03: a retrieval card, and plots of the retrieval report."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from tvnet.course.figures.marks import outline, show
from tvnet.data.images import BLANK, open_image
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData
from tvnet.evaluation.slices import same_category

COLUMNS = 7


def retrieval_card(data: ReferData, neighbours: Neighbours, sent_id: int) -> Figure:
    """A query, its referent outlined, and its candidates by text; the chosen one is framed.

    Above each stand its rank and its cosines by text and by image, and where nothing of the
    referent's category is referred to in it, this too. Raises ValueError when the neighbours hold
    no line for the sentence.
    """
    similar = int(neighbours.of(np.array([sent_id]))[0])
    row = int(np.searchsorted(neighbours.sent_id, sent_id))
    (query,) = data.samples_of([sent_id])
    candidates = neighbours.candidates[row]
    fits = same_category([query] * len(candidates), candidates, data)
    category = data.categories[query.category_id]
    rows = -(-(1 + len(candidates)) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(1.35 * COLUMNS, 1.6 * rows), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.set_frame_on(False)
    first, *others = axes.flat
    show(first, np.asarray(open_image(data, query.image_id)))
    outline(first, data.mask(query.ann_id), 0.8)  # thin things stay seen
    first.set_title(f"the query,\n{category}", fontsize=10, fontweight="bold", parse_math=False)
    for place, (ax, image_id) in enumerate(zip(others, candidates.tolist(), strict=False)):
        if image_id == BLANK:
            continue
        show(ax, np.asarray(open_image(data, image_id)))
        by_text = neighbours.text_similarity[row, place]
        by_image = neighbours.image_similarity[row, place]
        lacks = "" if fits[place] else f"no {category}"
        title = f"{place + 1}: {by_text:.2f}, {by_image:.2f}\n{lacks}"
        ax.set_title(title, fontsize=10, parse_math=False)
        if image_id == similar:
            ax.set_frame_on(True)
            for side in ax.spines.values():
                side.set(color="C1", linewidth=5)
    title = f"“{query.text}”: rank, likeness by text, likeness by image"
    figure.suptitle(title, fontsize=13, parse_math=False)  # a $ in it is no formula
    figure.tight_layout()
    return figure


def plot_retrieval_report(report: dict) -> Figure:
    """Histograms of both similarities, the chosen one's rank by text, and the effect of k."""
    sns.set_theme(style="whitegrid", palette="colorblind")
    figure, axes = plt.subplots(2, 2, figsize=(9, 6))
    for ax, name in zip(axes[0], ("text similarity", "image similarity"), strict=True):
        for label, histogram in report[name].items():
            counts, edges = np.array(histogram["counts"]), np.array(histogram["edges"])
            ax.stairs(counts, edges, label=label, linewidth=2)
        ax.set(title=name, xlabel="cosine", ylabel="sentences", yscale="log", xlim=(-0.05, 1.05))
        ax.legend(loc="upper left", fontsize=9)
    axes[0, 1].set(ylabel="images")
    rank, effect = axes[1]
    counts = report["agreement of the stages"]["text rank of the chosen, counts"]
    rank.bar(range(1, len(counts) + 1), counts)
    rank.set(title="where stage 2 chose", xlabel="rank by text", ylabel="sentences")
    ks = [line["k"] for line in report["effect of k"]]
    found = [line["same category, per cent"] for line in report["effect of k"]]
    effect.plot(ks, found, "o-", label="retrieved")
    shares = report["same category under the controls, per cent"]
    effect.axhline(shares["random"], color="grey", linestyle="--", label="random image")
    effect.set(title="effect of k", xlabel="candidates k", ylabel="same category, per cent")
    effect.set(xscale="log", ylim=(0, 100), xticks=ks, xticklabels=ks)
    effect.minorticks_off()
    effect.legend(fontsize=9)
    figure.tight_layout()
    return figure
