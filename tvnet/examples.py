"""Sentences of MiniRef's val with their truth: the worst failures, and a spread (Fig. 8).

`tvnet.release.ship` chose them by a rule; examples.json states it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tvnet.data import refer
from tvnet.files import read_json
from tvnet.predictor import POOL
from tvnet.saved_model import MODELS


@dataclass(frozen=True, eq=False)
class Example:
    """One sentence about a picture that training never showed."""

    expression: str
    image_id: int  # in the shipped pool, whose val it belongs to
    path: Path  # of the picture
    truth: np.ndarray  # (H, W) bool
    kind: str  # "worst" | "spread"
    iou: float  # of Baseline+RES+AMF when it was chosen, candidates taken from the whole of MiniRef


def examples() -> list[Example]:
    """All of them, the worst first."""
    chosen = read_json(MODELS / "examples.json", dict, "install tvnet again")
    data = refer.read(POOL, chosen["dataset"])
    samples = {sample.sent_id: sample for sample in data.samples(chosen["split"])}
    found = []
    for line in chosen["sentences"]:
        sample = samples[line["sent_id"]]
        path, truth = data.pictures[sample.image_id].path, data.mask(sample.ann_id)
        found.append(Example(sample.text, sample.image_id, path, truth, line["kind"], line["iou"]))
    return found
