"""A static preview of what an explorer shows, for readers without a kernel."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tvnet.course.explorer.canvas import Panel

GAP, LINE = 12, 18  # pixels


def static_preview(title: str, panels: list[Panel], columns: int = 4) -> np.ndarray:
    """(h, w, 3) uint8: the panels side by side under a title, each over its caption."""
    font = ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13
    )
    width = max(panel.pixels.shape[1] for panel in panels)
    height = max(panel.pixels.shape[0] for panel in panels)
    captions = [textwrap.wrap(panel.caption, width // 7) for panel in panels]
    step_x, step_y = width + GAP, height + GAP + LINE * max(map(len, captions))
    columns = min(columns, len(panels))
    size = (GAP + columns * step_x, 2 * GAP + LINE + -(-len(panels) // columns) * step_y)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP // 2), title, "black", font)
    for place, (panel, lines) in enumerate(zip(panels, captions, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + LINE + place // columns * step_y
        sheet.paste(Image.fromarray(panel.pixels), (x, y))
        pen.multiline_text((x, y + panel.pixels.shape[0] + 2), "\n".join(lines), "black", font)
    return np.asarray(sheet)
