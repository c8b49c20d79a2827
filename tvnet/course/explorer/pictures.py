"""The second tab: a reader's own picture, a sentence, the mask, and what each word does."""

from __future__ import annotations

import base64
import binascii
import tempfile
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image

from tvnet.course.explorer.bridge import drop_zone
from tvnet.course.explorer.canvas import png
from tvnet.course.explorer.cards import Strip
from tvnet.course.explorer.layers import draw, neighbour_name
from tvnet.course.explorer.panels import Reporting, line, reports_errors, wrapped
from tvnet.course.explorer.view import Query, View
from tvnet.data.photo import read_photo
from tvnet.data.records import ReferData

# Megabytes that a server accepts in one message. Jupyter's is tornado's default of 10 MiB; ours is
# two bytes for each of the pixels that read_photo accepts, and as much as tornado buffers.
LIMITS = {"the app": 100, "JupyterLab": 10}
BASE64 = 0.75  # of a dropped file's bytes are content


class YourPictures(Reporting):
    """read: a picture and its name -> Query; look: as `view.look`; opened: called with the picture
    and the expression when all layers are asked for."""

    def __init__(
        self,
        data: ReferData,
        read: Callable[[Image.Image, str], Query],
        look: Callable[[Query, str, str | int], View],
        opened: Callable[[Query, str], None],
        turn: threading.RLock,
        served: bool,
    ):
        super().__init__(turn)
        self._read, self._look, self._opened = read, look, opened
        self.query: Query | None = None
        self.view: View | None = None
        most = int(BASE64 * LIMITS["the app" if served else "JupyterLab"])
        self.drop = widgets.HTML(drop_zone("tv-dropped", most))
        self.dropped = widgets.Textarea(description="dropped", continuous_update=False)
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="or choose a file",
            layout=widgets.Layout(width="160px"),
        )  # fmt: skip
        limits = ", ".join(f"{size} MB in {server}" for server, size in LIMITS.items())
        self.limit = widgets.HTML(f"at most {limits}")
        self.expression = widgets.Text(
            description="expression", continuous_update=False,
            placeholder="what to look for, as in: left dog",
        )  # fmt: skip
        self.more = widgets.Button(
            description="look inside: every layer", layout=widgets.Layout(width="auto")
        )
        self.download, self.words = widgets.HTML(), wrapped().add_class("tv-panels")
        self.strip = Strip(data, self._use_candidate)
        heading = widgets.HTML("<b>What each word does</b>: the mask when it is left out")
        actions = line(self.download, self.more)
        self.found = widgets.VBox([actions, self.panels, heading, self.words, self.strip.box])
        self.found.layout.display = "none"
        self.children = [
            self.drop, line(self.upload, self.limit), line(self.expression), self.status,
            self.found, self.dropped,
        ]  # fmt: skip
        for name in ("upload", "limit", "expression", "download", "more", "dropped"):
            getattr(self, name).add_class(f"tv-{name}")
        for control in (self.upload, self.expression, self.more):
            control.tooltip = control.description
        self.dropped.add_class("tv-hidden")
        self.add_class("tv-yours")
        self.say("Choose a picture, then say what to look for.")
        self.dropped.observe(self._read_dropped, names="value")
        self.upload.observe(self._read_upload, names="value")
        self.expression.observe(self._ask, names="value")
        self.more.on_click(self._open)

    @reports_errors
    def _read_dropped(self, change: object) -> None:
        text, self.dropped.value = self.dropped.value, ""
        self._take(*dropped(text))

    @reports_errors
    def _read_upload(self, change: object) -> None:
        self._take(*uploaded(self.upload))

    @reports_errors
    def _ask(self, change: object) -> None:
        self._show("retrieved")

    @reports_errors
    def _use_candidate(self, image_id: int) -> None:
        self._show(image_id)

    @reports_errors
    def _open(self, button: object) -> None:
        self._opened(self.query, self.expression.value)

    def _take(self, picture: Image.Image, name: str) -> None:
        self.query = self._read(picture, name)
        if self.expression.value.strip():
            self._show("retrieved")
        else:
            self.found.layout.display = "none"
            self.say(f"'{name:.60}' is read. What should the network look for?")

    def _show(self, neighbour: str | int) -> None:
        """The mask at once, then what each word does."""
        if self.query is None:
            raise ValueError("There is no picture yet: drop one, or choose a file.")
        self.view = view = self._look(self.query, self.expression.value, neighbour)
        found = view.prediction
        self.show_panels(draw(view, "mask"))
        self.found.layout.display = ""
        self.say(f"“{view.expression}”, {neighbour_name(view)}.", remarks=found.remarks)
        self.download.value = download(found.mask, view.query.name)
        self.show_panels(draw(view, "words")[1:], self.words)
        self.strip.show(view)


def download(mask: np.ndarray, name: str) -> str:
    """A link that saves a mask as PNG, white where the referent is."""
    content = base64.b64encode(png(255 * mask.astype(np.uint8))).decode()
    file = escape(f"{Path(name).stem}-mask.png")
    height, width = mask.shape
    return (
        f'<a download="{file}" href="data:image/png;base64,{content}">download the mask</a> '
        f"(PNG, {width} x {height})"
    )


def dropped(text: str) -> tuple[Image.Image, str]:
    """A dropped picture and its name, from what the drop zone writes. Raises ValueError."""
    name, _, address = text.partition("\n")
    try:
        content = base64.b64decode(address.partition("base64,")[2], validate=True)
    except binascii.Error:
        raise ValueError(f"'{name:.60}' did not arrive whole: drop it again.") from None
    return _opened(name, content)


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
    return _opened(*named[-1])


def _opened(name: str, content: bytes) -> tuple[Image.Image, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_photo(path), name
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), f"'{name}'")) from error
