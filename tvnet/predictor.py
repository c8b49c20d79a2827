"""A trained model, its words and its retriever: a picture and an expression -> a `Prediction`.

tvnet.predict("photo.jpg", "left dog").mask
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tvnet.data.photo import Photo
from tvnet.data.words import UNK, Vocabulary
from tvnet.files import SHIPPED, read_json
from tvnet.model.method import Method
from tvnet.model.pretrained import load_backbone
from tvnet.model.trace import Trace
from tvnet.prediction import NEIGHBOURS, Prediction, WithoutWord, at_size, without_each_part
from tvnet.retrieval.online import Candidate, EncodedImage, Retriever
from tvnet.rows import BEST, ROWS
from tvnet.saved_model import MODELS, load_backbone_of
from tvnet.saved_model import load as load_saved

POOL = SHIPPED / "pool"  # a part of MiniRef
BATCH = 8  # expressions about one picture that are predicted at a time
Neighbour = tuple[str, int | None, EncodedImage | None]  # kind, image id, the picture that enriches


def load(
    model: str | Path = BEST,
    pool: Path | str = POOL,
    weights: Path | str | None = None,
    retriever: Retriever | None = None,
) -> Predictor:
    """A predictor of a shipped model (a row of Table 1) or of a folder that training wrote.

    pool: a data root with the model's data set, of whose training split images are retrieved.
    weights: of the backbone and the encoders, by default those of the pool's data root; MiniRef's
    ship. retriever: another predictor's, to share what it has computed. Raises FileNotFoundError or
    ValueError.
    """
    shipped = model in ROWS
    folder = MODELS / model.lower() if shipped else Path(model)
    if not folder.is_dir():
        raise ValueError(
            f"There is no model '{model}': choose one of {', '.join(ROWS)}, or name the folder of "
            "a trained one."
        )
    digests = None
    if shipped:
        report = read_json(MODELS / "shipped.json", dict, "install tvnet again")
        digests = report["rows"][model]["sha256"]
    network, vocabulary = load_saved(folder, digests=digests)
    chosen = network.settings
    if retriever is None:
        name = chosen.data.dataset
        if Path(pool) == POOL and not (POOL / "index" / f"{name}.json").is_file():
            raise ValueError(
                f"The pool that ships holds no '{name}', which the model in {folder} was trained "
                "on: name a data root that does as its pool (--pool)."
            )
        weights = Path(weights or Path(pool) / "weights")
        backbone = load_backbone(chosen.backbone, weights)
        if chosen.backbone.train_from != "none":
            load_backbone_of(folder, backbone)
        retriever = Retriever(chosen, backbone, Path(pool), weights)
    elif chosen.backbone.train_from != "none":
        raise ValueError(
            f"The model in {folder} has a trained backbone of its own, which this retriever lacks: "
            "load it without one."
        )
    for part in ("data", "backbone", "retrieval"):
        if getattr(retriever.chosen, part) != getattr(chosen, part):
            raise ValueError(
                f"The model in {folder} was made with other settings of '{part}' than this "
                "retriever: load it without one."
            )
    return Predictor(network, vocabulary, retriever)


@lru_cache(maxsize=len(ROWS))
def _shipped(row: str) -> Predictor:
    return load(row)


def predict(
    image: Photo,
    expression: str,
    neighbour: str | int | Photo = "retrieved",
    model: str | Path = BEST,
    pool: Path | str = POOL,
) -> Prediction:
    """One picture and one expression: what `load` and `Predictor` do, in one call."""
    ships = model in ROWS and Path(pool) == POOL
    predictor = _shipped(model) if ships else load(model, pool)
    return predictor(image, expression, neighbour)


class Predictor:
    """A trained model with its words and its retriever; `predictor(image, expression)`."""

    def __init__(self, model: Method, vocabulary: Vocabulary, retriever: Retriever):
        self.model, self.vocabulary, self.retriever = model, vocabulary, retriever
        self.encode_image = retriever.encode_image

    def __call__(
        self,
        image: Photo | EncodedImage,
        expression: str,
        neighbour: str | int | Photo | EncodedImage = "retrieved",
    ) -> Prediction:
        """A picture, or one that `encode_image` has read, and an expression.

        neighbour enriches: "retrieved" by the two stages; "none", V' = V_in (Eq. 2 without its
        second term, as no network was trained); "random", drawn from the pool by the expression;
        "self", the picture itself; an image id of the pool; or another picture, its file given as
        a Path. A model without RES has no use for any. Raises FileNotFoundError or ValueError.
        """
        encoded = image if isinstance(image, EncodedImage) else self.encode_image(image)
        return self._predictions(encoded, [expression], neighbour, Trace())[0]

    def sentences(
        self,
        image: Photo | EncodedImage,
        expressions: Sequence[str],
        neighbour: str | int | Photo | EncodedImage = "retrieved",
    ) -> Iterator[Prediction]:
        """The same for several expressions about one picture, which is encoded once.

        BATCH of them are predicted at a time; of their traces only the logits are kept.
        """
        encoded = image if isinstance(image, EncodedImage) else self.encode_image(image)
        for start in range(0, len(expressions), BATCH):
            part = expressions[start : start + BATCH]
            yield from self._predictions(encoded, part, neighbour)

    def _predictions(
        self,
        encoded: EncodedImage,
        expressions: Sequence[str],
        neighbour: str | int | Photo | EncodedImage,
        trace: Trace | None = None,
    ) -> list[Prediction]:
        """A given trace is filled with all that one pass computes."""
        words = [self.vocabulary.words_of(text, self.retriever.data.name) for text in expressions]
        read = [line[: self.model.settings.data.max_words] for line in words]
        candidates: list[tuple[Candidate, ...]] = [()] * len(words)
        chosen: list[Neighbour] = [("none", None, None)] * len(words)
        if self.model.settings.model.enrichment:
            candidates = [self.retriever.retrieve(encoded, text) for text in expressions]
            chosen = [
                self._neighbour(neighbour, encoded, text, found)
                for text, found in zip(expressions, candidates, strict=True)
            ]
        logits = self._logits(encoded, [similar for *_, similar in chosen], read, trace)
        probability, mask = at_size(logits, encoded.place)
        return [
            Prediction(
                mask=mask[n],
                probability=probability[n],
                score=float(probability[n][mask[n]].mean()) if mask[n].any() else 0.0,
                words=tuple(read[n]),
                unknown_words=tuple(
                    dict.fromkeys(word for word in read[n] if word not in self.vocabulary.ids)
                ),
                left_out=len(words[n]) - len(read[n]),
                candidates=candidates[n],
                neighbour=kind,
                neighbour_id=image_id,
                encoded=encoded,
                similar=similar,
                trace=trace or Trace(logits=logits[n : n + 1]),
            )
            for n, (kind, image_id, similar) in enumerate(chosen)
        ]

    def mask_like(self, other: Prediction) -> np.ndarray:
        """(H, W) bool, of the picture, words and neighbour of another row's prediction."""
        logits = self._logits(other.encoded, [other.similar], [other.words])
        return at_size(logits, other.encoded.place)[1][0]

    def without_each_part(self, whole: Prediction) -> tuple[list[WithoutWord], np.ndarray | None]:
        """The mask of each expression that lacks one word of `whole`'s, everything else equal; and
        the mask (H, W) bool without the neighbour, None where `whole` has none."""
        return without_each_part(whole, self._logits, self.model.settings.model.shared_enrichment)

    def _neighbour(
        self,
        asked: str | int | Photo | EncodedImage,
        encoded: EncodedImage,
        expression: str,
        candidates: tuple[Candidate, ...],
    ) -> Neighbour:
        if isinstance(asked, EncodedImage):
            return "picture", None, asked
        if isinstance(asked, str):
            if asked not in NEIGHBOURS:
                raise ValueError(
                    f"There is no neighbour '{asked}': choose one of {', '.join(NEIGHBOURS)}; an "
                    "image id of the pool is an int, a file is a Path."
                )
            if asked == "self":
                return asked, None, encoded
            if asked == "none" or not candidates:
                return "none", None, None
            if asked == "random":
                image_id = self.retriever.random(encoded, expression)
            else:
                image_id = min(candidates, key=lambda c: c.final_rank).image_id
            return asked, image_id, self.retriever.from_pool(image_id)
        if isinstance(asked, int | np.integer):
            return "pool", int(asked), self.retriever.from_pool(int(asked))
        return "picture", None, self.encode_image(asked)

    @torch.no_grad()
    def _logits(
        self,
        encoded: EncodedImage,
        similar: list[EncodedImage | None],
        texts: list[tuple[str, ...] | list[str]],
        trace: Trace | None = None,
    ) -> torch.Tensor:
        """Those (B, 1, size, size) of B lists of words, each with the picture that enriches it, or
        all of them without."""
        ids = [[self.vocabulary.ids.get(word, UNK) for word in text] or [UNK] for text in texts]
        lengths = torch.tensor([len(line) for line in ids])
        words = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in ids], True)
        n = len(ids)
        V_in = {name: V.expand(n, -1, -1, -1) for name, V in encoded.maps.items()}
        V_sim = valid = None
        if None not in similar:
            V_sim = {name: torch.cat([one.maps[name] for one in similar]) for name in V_in}
            valid = torch.cat([one.valid for one in similar])
        return self.model(V_in, V_sim, words, lengths, valid, trace=trace)
