"""Cards of the explorer: thumbnail, button, a few words; the strip of candidates, the gallery."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from html import escape

import ipywidgets as widgets
import numpy as np
from PIL import Image

from tvnet.course.explorer.canvas import jpeg
from tvnet.course.explorer.layers import draw, short
from tvnet.course.explorer.panels import wrapped
from tvnet.course.explorer.view import View
from tvnet.data.images import open_image
from tvnet.data.records import ReferData
from tvnet.retrieval.online import Candidate

THUMBNAIL = 192  # pixels of a longer side; shown at half of it, for sharp screens


class Card:
    """A thumbnail with a button and a few words under it."""

    def __init__(self, pressed: Callable[[int], None]):
        self.key = 0
        self.image = widgets.Image(format="jpeg")
        self.button = widgets.Button()
        self.words = widgets.HTML()
        self.button.on_click(lambda button: pressed(self.key))
        self.box = widgets.VBox([self.image, self.button, self.words]).add_class("tv-card")

    def show(self, key: int, image: bytes, label: str, about: str, words: str) -> None:
        """about: the tooltip, one sentence; words: HTML."""
        self.key, self.image.value, self.words.value = key, image, words
        self.button.description, self.button.tooltip = label, about


class Strip:
    """The candidates of stage 1, the most similar text first."""

    def __init__(self, data: ReferData, pressed: Callable[[int], None]):
        self.pressed = pressed
        self.thumbnail = lru_cache(maxsize=512)(
            lambda image_id: thumbnail(open_image(data, image_id))
        )
        self.cards: list[Card] = []
        self.title = widgets.HTML()
        self.row = wrapped().add_class("tv-strip")
        self.box = widgets.VBox([self.title, self.row])
        self._shown: tuple[Candidate, ...] | None = None

    def show(self, view: View) -> None:
        found = view.prediction
        if found.candidates != self._shown:
            self._fill(found.candidates)
            self._shown = found.candidates
        for card in self.cards:
            chosen = found.similar is not None and card.key == found.neighbour_id
            (card.box.add_class if chosen else card.box.remove_class)("tv-chosen")

    def _fill(self, candidates: tuple[Candidate, ...]) -> None:
        while len(self.cards) < len(candidates):
            self.cards.append(Card(self.pressed))
        for card, c in zip(self.cards, candidates, strict=False):
            text, image = f"{c.text_similarity:.2f}", f"{c.image_similarity:.2f}"
            card.show(
                c.image_id,
                self.thumbnail(c.image_id),
                f"no. {c.final_rank}",
                f"Enrich by picture {c.image_id}, “{short(c.expression)}”: text {text}, rank "
                f"{c.text_rank}; image {image}, rank {c.image_rank}; final rank {c.final_rank}",
                f'<span class="tv-text">{escape(short(c.expression))}</span>'
                f"text {text} · {c.text_rank}<br>image {image} · {c.image_rank}",
            )
        self.row.children = [card.box for card in self.cards[: len(candidates)]]
        self.title.value = (
            f"<b>{len(candidates)} candidates</b>, the most similar text first: similarity · rank; "
            "the number on a button is the final rank. Press it to enrich by that picture."
            if candidates
            else "This model retrieves nothing."
        )


class Gallery:
    """Where the model fails, in the manner of Fig. 8; filled when it is first opened."""

    def __init__(self, pressed: Callable[[int], None]):
        self.pressed = pressed
        self.cards: list[Card] = []
        self.row = wrapped()
        self.box = widgets.Accordion([self.row], selected_index=None)
        self.box.set_title(0, "Where it fails, in the manner of Fig. 8")
        self.box.add_class("tv-gallery")

    def add(self, place: int, view: View) -> None:
        """place: the number that the button passes on."""
        card = Card(self.pressed)
        small = thumbnail(Image.fromarray(draw(view, "error")[0].pixels))
        iou = view.iou(view.prediction.mask)
        about = f"Look at “{view.expression}”, IoU {iou:.2f}"
        words = f'<span class="tv-text">{escape(view.expression)}</span>IoU {iou:.2f}'
        card.show(place, small, "look", about, words)
        self.cards.append(card)
        self.row.children = [*self.row.children, card.box]


def thumbnail(picture: Image.Image) -> bytes:
    """A picture, which is made small itself, as a JPEG."""
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return jpeg(np.asarray(picture))
