"""Text of the data in figures is drawn as it stands: a dollar sign starts no formula."""

import matplotlib
import numpy as np

from tvnet.course.figures import panel
from tvnet.course.rival_figures import Comprehension, draw_graph, draw_types

matplotlib.use("Agg")
TEXT = r"$\frac$"


def test_a_dollar_in_a_sentence_is_drawn():
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    even = np.full((2, 2), 0.25)
    seen = Comprehension(
        [TEXT], np.full((1, 4), 0.25), image, mask, mask, {TEXT: even}, (0, 0), even
    )
    figures = [panel([(TEXT, image, {"truth": mask})]), draw_types(seen), draw_graph(seen)]
    for figure in figures:
        figure.canvas.draw()
