"""The layers that look inside RES and AMF: attention, gates, the mask before and after each."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from tvnet.course.explorer.canvas import MASK, TRUTH, Canvas, Panel, outlined, over
from tvnet.course.explorer.view import attention_row

DIGITS = str.maketrans("2345", "₂₃₄₅")


def _not_here(c: Canvas, sentence: str) -> list[Panel]:
    return [Panel(sentence, c.picture), Panel("the mask", c.masked(c.found.mask))]


def _without_neighbour(c: Canvas, what: str) -> list[Panel]:
    return _not_here(c, f"Nothing enriches here, so there is {what}: choose a neighbour.")


def attention(c: Canvas) -> list[Panel]:
    if c.level not in c.trace.A:
        return _without_neighbour(c, "no attention")
    row, column = c.cell
    shares = attention_row(c.found, c.level, c.cell)
    top = float(shares.max())
    marked = c.framed(c.masked(c.found.mask), row, column)
    return [
        Panel(f"the cell that looks: row {row}, column {column}; point at another one", marked),
        Panel(
            f"A{str(c.level).translate(DIGITS)}: where it looks in the neighbour. Largest weight "
            f"{top / shares.sum():.3f}, {top:.1f} times an even share",
            c.shaded(shares, c.found.similar, top=top),
        ),
    ]


def gates(c: Canvas) -> list[Panel]:
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


def around_res(c: Canvas) -> list[Panel]:
    if c.found.similar is None:
        return _without_neighbour(c, "no before and after")
    return _before_and_after(c, c.view.unenriched, "RES (V′ = V_in)", "RES")


def a2(c: Canvas) -> list[Panel]:
    if c.trace.A2 is None:
        return _not_here(c, "This model has no AMF, so there is no A₂.")
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


def around_amf(c: Canvas) -> list[Panel]:
    if c.view.closed is None:
        return _not_here(c, "This model has no AMF, so there is no before and after.")
    return _before_and_after(c, c.view.closed, "AMF (A₂ = 0)", "AMF")


def _mean(map_: Tensor) -> np.ndarray:
    return map_[0].mean(0).numpy()


def _before_and_after(c: Canvas, mask: np.ndarray, before: str, after: str) -> list[Panel]:
    """The picture wiped from one mask to the other, and both edges where they differ."""
    small, big = c.grown(mask), c.grown(c.found.mask)
    old, new = c.filled(small, TRUTH), c.filled(big)
    border = round(c.wipe * old.shape[1])
    wiped = Image.fromarray(np.concatenate([old[:, :border], new[:, border:]], axis=1))
    line = (border, 0), (border, wiped.height)
    for width, colour in ((5, "black"), (3, "white")):
        ImageDraw.Draw(wiped).line(line, colour, width)
    edges = over(c.picture, TRUTH, c.opacity, small & ~big)
    edges = over(edges, MASK, c.opacity, big & ~small)
    edges = outlined(outlined(edges, TRUTH, small), MASK, big)
    changed = int(np.count_nonzero(mask ^ c.found.mask))
    return [
        Panel(
            f"left of the line, blue: before {before}{c.with_iou(mask)}; right, pink: after "
            f"{after}{c.with_iou(c.found.mask)}",
            np.asarray(wiped),
        ),
        Panel(
            f"both edges, enlarged: {changed} of {mask.size} pixels differ",
            _enlarged(edges, small | big),
        ),
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
