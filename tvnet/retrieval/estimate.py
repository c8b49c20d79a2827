"""How long a build will take and how much it holds, measured on a few rows before the long part."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tvnet.data.refer import ReferData
from tvnet.retrieval.encoders import ImageEncoder, TextEncoder
from tvnet.retrieval.fast import probe, rate
from tvnet.retrieval.retrieve import Task, image_lines
from tvnet.retrieval.shards import Shards

SAMPLE = {"text": 256, "image": 8}  # rows that are timed


def estimate(
    given: Task,
    data: ReferData,
    text: TextEncoder,
    image: ImageEncoder,
    shards: Shards,
    device: str = "cpu",
) -> str:
    """One line a stage: what is to do, what is done already, and about how long the rest takes."""
    lines, width = [], 0
    if text.about:
        left = shards.missing("text", text.about, given.texts)
        some = _spread(given.texts, SAMPLE["text"])
        seconds, width = _seconds_a_row(lambda: text.encode(some), left)
        lines.append(_line("texts to encode", left, len(given.texts), seconds, shards.world.size))
    if image.about:
        left = shards.missing("image", image.about, image_lines(given, data))
        some = np.array(_spread(given.images, SAMPLE["image"]))
        seconds, d = _seconds_a_row(lambda: image.encode(data, some), left)
        lines.append(_line("images to encode", left, len(given.images), seconds, shards.world.size))
    if width:
        pairs = len({s.text for s in given.queries}) * len({s.text for s in given.pool})
        seconds = 2 * pairs * width / rate(probe(device), device) / shards.world.size
        lines.append(f"{pairs:,} pairs of texts to compare: {_span(1.3 * seconds)}")
    return "\n".join(lines)


def _spread(rows: list, count: int) -> list:
    """`count` of the rows, evenly spaced."""
    return list(rows[:: max(1, len(rows) // count)][:count])


def _seconds_a_row(encode: Callable[[], np.ndarray], left: int) -> tuple[float, int]:
    """Measured seconds a row, 0 with nothing left to do, and the length of a row."""
    start = time.perf_counter()
    rows = encode()
    return (time.perf_counter() - start) / len(rows) if left else 0.0, rows.shape[1]


def _line(what: str, left: int, count: int, seconds: float, processes: int) -> str:
    return f"{left:,} of {count:,} {what}: {_span(left * seconds / processes)}"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 6000 else f"about {seconds / 3600:.1f} h"
