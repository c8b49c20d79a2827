"""What a rendered copy shows is what the notebook showed: colours, tables."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import render  # noqa: E402


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def decoded(png):
    return Image.open(io.BytesIO(base64.b64decode(png)))


def photograph():
    """Many greens, and a small dress in a purple that no palette of the greens has."""
    dice = np.random.default_rng(0)
    pixels = dice.integers(0, 256, (120, 160, 3)) // [4, 1, 4]
    pixels[50:60, 70:76] = 128, 40, 160
    return pixels


def test_a_photograph_keeps_its_colours():
    pixels = photograph()
    shown = decoded(render.smaller(encoded(pixels)))
    assert shown.mode == "RGB" and np.array_equal(np.asarray(shown), pixels)


@pytest.mark.parametrize("colours", [2, 256])
def test_a_plot_of_few_colours_gets_a_palette_and_not_another_colour(colours):
    levels = np.arange(colours)[:, None] * [255 // (colours - 1), 1, 0]
    pixels = levels[np.random.default_rng(0).integers(0, colours, (120, 160))] % 256
    small = render.smaller(encoded(pixels))
    assert decoded(small).mode == "P" and len(small) < len(encoded(pixels))
    assert np.array_equal(np.asarray(decoded(small).convert("RGB")), pixels)


LONG = ["a woman in a green shirt to the right of the boat", "chair | table", "a <b> & c"]


def shown(frame):
    """A frame as its rendered copy has it."""
    data = {"text/plain": repr(frame), "text/html": frame._repr_html_()}
    cell = new_code_cell("frame", outputs=[new_output("execute_result", data)])
    (output,) = render.readable(new_notebook(cells=[cell])).cells[0].outputs
    return output.data["text/markdown"].splitlines()


def test_a_frame_is_a_table_whose_rows_are_whole():
    assert shown(pd.DataFrame({"set": LONG, "left or right": [0.5, 0, 1], "n": [1, 2, 3]})) == [
        "|  | set | left or right | n |",
        "| --- | --- | --- | --- |",
        f"| 0 | {LONG[0]} | 0.5 | 1 |",
        r"| 1 | chair \| table | 0.0 | 2 |",
        "| 2 | a &lt;b> & c | 1.0 | 3 |",
    ]


def test_a_named_index_stands_in_the_one_head():
    frame = pd.DataFrame({"row": ["RES", "AMF"], "clean": [1, 2]}).set_index("row")
    assert shown(frame) == ["| row | clean |", "| --- | --- |", "| RES | 1 |", "| AMF | 2 |"]
    frame.columns.name = "evaluator"
    assert shown(frame)[0] == "| evaluator row | clean |"
