"""What both tabs of the explorer consist of: a status line, panels, and callbacks whose errors are
shown as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from html import escape

import ipywidgets as widgets

from tvnet.course.explorer.canvas import NARROW, Panel, jpeg


def reports_errors(method: Callable) -> Callable:
    """Make a callback that shows any error as a sentence in the status line.

    Jupyter would drop the exception. Changes that the callback makes trigger no other callback, and
    events that arrive meanwhile wait: JupyterLab hands them to several threads of the kernel.
    """

    @wraps(method)
    def run(self: Reporting, *change: object) -> None:
        with self.turn:
            if self.busy:  # a running callback has changed a control
                return
            self.busy = True
            try:
                method(self, *change)
            except (ValueError, OSError) as error:
                self.say(str(error), wrong=True)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
                self.say(f"This should not have happened: {found}. Try another.", wrong=True)
            finally:
                self.busy = False

    return run


def line(*children: widgets.Widget) -> widgets.Box:
    """Controls in one line, or in more where the page is narrow."""
    return widgets.Box(list(children)).add_class("tv-line")


def wrapped() -> widgets.Box:
    """Where panels or cards stand side by side, in as many lines as they need."""
    return widgets.Box(layout=widgets.Layout(flex_flow="row wrap"))


class Reporting(widgets.VBox):
    """A tab with its status line and its panels. turn: what one callback holds at a time."""

    def __init__(self, turn: threading.RLock):
        super().__init__()
        self.turn, self.busy = turn, False
        self.status = widgets.HTML().add_class("tv-status")
        self.panels = wrapped().add_class("tv-panels")

    def show_panels(self, drawn: list[Panel], place: widgets.Box | None = None) -> None:
        """Show these panels in place of the last ones; place: another box than `panels`."""
        place = place or self.panels
        boxes = list(place.children)
        while len(boxes) < len(drawn):
            box = widgets.VBox([widgets.Image(format="jpeg"), widgets.HTML()])
            boxes.append(box.add_class("tv-panel"))
        for box, panel in zip(boxes, drawn, strict=False):
            image, caption = box.children[:2]
            image.value = jpeg(panel.pixels)
            image.layout.width = f"{panel.pixels.shape[1]}px"
            caption.layout.width = f"{max(panel.pixels.shape[1], NARROW)}px"
            caption.value = escape(panel.caption)
        place.children = boxes[: len(drawn)]
        self._drawn = drawn

    def say(self, sentence: str, wrong: bool = False, remarks: list[str] | None = None) -> None:
        """Put a sentence into the status line, and remarks that a reader should not overlook."""
        kind = "tv-wrong" if wrong else "tv-warn" if remarks else "tv-fine"
        text = escape(" ".join([sentence, *(remarks or [])]))
        self.status.value = f'<div role="status" class="{kind}">{text}</div>'
