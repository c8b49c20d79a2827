"""Text of the data in figures is drawn as it stands: a dollar sign starts no formula."""

import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from tvnet.course.figures import panel
from tvnet.course.figures.systems import View, draw

matplotlib.use("Agg")
TEXT = r"$\frac$"


def test_a_dollar_in_a_sentence_is_drawn():
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    even = np.full((2, 2), 0.25)
    seen = SimpleNamespace(network="", words=[TEXT], image=image, truth=mask, mask=mask)
    view = View({TEXT: ("share", even)}, {TEXT: np.ones(1)})
    figures = [panel([(TEXT, image, {TEXT: mask})]), draw(seen, view)]
    for figure in figures:
        figure.canvas.draw()


def test_the_iou_stands_under_every_mask_but_the_true_one():
    image, truth = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), bool)
    truth[:2] = True
    masks = {"a": np.roll(truth, 1, axis=0), "b": truth, "truth": truth}
    figure = panel([("red dog", image, masks)])
    said = [[t.get_text() for t in ax.texts] for ax in figure.axes]
    assert said == [[], ["IoU 0.33"], ["IoU 1.00"], []]


def test_a_dollar_in_a_sentence_that_names_a_row_is_drawn():
    """The figure of notebook 10 has the sentences of a data set on an axis."""
    path = Path(__file__).parents[2] / "notebooks" / "10_explorer.ipynb"
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]
    drawn = next(cell for cell in cells if 'y="sentence"' in cell)
    rows = {"neighbour": ["none", "self"], "sentence": [TEXT, "$x$"], "IoU": [0.2, 0.7]}
    exec(drawn, {"rows": rows, "plt": plt, "sns": sns})
    plt.gcf().canvas.draw()
    assert [label.get_text() for label in plt.gca().get_yticklabels()] == [TEXT, "$x$"]
    plt.close()
