"""The progress of a run: a plot that is redrawn, or a line of text every few seconds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import nn

PLAIN = "TVNET_PLAIN"  # set where nobody watches: lines instead of a plot


class Watch:
    """Give it to `train` as `report`, and `validation(judge)` as `validate`.

    In a notebook it draws loss and IoU; elsewhere, and where TVNET_PLAIN is set, it prints a line.
    Every `pause` seconds at most, by default 5 for the plot and 60 for lines, which all remain to
    be read, and after the last of `steps`.
    """

    def __init__(self, steps: int, pause: float | None = None):
        self.steps = steps
        self.losses: dict[int, float] = {}  # by the number of finished steps
        self.scores: dict[int, float] = {}
        self.began = self.shown = time.monotonic()
        self.live = "ipykernel" in sys.modules and not os.environ.get(PLAIN)
        self.pause = (5 if self.live else 60) if pause is None else pause
        self.place: Any = None  # the output cell of the plot

    def __call__(self, step: int, loss: float) -> None:
        """One step is done."""
        self.losses[step + 1] = loss
        if step + 1 == self.steps or time.monotonic() - self.shown >= self.pause:
            self.show()

    def validation(self, judge: Callable[[nn.Module], float]) -> Callable[[nn.Module], float]:
        """The same judge, its scores recorded."""

        def validate(model: nn.Module) -> float:
            score = judge(model)
            self.scores[max(self.losses)] = score
            if max(self.losses) == self.steps:
                self.show()
            return score

        return validate

    def line(self) -> str:
        """The state of the run in one line."""
        first, last = min(self.losses), max(self.losses)
        took = time.monotonic() - self.began
        left = took / (last - first + 1) * (self.steps - last)
        iou = "".join(f"  IoU {score:.1f} after {n}" for n, score in [*self.scores.items()][-1:])
        return f"step {last}/{self.steps}  loss {self.losses[last]:.0f}{iou}  {_time(left)} left"

    def show(self) -> None:
        """Draw or print it now."""
        self.shown = time.monotonic()
        if not self.live:
            print(self.line(), flush=True)
            return
        from IPython.display import display

        figure = self.plot()
        if self.place is None:
            self.place = display(figure, display_id=True)
        else:
            self.place.update(figure)
        plt.close(figure)

    def plot(self) -> Figure:
        """The loss, its mean over ten steps, and the IoU of each validation."""
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(2, 1))
        steps, losses = np.array([*self.losses]), np.array([*self.losses.values()])
        left.plot(steps, losses, alpha=0.3)
        if len(losses) >= 10:
            left.plot(steps[9:], np.convolve(losses, np.ones(10) / 10, mode="valid"))
        left.set(
            xlabel="step", ylabel="loss", yscale="log", title=self.line(), xlim=(0, self.steps)
        )
        right.plot([*self.scores], [*self.scores.values()], marker="o")
        right.set(
            xlabel="step", ylabel="overall IoU, %", xlim=(0, self.steps * 1.05), ylim=(0, None)
        )
        figure.tight_layout()
        return figure


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if seconds >= 90 else f"{seconds:.0f} s"
