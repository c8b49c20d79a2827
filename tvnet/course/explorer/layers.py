"""The layers of an explorer, drawn: `draw(view, layer, opacity) -> panels`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from tvnet.course.explorer import inside
from tvnet.course.explorer.canvas import (
    HIT,
    MISSED,
    NARROW,
    SHADES,
    TRUTH,
    WIDTH,
    WRONG,
    Canvas,
    Panel,
    middle_of_mask,
    most_probable_cell,
    over,
    picture_of,
)
from tvnet.course.explorer.view import View


def draw(
    view: View,
    layer: str,
    opacity: float = 0.6,
    level: int = 4,
    cell: tuple[int, int] | None = None,
    wipe: float | None = None,
) -> list[Panel]:
    """The panels of one of LAYERS. opacity: of the overlay, 0 to 1.

    level: 3, 4 or 5, for attention and gates; cell: row and column of a map at 1/8 whose
    attention is shown, by default the most probable one; wipe: the share of the width that shows
    the mask before RES or AMF, by default to its middle; the rest shows it after. Raises
    ValueError for another layer.
    """
    if layer not in LAYERS:
        raise ValueError(f"There is no layer '{layer}': choose one of {', '.join(LAYERS)}.")
    width = NARROW if layer in SIDE_BY_SIDE else WIDTH
    cell = cell or most_probable_cell(view)
    wipe = middle_of_mask(view) if wipe is None else wipe
    return LAYERS[layer](Canvas(view, opacity, level, cell, width, wipe))


def neighbour_name(view: View) -> str:
    """The picture that enriches, in words."""
    found = view.prediction
    chosen = next((c for c in found.candidates if c.image_id == found.neighbour_id), None)
    if found.similar is None:
        return "no neighbour enriches: V′ = V_in"
    if found.neighbour == "self":
        return "the picture enriches itself"
    if chosen is None:
        why = "drawn at random" if found.neighbour == "random" else "which is no candidate"
        return f"enriched by picture {found.neighbour_id}, {why}"
    return (
        f"enriched by picture {chosen.image_id}, “{short(chosen.expression)}”, "
        f"number {chosen.final_rank} of {len(found.candidates)}"
    )


def short(text: str, limit: int = 60) -> str:
    """The beginning of a text that may be long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _mask_panel(c: Canvas) -> Panel:
    share = 100 * c.found.mask.mean()
    caption = f"“{short(c.view.expression)}”: {share:.1f} % of the picture, "
    caption += f"score {c.found.score:.2f}{c.with_iou(c.found.mask)}"
    return Panel(caption, c.masked(c.found.mask))


def _probability_panel(c: Canvas) -> Panel:
    height, width = c.picture.shape[:2]
    small = Image.fromarray((255 * c.found.probability).astype(np.uint8))
    values = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    caption = f"probability of “{short(c.view.expression)}”, from 0 (dark) to 1 (yellow)"
    return Panel(caption, over(c.picture, SHADES.take(values, axis=0), c.opacity))


def _beside(c: Canvas, other: Callable[[Canvas], Panel]) -> Panel:
    """The neighbour; another panel where nothing enriches, so that no place stays empty."""
    if c.found.similar is None:
        return other(c)
    return Panel(neighbour_name(c.view), picture_of(c.found.similar))


def _mask(c: Canvas) -> list[Panel]:
    return [_mask_panel(c), _beside(c, _probability_panel)]


def _probability(c: Canvas) -> list[Panel]:
    return [_probability_panel(c), _beside(c, _mask_panel)]


def _no_truth(c: Canvas) -> list[Panel]:
    caption = "No true mask is known for this picture and these words: pick a sentence of MiniRef."
    return [Panel(caption, c.picture)]


def _truth(c: Canvas) -> list[Panel]:
    if c.view.truth is None:
        return _no_truth(c)
    caption = f"the truth: {100 * c.view.truth.mean():.1f} % of the picture"
    return [Panel(caption, c.masked(c.view.truth, TRUTH)), _mask_panel(c)]


def _error(c: Canvas) -> list[Panel]:
    truth, mask = c.view.truth, c.found.mask
    if truth is None:
        return _no_truth(c)
    pixels = c.picture
    for colour, where in ((HIT, mask & truth), (MISSED, truth & ~mask), (WRONG, mask & ~truth)):
        pixels = over(pixels, colour, c.opacity, c.grown(where))
    caption = f"green: found, blue: missed, yellow: wrong{c.with_iou(mask)}"
    return [Panel(caption, pixels), Panel("the truth", c.masked(truth, TRUTH))]


def _words(c: Canvas) -> list[Panel]:
    panels = [Panel(f"all words{c.with_iou(c.found.mask)}", c.masked(c.found.mask))]
    for without in c.view.words:
        caption = f"without “{short(without.word, 20)}”: IoU with all words {without.iou:.2f}"
        panels.append(Panel(caption, c.masked(without.mask)))
    return panels


def _rows(c: Canvas) -> list[Panel]:
    return [
        Panel(f"{row}: {100 * mask.mean():.1f} %{c.with_iou(mask)}", c.masked(mask))
        for row, mask in c.view.rows.items()
    ]


GROUPS: dict[str, dict[str, Callable[[Canvas], list[Panel]]]] = {
    "the answer": {"mask": _mask, "probability": _probability, "truth": _truth, "error": _error},
    "its words": {"words": _words},
    "RES: the neighbour": {
        "attention A_l": inside.attention,
        "RES gates": inside.gates,
        "before and after RES": inside.around_res,
    },
    "AMF: the detail": {"AMF's A2": inside.a2, "before and after AMF": inside.around_amf},
    "all models": {"variants": _rows},
}
LAYERS = {name: drawing for group in GROUPS.values() for name, drawing in group.items()}
SIDE_BY_SIDE = ("words", "variants")
WITH_LEVEL = ("attention A_l", "RES gates")
WITH_WIPE = ("before and after RES", "before and after AMF")
