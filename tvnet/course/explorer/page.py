"""The explorer's page: its controls by name, its panels, its status line, and a static preview of
them for readers without a kernel. It uses no model.

It keeps to the core of ipywidgets 7.7, so that it works in every notebook.
"""

from __future__ import annotations

import base64
import tempfile
import textwrap
from html import escape
from pathlib import Path

import ipywidgets as widgets
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tvnet.course.explorer.canvas import NARROW, Panel, png
from tvnet.course.explorer.layers import LAYERS
from tvnet.data.photo import read_photo
from tvnet.model.trace import LEVELS
from tvnet.prediction import NEIGHBOURS

# Megabytes that a server accepts in one message. Jupyter's is tornado's default of 10 MiB; ours is
# two bytes for each of the pixels that read_photo accepts, and as much as tornado buffers.
LIMITS = {"the app": 100, "JupyterLab": 10}
GAP, LINE = 12, 18  # pixels of the static preview
STYLE = """<style>
.tv-explorer { max-width: 1060px; font-size: 13px; }
.tv-explorer .widget-toggle-buttons { display: flex; }
.tv-explorer .widget-toggle-buttons .widget-label { text-align: right; margin-right: 8px; }
.tv-explorer .tv-fine, .tv-explorer .tv-wrong { line-height: 1.45; padding: 6px 12px;
  border-left: 4px solid #0072b2; background: rgba(0, 114, 178, .07); }
.tv-explorer .tv-wrong { border-color: #d55e00; background: rgba(213, 94, 0, .12); }
.tv-explorer .tv-limit { white-space: nowrap; flex-shrink: 0; }
.tv-explorer .tv-panel { margin: 4px 14px 4px 0; }
.tv-explorer .tv-panel img { border-radius: 4px; object-fit: contain; }
.tv-explorer .tv-panel .widget-html-content { line-height: 1.35; }
.tv-explorer .tv-card { width: 100px; margin: 2px 3px; padding: 2px; align-items: center;
  border: 2px solid transparent; border-radius: 6px; overflow: hidden; }
.tv-explorer .tv-chosen { border-color: #e6007e; background: rgba(230, 0, 126, .08); }
.tv-explorer .tv-card img { height: 72px; width: 96px; object-fit: contain; margin: 0; }
.tv-explorer .tv-card button { width: 92px; height: 22px; line-height: 22px; font-size: 11px; }
.tv-explorer .tv-card .widget-html-content { font-size: 10.5px; line-height: 1.25; width: 94px; }
.tv-explorer .tv-text { display: block; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-weight: 600; }
</style>"""


def _number(kind: type, name: str, **values: float) -> widgets.Widget:
    """A number field: screen readers do not read the name of a slider's handle."""
    style = {"description_width": "84px"}
    return kind(description=name, style=style, layout=widgets.Layout(width="170px"), **values)


class Page(widgets.VBox):
    """Every control under its name, the panels, and the widgets `below` them."""

    def __init__(self, below: list[widgets.Widget]):
        self._make_controls()
        self.cell = widgets.HBox([self.row, self.column])
        super().__init__(
            [
                widgets.HTML(STYLE),
                widgets.HBox([self.picture, self.upload, self.limit]),
                widgets.HBox([self.expression, self.sentences]),
                self.neighbour,
                self.layer,
                widgets.HBox([self.opacity, self.level]),
                self.cell,
                self.status,
                self.panels,
                *below,
            ]
        )
        self.add_class("tv-explorer")

    def _make_controls(self) -> None:
        whole, label = widgets.Layout(width="100%"), {"description_width": "84px"}
        self.picture = widgets.Dropdown(description="picture", layout=whole, style=label)
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="your own picture",
            layout=widgets.Layout(width="230px"),
        )  # fmt: skip
        most = ", ".join(f"{size} MB in {server}" for server, size in LIMITS.items())
        self.limit = widgets.HTML(f"at most {most}")
        self.expression = widgets.Text(
            description="expression", continuous_update=False, layout=whole, style=label,
            placeholder="what to look for, as in: left dog",
        )  # fmt: skip
        self.sentences = widgets.Dropdown(description="or pick", layout=whole, style=label)
        self.neighbour = widgets.ToggleButtons(
            description="enriched by", options=NEIGHBOURS, style=label | {"button_width": "auto"},
            tooltips=[
                "the picture that the two stages choose", "no picture: V' = V_in",
                "a picture of the pool, drawn by the expression", "the query itself",
            ],
        )  # fmt: skip
        self.layer = widgets.ToggleButtons(
            description="layer", options=list(LAYERS), style=label | {"button_width": "auto"}
        )
        self.opacity = _number(widgets.BoundedFloatText, "opacity", value=0.6, max=1, step=0.1)
        self.level = widgets.ToggleButtons(
            description="level", options=LEVELS, value=4, style=label | {"button_width": "48px"}
        )
        self.row = _number(widgets.BoundedIntText, "cell row")
        self.column = _number(widgets.BoundedIntText, "cell column")
        self.status = widgets.HTML()
        self.panels = widgets.Box(layout=widgets.Layout(flex_flow="row wrap"))
        for name in ("picture", "upload", "limit", "expression", "sentences", "neighbour", "layer",
                     "opacity", "level", "row", "column", "status", "panels"):  # fmt: skip
            control = getattr(self, name)
            control.add_class(f"tv-{name}")
            if control.has_trait("tooltip") and control.has_trait("description"):
                control.tooltip = control.description  # ipywidgets 8 would show "null"

    def show_panels(self, drawn: list[Panel]) -> None:
        """Show these panels in place of the last ones."""
        boxes = list(self.panels.children)
        while len(boxes) < len(drawn):
            box = widgets.VBox([widgets.Image(format="png"), widgets.HTML()])
            box.add_class("tv-panel")
            boxes.append(box)
        for box, panel in zip(boxes, drawn, strict=False):
            image, caption = box.children
            image.value = png(panel.pixels)
            image.layout.width = f"{panel.pixels.shape[1]}px"
            caption.layout.width = f"{max(panel.pixels.shape[1], NARROW)}px"
            caption.value = escape(panel.caption)
        self.panels.children = boxes[: len(drawn)]
        self._drawn = drawn

    def say(self, sentence: str, wrong: bool = False) -> None:
        """Put a sentence into the status line."""
        kind = "tv-wrong" if wrong else "tv-fine"
        self.status.value = f'<div role="status" class="{kind}">{escape(sentence)}</div>'

    def bundle(self, title: str) -> dict[str, object]:
        """The live widget, and a static preview for readers without a kernel."""
        return {
            "text/plain": f"Explorer of {title}",
            "image/png": base64.b64encode(png(static_preview(title, self._drawn))).decode(),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2, "version_minor": 0, "model_id": self.model_id,
            },
        }  # fmt: skip


def uploaded(control: widgets.FileUpload) -> tuple[Image.Image, str]:
    """The last picture that ipywidgets 7 or 8 has uploaded, and its name.

    Raises ValueError with a sentence.
    """
    files = control.value
    if isinstance(files, dict):  # ipywidgets 7: {name: {"content": bytes}}
        named = [(name, file["content"]) for name, file in files.items()]
    else:  # ipywidgets 8: ({"name": str, "content": memoryview}, ...)
        named = [(file["name"], file["content"]) for file in files]
    if not named:
        raise ValueError("No file was uploaded: choose a picture again.")
    name, content = named[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_photo(path), name
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), f"'{name}'")) from error


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
