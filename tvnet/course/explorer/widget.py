"""`tvnet.Explorer()`: type an expression, choose the retrieved picture, see every layer.

A thin shell: `view.look` decides what is shown and `layers.draw` how. It keeps to the core of
ipywidgets 7.7, so that it runs in every notebook; every error becomes a sentence in the status
line.
"""

from __future__ import annotations

from functools import partial
from html import escape

import ipywidgets as widgets

from tvnet.course.explorer import address
from tvnet.course.explorer.canvas import cell_at, legacy
from tvnet.course.explorer.layers import short
from tvnet.course.explorer.page import TABS
from tvnet.course.explorer.panels import reports_errors
from tvnet.course.explorer.screen import Screen
from tvnet.course.explorer.view import (
    Predictors,
    Query,
    photo_query,
    shipped,
    shipped_examples,
    spread,
)
from tvnet.course.paper import load
from tvnet.data.photo import Photo


class Explorer(Screen):
    """Any picture, any expression, any neighbour, and every layer of the model.

    image and expression: the first ones; by default an example's. predictors: row -> Predictor,
    side by side, the last one in detail; by default the shipped rows. state: what "link to this
    view" gives, to begin there. Raises ValueError or FileNotFoundError when there is no model or no
    picture.
    """

    def __init__(
        self,
        image: Photo | None = None,
        expression: str | None = None,
        predictors: Predictors | None = None,
        state: str | None = None,
        served: bool = False,
    ):
        """served: on a page whose address takes a state."""
        if predictors:
            chosen = list(predictors.values())[-1]
            split = chosen.model.settings.data.eval_split
            super().__init__(predictors, spread(chosen.retriever.data, split), served)
        else:
            predictors = shipped()
            data = list(predictors.values())[-1].retriever.data
            super().__init__(predictors, shipped_examples(data), served)
            self._list_lessons()
        # An example of middle IoU: neither the best nor the worst.
        self._open([e.kind for e in self.examples].count("spread") // 2)
        if image is not None:
            self._add(photo_query(self.predictors, image))
        if expression is not None:
            self.expression.value = expression
        self._show()
        self._listen()
        if state:
            self.restore(state)

    def _listen(self) -> None:
        for control, callback in (
            (self.tabs, self._turn_to),
            (self.picture, self._choose_picture),
            (self.expression, self._type),
            (self.sentences, self._pick),
            (self.neighbour, self._choose_neighbour),
            (self.group, self._choose_group),
            (self.layer, self._redraw),
            (self.opacity, self._redraw),
            (self.wipe, self._redraw),
            (self.level, self._redraw),
            (self.row, self._redraw),
            (self.column, self._redraw),
            (self.pointed, self._point),
        ):
            control.observe(callback, names="value")
        self.gallery.box.observe(self._open_gallery, names="selected_index")

    # -- events

    @reports_errors
    def _turn_to(self, change: object) -> None:
        self._choose_tab(self.tabs.value)

    @reports_errors
    def _choose_picture(self, change: object) -> None:
        self._open(self.picture.value)
        self._show()

    @reports_errors
    def _type(self, change: object) -> None:
        self._ask()

    @reports_errors
    def _pick(self, change: object) -> None:
        if self.sentences.value:
            self.expression.value = self.sentences.value
            self._ask()

    @reports_errors
    def _choose_neighbour(self, change: object) -> None:
        self._enrich_by(self.neighbour.value)
        self._show()

    @reports_errors
    def _use_candidate(self, image_id: int) -> None:
        self._enrich_by(image_id)
        self._show()

    @reports_errors
    def _choose_group(self, change: object) -> None:
        self._offer(self.group.value)
        self._draw()

    @reports_errors
    def _redraw(self, change: object) -> None:
        self._draw()

    @reports_errors
    def _point(self, change: object) -> None:
        y, x = (float(share) for share in self.pointed.value.split())
        cells = cell_at(self.view.prediction.encoded.place, 8, legacy(self.view), 1000, 1000)
        cell = tuple(int(of[int(1000 * at)]) for of, at in zip(cells, (y, x), strict=True))
        if cell != (self.row.value, self.column.value):
            self.row.value, self.column.value = cell
            self._draw()

    @reports_errors
    def _open_gallery(self, change: object) -> None:
        if self.gallery.box.selected_index is None or self.gallery.cards:
            return
        for place, example in enumerate(self.examples):
            if example.kind == "worst":
                view = self._look(self._query_of(example.image_id), example.text, "retrieved")
                self.gallery.add(place, view)

    @reports_errors
    def _open_failure(self, place: int) -> None:
        self.choose("error")
        self._open(place)
        self._show()

    @reports_errors
    def _open_yours(self, query: Query, expression: str) -> None:
        self.tabs.value = TABS[0]
        self._choose_tab(TABS[0])
        self._add(query)
        self.expression.value = expression
        self._show()

    @reports_errors
    def restore(self, state: str) -> None:
        """Go to what a link says."""
        known = {example.image_id: place for place, example in enumerate(self.examples)}
        self._go_to(address.read(state, list(known)))

    def _list_lessons(self) -> None:
        self.lessons.children = [widgets.HTML("<b>Start here:</b>")]
        for lesson in load("lessons"):
            button = widgets.Button(description=lesson["name"], tooltip=lesson["expression"])
            button.on_click(partial(self._open_lesson, lesson))
            self.lessons.children = [*self.lessons.children, button]

    @reports_errors
    def _open_lesson(self, lesson: dict, button: object) -> None:
        self._go_to({"neighbour": "retrieved"} | lesson)
        self.lesson.value = f"<p>{escape(lesson['lesson'])}</p>"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        return self.bundle(f"“{short(self.view.expression)}”")

    _ipython_display_ = None  # ipywidgets 7 defines it, and it would replace the bundle
