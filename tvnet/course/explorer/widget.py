"""`tvnet.Explorer()`: type an expression, choose the retrieved picture, see every layer.

A thin shell: `view.look` decides what is shown and `layers.draw` how. It keeps to the core of
ipywidgets 7.7, so that it runs in every notebook; every error becomes a sentence in the status
line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, partial, wraps

from tvnet.course.explorer.canvas import cells_of, most_probable_cell
from tvnet.course.explorer.cards import Gallery, Strip
from tvnet.course.explorer.layers import WITH_LEVEL, draw, neighbour_name, short
from tvnet.course.explorer.page import Page, uploaded
from tvnet.course.explorer.view import (
    Example,
    Predictors,
    Query,
    View,
    known_query,
    look,
    photo_query,
    shipped,
    shipped_examples,
    spread,
)
from tvnet.data.photo import Photo
from tvnet.prediction import NEIGHBOURS

KINDS = {"spread": "example", "worst": "failure"}
KEPT = 16  # views that are kept, so that going back to one runs no model


def _reports_errors(method: Callable) -> Callable:
    """Make a callback that shows any error as a sentence in the status line.

    Jupyter would drop the exception. Changes that the callback makes trigger no other callback, and
    events that arrive meanwhile wait: JupyterLab hands them to several threads of the kernel.
    """

    @wraps(method)
    def run(self: Explorer, *change: object) -> None:
        with self._turn:
            if self._busy:  # a running callback has changed a control
                return
            self._busy = True
            try:
                method(self, *change)
            except (ValueError, OSError) as error:
                self.say(str(error), wrong=True)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
                self.say(f"This should not have happened: {found}. Try another.", wrong=True)
            finally:
                self._busy = False

    return run


class Explorer(Page):
    """Any picture, any expression, any neighbour, and every layer of the model.

    image and expression: the first ones; by default an example's. predictors: row -> Predictor,
    side by side, the last one in detail; by default the shipped rows. Raises ValueError or
    FileNotFoundError when there is no model or no picture.
    """

    def __init__(
        self,
        image: Photo | None = None,
        expression: str | None = None,
        predictors: Predictors | None = None,
    ):
        self.predictors = predictors or shipped()
        chosen = list(self.predictors.values())[-1]
        data = chosen.retriever.data
        self.examples = (
            spread(data, chosen.model.settings.data.eval_split)
            if predictors
            else shipped_examples(data)
        )
        self._look = lru_cache(KEPT)(partial(look, self.predictors))
        self._query_of = lru_cache(KEPT)(partial(known_query, self.predictors))
        self._uploads: list[Query] = []
        self._neighbour: str | int = "retrieved"
        self._turn, self._busy = threading.RLock(), True  # until it is complete
        self.view: View | None = None
        self.strip = Strip(data, self._use_candidate)
        self.gallery = Gallery(self._open_failure)
        failures = any(e.kind == "worst" for e in self.examples)
        super().__init__([self.strip.box, *([self.gallery.box] if failures else [])])
        self._list_pictures()
        # An example of middle IoU: neither the best nor the worst.
        self._open([e.kind for e in self.examples].count("spread") // 2)
        if image is not None:
            self._add(photo_query(self.predictors, image))
        if expression is not None:
            self.expression.value = expression
        self._show()
        self._busy = False
        self._listen()

    def _listen(self) -> None:
        for control, callback in (
            (self.picture, self._choose_picture),
            (self.upload, self._read_upload),
            (self.expression, self._type),
            (self.sentences, self._pick),
            (self.neighbour, self._choose_neighbour),
            (self.layer, self._redraw),
            (self.opacity, self._redraw),
            (self.level, self._redraw),
            (self.row, self._redraw),
            (self.column, self._redraw),
        ):
            control.observe(callback, names="value")
        self.gallery.box.observe(self._open_gallery, names="selected_index")

    # -- events

    @_reports_errors
    def _choose_picture(self, change: object) -> None:
        self._open(self.picture.value)
        self._show()

    @_reports_errors
    def _read_upload(self, change: object) -> None:
        image, name = uploaded(self.upload)
        self._add(photo_query(self.predictors, image, name))
        self._show()

    @_reports_errors
    def _type(self, change: object) -> None:
        self._ask()

    @_reports_errors
    def _pick(self, change: object) -> None:
        if self.sentences.value:
            self.expression.value = self.sentences.value
            self._ask()

    @_reports_errors
    def _choose_neighbour(self, change: object) -> None:
        self._enrich_by(self.neighbour.value)
        self._show()

    @_reports_errors
    def _use_candidate(self, image_id: int) -> None:
        self._enrich_by(image_id)
        self._show()

    @_reports_errors
    def _redraw(self, change: object) -> None:
        self._draw()

    @_reports_errors
    def _open_gallery(self, change: object) -> None:
        if self.gallery.box.selected_index is None or self.gallery.cards:
            return
        for place, example in enumerate(self.examples):
            if example.kind == "worst":
                view = self._look(self._query_of(example.image_id), example.text, "retrieved")
                self.gallery.add(place, view)

    @_reports_errors
    def _open_failure(self, place: int) -> None:
        self.layer.value = "error"
        self._open(place)
        self._show()

    # -- updates

    def _list_pictures(self) -> None:
        labels = [f"{KINDS[e.kind]} · {e.text}" for e in self.examples]
        labels += [f"yours · {short(query.name)}" for query in self._uploads]
        self.picture.options = [(label, i) for i, label in enumerate(labels)]

    def _open(self, place: int) -> None:
        """Make an example or an uploaded picture the query."""
        known = place < len(self.examples)
        example: Example | None = self.examples[place] if known else None
        self._query = (
            self._query_of(example.image_id) if known else self._uploads[place - len(self.examples)]
        )
        self.picture.value = place
        self.sentences.options = [
            ("a sentence of this picture", ""),
            *((short(text), text) for text in self._query.truths),
        ]
        if example is not None:
            self.expression.value = example.text
        self._enrich_by("retrieved")

    def _add(self, query: Query) -> None:
        self._uploads.append(query)
        self._list_pictures()
        self._open(len(self.examples) + len(self._uploads) - 1)

    def _ask(self) -> None:
        """Show what the expression finds."""
        if isinstance(self._neighbour, int):  # a candidate of the previous expression
            self._enrich_by("retrieved")
        self._show()

    def _enrich_by(self, neighbour: str | int) -> None:
        self._neighbour = neighbour
        self.neighbour.value = neighbour if neighbour in NEIGHBOURS else None

    def _show(self) -> None:
        """Run the models, unless this view is known, and show it."""
        self.view = view = self._look(self._query, self.expression.value, self._neighbour)
        picked = view.expression if view.expression in view.query.truths else ""
        self.sentences.value = picked
        self.strip.show(view)
        for box, cells, cell in zip(
            (self.row, self.column), cells_of(view), most_probable_cell(view), strict=True
        ):
            box.min = 0  # so that no bound is ever above the other
            box.max = cells.stop - 1
            box.min, box.value = cells.start, cell
        self._draw()

    def _draw(self) -> None:
        """Draw the layer from what has been computed already."""
        view, layer = self.view, self.layer.value
        with_cell = layer.startswith("attention")
        self.level.layout.display = "" if layer in WITH_LEVEL else "none"
        self.cell.layout.display = "" if with_cell else "none"
        cell = (self.row.value, self.column.value)
        drawn = draw(view, layer, self.opacity.value, self.level.value, cell)
        self.show_panels(drawn)
        iou = view.iou(view.prediction.mask)
        about = f"“{short(view.expression)}”, {neighbour_name(view)}."
        about += "" if iou is None else f" IoU {iou:.2f}."
        self.say(" ".join([f"{layer}: {about}", *view.prediction.remarks]))

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        return self.bundle(f"“{short(self.view.expression)}”")

    _ipython_display_ = None  # ipywidgets 7 defines it, and it would replace the bundle
