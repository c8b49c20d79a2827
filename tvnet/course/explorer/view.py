"""What an explorer shows: all that the models find for one picture, expression and neighbour.

`look(predictors, query, expression, neighbour)` runs one model and gives a `View` with its mask.
What further layers show is computed once, when it is first asked for, so that drawing a layer
again runs no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tvnet.data.images import crop_and_resize, open_image
from tvnet.data.photo import Photo, read_photo
from tvnet.data.records import ReferData
from tvnet.data.words import normalise_text
from tvnet.files import read_json
from tvnet.model.amf import AMF
from tvnet.model.blocks import to_float32, upsample
from tvnet.prediction import Prediction, WithoutWord, iou
from tvnet.predictor import Predictor, load
from tvnet.retrieval.online import EncodedImage
from tvnet.rows import BEST, ROWS
from tvnet.saved_model import MODELS
from tvnet.settings import Settings

LARGEST = 640  # pixels of a longer side; larger uploads are scaled down first
EXAMPLES = 6  # of a data set that comes without a list of examples

Predictors = Mapping[str, Predictor]  # the rows side by side; the last one in detail


@dataclass(frozen=True)
class Example:
    """A sentence of a data set that the explorer offers."""

    image_id: int
    text: str
    kind: str  # "worst" | "spread"


@dataclass(frozen=True, eq=False)
class Query:
    """A picture, and its sentences whose true mask is known."""

    name: str
    encoded: EncodedImage
    truths: Mapping[str, np.ndarray]  # sentence -> (H, W) bool


@dataclass(frozen=True, eq=False)
class View:
    """What all rows find for one query, expression and neighbour."""

    predictors: Predictors
    query: Query
    expression: str
    prediction: Prediction  # of the last row

    @property
    def chosen(self) -> Predictor:
        """The row in detail."""
        return list(self.predictors.values())[-1]

    @property
    def settings(self) -> Settings:
        return self.chosen.model.settings

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """row -> mask (H, W) bool, all with the same neighbour."""
        found = self.prediction
        return {
            row: found.mask if p is self.chosen else p.mask_like(found)
            for row, p in self.predictors.items()
        }

    @cached_property
    def _left_out(self) -> tuple[list[WithoutWord], np.ndarray | None]:
        return self.chosen.without_each_part(self.prediction)

    @property
    def words(self) -> list[WithoutWord]:
        return self._left_out[0]

    @property
    def unenriched(self) -> np.ndarray | None:
        """(H, W) bool, the mask with V' = V_in; None where nothing enriches."""
        return self._left_out[1]

    @cached_property
    def closed(self) -> np.ndarray | None:
        """(H, W) bool, the mask with A2 = 0; None without AMF."""
        return _gate_closed(self.chosen, self.prediction)

    def complete(self) -> None:
        """Compute what layers show beyond the mask."""
        _ = self.rows, self.words, self.closed

    @property
    def truth(self) -> np.ndarray | None:
        """(H, W) bool, or None where no true mask is known for this expression."""
        return self.query.truths.get(normalise_text(self.expression))

    def iou(self, mask: np.ndarray) -> float | None:
        """Against the truth, which is never empty; None where it is not known."""
        return None if self.truth is None else iou(mask, self.truth)


def look(
    predictors: Predictors, query: Query, expression: str, neighbour: str | int = "retrieved"
) -> View:
    """Run the last row on it. neighbour: as `Predictor` takes it. Raises ValueError."""
    chosen = list(predictors.values())[-1]
    return View(predictors, query, expression, chosen(query.encoded, expression, neighbour))


def attention_row(found: Prediction, level: int, cell: tuple[int, int]) -> np.ndarray:
    """Where one cell looks in the neighbour: (n, n), 1 for an even share of its attention."""
    A = found.trace.A[level][0]
    n = round(len(A) ** 0.5)
    row = A[cell[0] * n + cell[1]].reshape(n, n).numpy()
    return row * int(found.similar.valid.sum())  # a sharp row has weights that round to zero


@torch.no_grad()
def _gate_closed(predictor: Predictor, found: Prediction) -> np.ndarray | None:
    """The mask with A2 = 0: Eq. 5 with Upsample(M_fine) alone."""
    model, trace = predictor.model, found.trace
    if not isinstance(model.high_resolution, AMF):
        return None
    nothing = torch.zeros_like(trace.V2_prime)
    M_fine_prime = model.high_resolution.merge(torch.cat([trace.U, nothing], dim=1))
    grid = model.settings.model.upsampling
    logits = upsample(to_float32(model.head(M_fine_prime)), model.settings.data.size, grid)
    return (crop_and_resize(logits, found.encoded.place)[0, 0] > 0).numpy()


def shipped() -> dict[str, Predictor]:
    """The rows of Table 1 that ship, trained on MiniRef; they share the encoding of a picture."""
    best = load(BEST)
    return {row: best if row == BEST else load(row, retriever=best.retriever) for row in ROWS}


def shipped_examples(data: ReferData) -> list[Example]:
    """The sentences that were chosen when the shipped model was trained, failures last."""
    chosen = read_json(MODELS / "examples.json", {"sentences": list}, "install tvnet again")
    lines = sorted(chosen["sentences"], key=lambda line: line["kind"])  # "spread" before "worst"
    samples = data.samples_of([line["sent_id"] for line in lines])
    return [Example(s.image_id, s.text, e["kind"]) for s, e in zip(samples, lines, strict=True)]


def spread(data: ReferData, split: str) -> list[Example]:
    """EXAMPLES sentences evenly over a split, each picture once."""
    of_image = {s.image_id: s.text for s in reversed(data.samples(split))}
    images = sorted(of_image)
    some = images[:: max(1, len(images) // EXAMPLES)][:EXAMPLES]
    return [Example(image_id, of_image[image_id], "spread") for image_id in some]


def known_query(predictors: Predictors, image_id: int) -> Query:
    """A picture of the predictors' data set, with its sentences."""
    retriever = list(predictors.values())[-1].retriever
    data = retriever.data
    truths = {
        normalise_text(sentence.text): data.mask(referent.ann_id)
        for referent in data.referents
        if referent.image_id == image_id
        for sentence in referent.sentences
    }
    return Query(f"picture {image_id}", retriever.encode_image(open_image(data, image_id)), truths)


def photo_query(predictors: Predictors, image: Photo, name: str = "your picture") -> Query:
    """A reader's picture, at most LARGEST pixels high and wide. Raises as `read_photo`."""
    picture = read_photo(image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BILINEAR)
    name = Path(image).name if isinstance(image, str | Path) else name
    return Query(name, list(predictors.values())[-1].retriever.encode_image(picture), {})
