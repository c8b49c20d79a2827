"""The explorer's page: its controls by name, and a static preview for readers without a kernel. It
uses no model.

It keeps to the core of ipywidgets 7.7, so that it works in every notebook.
"""

from __future__ import annotations

import base64
import textwrap
import threading
from html import escape
from pathlib import Path

import ipywidgets as widgets
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tvnet.course.explorer.bridge import pointing, slider
from tvnet.course.explorer.canvas import Panel, png
from tvnet.course.explorer.layers import GROUPS
from tvnet.course.explorer.panels import Reporting, line
from tvnet.model.trace import LEVELS
from tvnet.prediction import NEIGHBOURS

GAP, LINE, ACROSS = 12, 18, 4  # of the static preview: pixels, and panels in a line
TABS = ("Look inside", "Your pictures")
STYLE = f"<style>\n{Path(__file__).with_name('page.css').read_text('utf-8')}</style>"
TITLE = (
    "<h2>What does the network see?</h2><p>Say what to look for. The network marks it, and shows "
    "each step between your words and its mask.</p>"
)
LABEL = {"description_width": "84px"}
NAMES = ("tabs", "picture", "expression", "sentences", "neighbour", "group", "layer", "opacity",
         "wipe", "level", "row", "column", "pointed")  # fmt: skip


def _share(name: str, value: float) -> widgets.BoundedFloatText:
    """A number that a slider of the bridge sets."""
    return widgets.BoundedFloatText(description=name, value=value, min=0, max=1, step=0.05)


def _cell(name: str) -> widgets.BoundedIntText:
    layout = widgets.Layout(width="150px")
    return widgets.BoundedIntText(description=name, style=LABEL, layout=layout)


class Page(Reporting):
    """Every control under its name, the panels, the widgets `below` them, and another tab."""

    def __init__(self, below: list[widgets.Widget], turn: threading.RLock):
        super().__init__(turn)
        self._make_controls()
        self.lessons = line().add_class("tv-lessons")
        self.lesson = widgets.HTML().add_class("tv-lesson")
        self.sliders = {name: widgets.HTML() for name in ("opacity", "wipe")}
        self.pointer = widgets.HTML(pointing("tv-pointed")).add_class("tv-pointer")
        self.cell = widgets.HBox([self.row, self.column])
        self.link = widgets.HTML().add_class("tv-link")
        self.inside = widgets.VBox(
            [
                self.lessons,
                self.lesson,
                line(self.picture, self.sentences),
                line(self.expression, self.neighbour),
                self.status,
                line(self.group, self.layer),
                line(*self.sliders.values(), self.level, self.cell),
                self.panels,
                self.link,
                *below,
                *(self.opacity, self.wipe, self.pointed),  # hidden
            ]
        )
        self.children = [widgets.HTML(STYLE), widgets.HTML(TITLE), self.tabs, self.inside]
        self.add_class("tv-explorer")

    def _make_controls(self) -> None:
        auto = LABEL | {"button_width": "auto"}
        self.tabs = widgets.ToggleButtons(options=TABS, description="tab", style={
            "button_width": "auto", "description_width": "0px"})  # fmt: skip
        self.picture = widgets.Dropdown(description="picture", style=LABEL)
        self.expression = widgets.Text(
            description="expression", continuous_update=False, style=LABEL,
            placeholder="what to look for, as in: left dog",
        )  # fmt: skip
        self.sentences = widgets.Dropdown(description="or pick", style=LABEL)
        self.neighbour = widgets.ToggleButtons(
            description="enriched by", options=NEIGHBOURS, style=auto,
            tooltips=[
                "the picture that the two stages choose", "no picture: V' = V_in",
                "a picture of the pool, drawn by the expression", "the query itself",
            ],
        )  # fmt: skip
        self.group = widgets.ToggleButtons(description="show", options=list(GROUPS), style=auto)
        self.layer = widgets.ToggleButtons(description="layer", style=auto)
        self.opacity, self.wipe = _share("opacity", 0.6), _share("before and after", 0.5)
        self.level = widgets.ToggleButtons(
            description="level", options=LEVELS, value=4, style=LABEL | {"button_width": "48px"}
        )
        self.row, self.column = _cell("cell row"), _cell("cell column")
        self.pointed = widgets.Text(description="pointed at", continuous_update=False)
        for name in NAMES:
            control = getattr(self, name)
            control.add_class(f"tv-{name}")
            if control.has_trait("tooltip"):
                control.tooltip = control.description  # ipywidgets 8 would show "null"
        for hidden in (self.opacity, self.wipe, self.pointed):
            hidden.add_class("tv-hidden")
        self._offer(list(GROUPS)[0])

    def _offer(self, group: str) -> None:
        """Let the reader choose among the layers of a group."""
        names = list(GROUPS[group])
        self.group.value, self.layer.options = group, names
        if self.layer.value not in names:
            self.layer.value = names[0]
        self.layer.layout.display = "" if len(names) > 1 else "none"

    def draw_sliders(self) -> None:
        """Put their handles where the numbers are; a reader who drags one has moved it already."""
        for name, box in self.sliders.items():
            number = getattr(self, name)
            box.value = slider(number.description, f"tv-{name}", number.value)

    def let_point(self, allowed: bool) -> None:
        """Whether pointing at the first panel chooses a cell."""
        first = self.panels.children[0]
        first.children = [*first.children[:2], *([self.pointer] if allowed else [])]

    def show_link(self, query: str, served: bool) -> None:
        """The state as a link, where the page has an address of its own, else as a call."""
        text = escape(query)
        call = f"<code>tvnet.Explorer(state=&quot;{text}&quot;)</code>"
        self.link.value = f'<a href="?{text}">link to this view</a>' if served else call

    def bundle(self, title: str) -> dict[str, object]:
        """The live widget, and a static preview for readers without a kernel."""
        return {
            "text/plain": f"Explorer of {title}",
            "image/png": base64.b64encode(png(static_preview(title, self._drawn))).decode(),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2, "version_minor": 0, "model_id": self.model_id,
            },
        }  # fmt: skip


def static_preview(title: str, panels: list[Panel]) -> np.ndarray:
    """(h, w, 3) uint8: the panels side by side under a title, each over its caption."""
    font = ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13
    )
    width = max(panel.pixels.shape[1] for panel in panels)
    height = max(panel.pixels.shape[0] for panel in panels)
    captions = [textwrap.wrap(panel.caption, width // 7) for panel in panels]
    step_x, step_y = width + GAP, height + GAP + LINE * max(map(len, captions))
    columns = min(ACROSS, len(panels))
    size = (GAP + columns * step_x, 2 * GAP + LINE + -(-len(panels) // columns) * step_y)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP // 2), title, "black", font)
    for place, (panel, lines) in enumerate(zip(panels, captions, strict=True)):
        x, y = GAP + place % columns * step_x, GAP + LINE + place // columns * step_y
        sheet.paste(Image.fromarray(panel.pixels), (x, y))
        pen.multiline_text((x, y + panel.pixels.shape[0] + 2), "\n".join(lines), "black", font)
    return np.asarray(sheet)
