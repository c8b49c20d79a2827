"""How far a download is: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time

EVERY = 10.0  # seconds between two plain lines


class Progress:
    """Call it with the bytes that are there; use it in a `with`."""

    def __init__(self, name: str, total: int | None):
        self.name, self.total, self.bar = name, total, None
        self.start = self.last = time.monotonic()
        self.first: int | None = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, desc=name, unit="B", unit_scale=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, have: int) -> None:
        if self.first is None or have < self.first:
            self.first = have
        now = time.monotonic()
        if self.bar is not None:
            self.bar.update(have - self.bar.n)
        elif now - self.last >= EVERY:
            self.last = now
            print(self.line(have, now - self.start), file=sys.stderr, flush=True)

    def line(self, have: int, seconds: float) -> str:
        """One plain line: bytes, rate, and the time left where the size is known."""
        rate = (have - (self.first or 0)) / max(seconds, 1e-9)
        text = f"{self.name}: {megabytes(have)}"
        if self.total:
            text += f" of {megabytes(self.total)}"
        text += f", {megabytes(rate)}/s"
        if self.total and rate > 0:
            text += f", {(self.total - have) / rate:.0f} s left"
        return text


def megabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
