"""The layers of an explorer, drawn: `draw(view, layer, opacity) -> panels`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from torch import Tensor

from tvnet.course.explorer.canvas import (
    HIT,
    MASK,
    MISSED,
    NARROW,
    SHADES,
    TRUTH,
    WIDTH,
    WRONG,
    Canvas,
    Panel,
    most_probable_cell,
    outline,
    over,
    picture_of,
)
from tvnet.course.explorer.view import View

DIGITS = str.maketrans("2345", "₂₃₄₅")


def draw(
    view: View,
    layer: str,
    opacity: float = 0.6,
    level: int = 4,
    cell: tuple[int, int] | None = None,
) -> list[Panel]:
    """The panels of one of LAYERS. opacity: of the overlay, 0 to 1.

    level: 3, 4 or 5, for attention and gates; cell: row and column of a map at 1/8 whose
    attention is shown, by default the most probable one. Raises ValueError for another layer.
    """
    if layer not in LAYERS:
        raise ValueError(f"There is no layer '{layer}': choose one of {', '.join(LAYERS)}.")
    width = NARROW if layer in SIDE_BY_SIDE else WIDTH
    return LAYERS[layer](Canvas(view, opacity, level, cell or most_probable_cell(view), width))


def neighbour_name(view: View) -> str:
    """The picture that enriches, in words."""
    found = view.prediction
    chosen = next((c for c in found.candidates if c.image_id == found.neighbour_id), None)
    if found.similar is None:
        return "no neighbour enriches: V′ = V_in"
    if found.neighbour == "self":
        return "the picture enriches itself"
    if chosen is None:
        return f"enriched by picture {found.neighbour_id}, drawn at random"
    return (
        f"enriched by picture {chosen.image_id}, “{short(chosen.expression)}”, "
        f"number {chosen.final_rank} of {len(found.candidates)}"
    )


def short(text: str, limit: int = 60) -> str:
    """The beginning of a text that may be long."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _neighbour(c: Canvas) -> list[Panel]:
    if c.found.similar is None:
        return []
    return [Panel(neighbour_name(c.view), picture_of(c.found.similar))]


def _mask(c: Canvas) -> list[Panel]:
    share = 100 * c.found.mask.mean()
    caption = f"“{short(c.view.expression)}”: {share:.1f} % of the picture, "
    caption += f"score {c.found.score:.2f}{c.with_iou(c.found.mask)}"
    return [Panel(caption, c.masked(c.found.mask)), *_neighbour(c)]


def _probability(c: Canvas) -> list[Panel]:
    height, width = c.picture.shape[:2]
    small = Image.fromarray((255 * c.found.probability).astype(np.uint8))
    values = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    caption = f"probability of “{short(c.view.expression)}”, from 0 (dark) to 1 (yellow)"
    return [Panel(caption, over(c.picture, SHADES[values], c.opacity)), *_neighbour(c)]


def _no_truth(c: Canvas) -> list[Panel]:
    caption = "No true mask is known for this picture and these words: pick a sentence of MiniRef."
    return [Panel(caption, c.picture)]


def _truth(c: Canvas) -> list[Panel]:
    if c.view.truth is None:
        return _no_truth(c)
    caption = f"the truth: {100 * c.view.truth.mean():.1f} % of the picture"
    return [Panel(caption, c.masked(c.view.truth, TRUTH)), _mask(c)[0]]


def _error(c: Canvas) -> list[Panel]:
    truth, mask = c.view.truth, c.found.mask
    if truth is None:
        return _no_truth(c)
    pixels = c.picture
    for colour, where in ((HIT, mask & truth), (MISSED, truth & ~mask), (WRONG, mask & ~truth)):
        pixels = over(pixels, colour, c.opacity, c.grown(where))
    caption = f"green: found, blue: missed, yellow: wrong{c.with_iou(mask)}"
    return [Panel(caption, pixels), Panel("the truth", c.masked(truth, TRUTH))]


def _without_neighbour(c: Canvas, what: str) -> list[Panel]:
    return [Panel(f"Nothing enriches here, so there is {what}: choose a neighbour.", c.picture)]


def _attention(c: Canvas) -> list[Panel]:
    if c.level not in c.trace.A:
        return _without_neighbour(c, "no attention")
    n = c.trace.V_in[c.level].shape[-1]
    row, column = c.cell
    weights = c.trace.A[c.level][0, row * n + column].reshape(n, n).numpy()
    marked = c.framed(c.masked(c.found.mask), row, column)
    even = 1 / max(1, int((weights > 0).sum()))
    return [
        Panel(f"the cell that looks: row {row}, column {column}", marked),
        Panel(
            f"A{str(c.level).translate(DIGITS)}: where it looks in the neighbour. Largest weight "
            f"{weights.max():.3f}, {weights.max() / even:.1f} times an even share",
            c.shaded(weights, c.found.similar, top=float(weights.max())),
        ),
    ]


def _gates(c: Canvas) -> list[Panel]:
    if c.level not in c.trace.gate:
        return _without_neighbour(c, "no gate")
    gate = c.trace.gate[c.level][0]
    V_in, added = c.trace.V_in[c.level][0], gate * c.trace.V_sim_prime[c.level][0]
    mean = gate.mean(0).numpy()
    share = (added.norm(dim=0) / V_in.norm(dim=0).clamp(min=1e-6)).numpy()
    inside, top = c.inside(mean), float(c.inside(share).max())
    digit = str(c.level).translate(DIGITS)
    return [
        Panel(
            f"the gate of RES on V{digit}, mean over its channels: "
            f"{inside.min():.2f} to {inside.max():.2f}; dark 0, yellow 1",
            c.shaded(mean),
        ),
        Panel(
            f"what the neighbour adds: |V{digit}′ − V{digit}| / |V{digit}|, at most {top:.2f} "
            "(yellow)",
            c.shaded(share, top=top),
        ),
    ]


def _words(c: Canvas) -> list[Panel]:
    panels = [Panel(f"all words{c.with_iou(c.found.mask)}", c.masked(c.found.mask))]
    for without in c.view.words:
        caption = f"without “{short(without.word, 20)}”: IoU with all words {without.iou:.2f}"
        panels.append(Panel(caption, c.masked(without.mask)))
    return panels


def _mean(map_: Tensor) -> np.ndarray:
    return map_[0].mean(0).numpy()


def _a2(c: Canvas) -> list[Panel]:
    if c.trace.A2 is None:
        return [Panel("This model has no AMF, so there is no A₂.", c.picture)]
    A2, passed = _mean(c.trace.A2), _mean(c.trace.A2 * c.trace.V2_prime)
    inside, top = c.inside(A2), float(c.inside(passed).max())
    return [
        Panel(
            f"A₂, how much of V₂′ may pass: {inside.min():.2f} to {inside.max():.2f}; dark 0, "
            "yellow 1",
            c.shaded(A2),
        ),
        Panel(
            f"A₂ ⊙ V₂′, what passes: mean over channels, at most {top:.2f} (yellow)",
            c.shaded(passed, top=top),
        ),
    ]


def _boundary(c: Canvas) -> list[Panel]:
    if c.view.closed is None:
        return [Panel("This model has no AMF, so there is no before and after.", c.picture)]
    before, after = c.grown(c.view.closed), c.grown(c.found.mask)
    pixels = over(c.picture, TRUTH, c.opacity, before & ~after)
    pixels = over(pixels, MASK, c.opacity, after & ~before)
    pixels = over(over(pixels, TRUTH, 1.0, outline(before)), MASK, 1.0, outline(after))
    changed = int(np.count_nonzero(c.view.closed ^ c.found.mask))
    return [
        Panel(
            f"blue: edge with A₂ = 0, before AMF{c.with_iou(c.view.closed)}; pink: after AMF"
            f"{c.with_iou(c.found.mask)}",
            pixels,
        ),
        Panel(f"the same, enlarged; {changed} pixels differ", _enlarged(pixels, before | after)),
    ]


def _enlarged(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of a picture around a mask, in the picture's own proportions."""
    height, width = mask.shape
    if not mask.any():
        return pixels
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    scale = max((np.ptp(ys) + 24) / height, (np.ptp(xs) + 24) / width, 0.15)
    h, w = min(height, int(scale * height)), min(width, int(scale * width))
    top = int(np.clip((ys[0] + ys[-1] - h) // 2, 0, height - h))
    left = int(np.clip((xs[0] + xs[-1] - w) // 2, 0, width - w))
    cut = Image.fromarray(pixels[top : top + h, left : left + w])
    return np.asarray(cut.resize((width, height), Image.Resampling.NEAREST))


def _rows(c: Canvas) -> list[Panel]:
    return [
        Panel(f"{row}: {100 * mask.mean():.1f} %{c.with_iou(mask)}", c.masked(mask))
        for row, mask in c.view.rows.items()
    ]


LAYERS: dict[str, Callable[[Canvas], list[Panel]]] = {
    "mask": _mask,
    "probability": _probability,
    "truth": _truth,
    "error": _error,
    "attention A_l": _attention,
    "RES gates": _gates,
    "words": _words,
    "AMF's A2": _a2,
    "before and after AMF": _boundary,
    "variants": _rows,
}
SIDE_BY_SIDE = ("words", "variants")
WITH_LEVEL = ("attention A_l", "RES gates")
