"""The explorer's screen: which picture, words, neighbour and layer are shown, without any event."""

from __future__ import annotations

import threading
from functools import lru_cache, partial

from tvnet.course.explorer import address
from tvnet.course.explorer.canvas import cells_of, middle_of_mask, most_probable_cell
from tvnet.course.explorer.cards import Gallery, Strip
from tvnet.course.explorer.layers import (
    GROUPS,
    WITH_LEVEL,
    WITH_WIPE,
    draw,
    neighbour_name,
    short,
)
from tvnet.course.explorer.page import TABS, Page
from tvnet.course.explorer.pictures import YourPictures
from tvnet.course.explorer.view import (
    Example,
    Predictors,
    Query,
    View,
    known_query,
    look,
    photo_query,
)
from tvnet.prediction import NEIGHBOURS

KINDS = {"spread": "example", "worst": "failure"}
KEPT = 16  # views that are kept, so that going back to one runs no model


class Screen(Page):
    """A page with one view on it. examples: the known pictures to choose from; served: whether the
    page has an address that takes a state."""

    def __init__(self, predictors: Predictors, examples: list[Example], served: bool):
        data = list(predictors.values())[-1].retriever.data
        self.predictors, self.examples, self._served = predictors, examples, served
        self._look = lru_cache(KEPT)(partial(look, predictors))
        self._query_of = lru_cache(KEPT)(partial(known_query, predictors))
        self._uploads: list[Query] = []
        self._place: int = 0
        self._neighbour: str | int = "retrieved"
        self.view: View | None = None
        self._seen = self._place, self._neighbour  # what the view was made of
        turn = threading.RLock()
        self.strip = Strip(data, self._use_candidate)
        self.gallery = Gallery(self._open_failure)
        failures = any(e.kind == "worst" for e in examples)
        super().__init__([self.strip.box, *([self.gallery.box] if failures else [])], turn)
        read = partial(photo_query, predictors)
        self.yours = YourPictures(data, read, self._look, self._open_yours, turn, served)
        self.children = [*self.children, self.yours]
        self._choose_tab(TABS[0])
        self._list_pictures()

    def choose(self, layer: str) -> None:
        """Make a layer the one that is drawn."""
        self._offer(next(group for group, layers in GROUPS.items() if layer in layers))
        self.layer.value = layer

    def _choose_tab(self, name: str) -> None:
        for tab, box in zip(TABS, (self.inside, self.yours), strict=True):
            box.layout.display = "" if tab == name else "none"

    def _go_to(self, state: dict) -> None:
        """state: as `address.read` gives it; what it does not name stays as it is."""
        if "picture" in state:
            self._open([example.image_id for example in self.examples].index(state["picture"]))
        for name in ("expression", "opacity", "level"):
            if name in state:
                getattr(self, name).value = state[name]
        if "neighbour" in state:
            self._enrich_by(state["neighbour"])
        if "layer" in state:
            self.choose(state["layer"])
        self._show()
        if fine := {"row", "column", "wipe"} & state.keys():
            for name in fine:
                getattr(self, name).value = state[name]
            self._draw()
        self.draw_sliders()

    def _list_pictures(self) -> None:
        labels = [f"{KINDS[e.kind]} · {e.text}" for e in self.examples]
        labels += [f"yours · {short(query.name)}" for query in self._uploads]
        self.picture.options = [(label, i) for i, label in enumerate(labels)]

    def _open(self, place: int) -> None:
        """Make an example or an uploaded picture the query."""
        self._place, self.lesson.value = place, ""
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
        """Open a reader's picture, which stays in the list."""
        if query not in self._uploads:
            self._uploads.append(query)
            self._list_pictures()
        self._open(len(self.examples) + self._uploads.index(query))

    def _ask(self) -> None:
        """Show what the expression finds."""
        self.lesson.value = ""
        if isinstance(self._neighbour, int):  # a candidate of the previous expression
            self._enrich_by("retrieved")
        self._show()

    def _enrich_by(self, neighbour: str | int) -> None:
        self._neighbour = neighbour
        self.neighbour.value = neighbour if neighbour in NEIGHBOURS else None

    def _show(self) -> None:
        """Run the model, unless this view is known; show the mask at once, then the rest."""
        self.view = view = self._look(self._query, self.expression.value, self._neighbour)
        self._seen = self._place, self._neighbour
        self.sentences.value = view.expression if view.expression in view.query.truths else ""
        for box, cells, cell in zip(
            (self.row, self.column), cells_of(view), most_probable_cell(view), strict=True
        ):
            box.min = 0  # so that no bound is ever above the other
            box.max = cells.stop - 1
            box.min, box.value = cells.start, cell
        self.wipe.value = round(20 * middle_of_mask(view)) / 20
        self.draw_sliders()
        self._draw()
        self.strip.show(view)
        view.complete()

    def _draw(self) -> None:
        """Draw the layer from what has been computed already."""
        view, layer = self.view, self.layer.value
        attention = layer.startswith("attention")
        for box, used in (
            (self.level, layer in WITH_LEVEL),
            (self.cell, attention),
            (self.sliders["wipe"], layer in WITH_WIPE),
        ):
            box.layout.display = "" if used else "none"
        cell, wipe = (self.row.value, self.column.value), self.wipe.value
        self.show_panels(draw(view, layer, self.opacity.value, self.level.value, cell, wipe))
        self.let_point(attention and bool(view.prediction.trace.A))
        iou = view.iou(view.prediction.mask)
        about = f"“{short(view.expression)}”, {neighbour_name(view)}."
        about += "" if iou is None else f" IoU {iou:.2f}."
        self.say(f"{layer}: {about}", remarks=view.prediction.remarks)
        if self._seen[0] < len(self.examples):
            self.show_link(address.written(self._state()), self._served)
        else:
            self.link.value = "A link restores pictures of ours only: this one is yours."

    def _state(self) -> dict[str, object]:
        """What the link holds: what is seen, and nothing that is not."""
        layer, (place, neighbour) = self.layer.value, self._seen
        state = {
            "picture": self.examples[place].image_id, "expression": self.view.expression,
            "neighbour": neighbour, "layer": layer, "opacity": self.opacity.value,
        }  # fmt: skip
        state |= {"level": self.level.value} if layer in WITH_LEVEL else {}
        state |= {"wipe": self.wipe.value} if layer in WITH_WIPE else {}
        if layer.startswith("attention"):
            state |= {"row": self.row.value, "column": self.column.value}
        return state
