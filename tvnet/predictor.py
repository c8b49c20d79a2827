"""A trained model, its words and its retriever: a picture and an expression -> a `Prediction`.

tvnet.predict("photo.jpg", "left dog").mask
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tvnet.data.images import Placement, crop_and_resize
from tvnet.data.photo import Photo
from tvnet.data.words import UNK, Vocabulary, normalise_text, tokenise, unspaced
from tvnet.files import SHIPPED, read_json
from tvnet.model.method import Method
from tvnet.model.pretrained import load_backbone
from tvnet.model.trace import Trace
from tvnet.prediction import NEIGHBOURS, SMALL, Prediction, WithoutWord
from tvnet.retrieval.online import Candidate, EncodedImage, Retriever
from tvnet.rows import BEST, ROWS
from tvnet.saved_model import MODELS, load_backbone_of
from tvnet.saved_model import load as load_saved

POOL = SHIPPED / "pool"  # a part of MiniRef


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
                "on: name a data root that does as its pool."
            )
        weights = Path(weights or Path(pool) / "weights")
        backbone = load_backbone(chosen.backbone, weights)
        if chosen.backbone.train_from != "none":
            load_backbone_of(folder, backbone)
        retriever = Retriever(chosen, backbone, Path(pool), weights)
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
        words = self._words(expression)
        encoded = image if isinstance(image, EncodedImage) else self.encode_image(image)
        candidates: tuple[Candidate, ...] = ()
        kind, image_id, similar = "none", None, None
        if self.model.settings.model.enrichment:
            candidates = self.retriever.retrieve(encoded, expression)
            kind, image_id, similar = self._neighbour(neighbour, encoded, expression, candidates)
        trace = Trace()
        read = words[: self.model.settings.data.max_words]
        probability, mask = _at_size(self._logits(encoded, similar, [read], trace), encoded.place)
        return Prediction(
            mask=mask[0],
            probability=probability[0],
            score=float(probability[0][mask[0]].mean()) if mask[0].any() else 0.0,
            words=tuple(read),
            unknown_words=tuple(
                dict.fromkeys(word for word in read if word not in self.vocabulary.ids)
            ),
            left_out=len(words) - len(read),
            candidates=candidates,
            neighbour=kind,
            neighbour_id=image_id,
            encoded=encoded,
            similar=similar,
            trace=trace,
        )

    def without_each_word(self, whole: Prediction) -> list[WithoutWord]:
        """The mask of each expression that lacks one word of `whole`'s, everything else equal."""
        shorter = [whole.words[:k] + whole.words[k + 1 :] for k in range(len(whole.words))]
        place = whole.encoded.place
        scale = min(1, SMALL / max(place.height, place.width))
        height, width = (max(1, round(scale * side)) for side in (place.height, place.width))
        place = replace(place, height=height, width=width)
        full = _at_size(whole.trace.logits, place)[1][0]
        masks = _at_size(self._logits(whole.encoded, whole.similar, shorter), place)
        found = []
        for word, p, m in zip(whole.words, *masks, strict=True):
            union = np.count_nonzero(m | full)
            iou = np.count_nonzero(m & full) / union if union else 1.0
            found.append(WithoutWord(word, m, p, iou))
        return found

    def _words(self, expression: str) -> list[str]:
        if not isinstance(expression, str):
            raise ValueError(
                f"An expression of type {type(expression).__name__} cannot be read: give a text."
            )
        name = self.retriever.data.name
        words = tokenise(normalise_text(expression, name))
        run = unspaced(expression)
        if run and not self.vocabulary.ids.keys() & {*tokenise(normalise_text(run, name))}:
            raise ValueError(
                f"The model does not know '{run:.40}' as a word: put a space between the words of "
                "the expression, though its script has none."
            )
        if not words:
            raise ValueError(
                f"The expression '{expression.strip():.40}' holds no word: say what to look for, "
                "as in 'left dog'."
            )
        return words

    def _neighbour(
        self,
        asked: str | int | Photo | EncodedImage,
        encoded: EncodedImage,
        expression: str,
        candidates: tuple[Candidate, ...],
    ) -> tuple[str, int | None, EncodedImage | None]:
        """Kind, image id and the picture that enriches."""
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
        similar: EncodedImage | None,
        texts: list[tuple[str, ...] | list[str]],
        trace: Trace | None = None,
    ) -> torch.Tensor:
        """Those (B, 1, size, size) of B lists of words."""
        ids = [[self.vocabulary.ids.get(word, UNK) for word in text] or [UNK] for text in texts]
        lengths = torch.tensor([len(line) for line in ids])
        words = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in ids], True)
        n = len(ids)
        V_in = {name: V.expand(n, -1, -1, -1) for name, V in encoded.maps.items()}
        V_sim = valid = None
        if similar is not None:
            V_sim = {name: V.expand(n, -1, -1, -1) for name, V in similar.maps.items()}
            valid = similar.valid.expand(n, -1, -1)
        return self.model(V_in, V_sim, words, lengths, valid, trace=trace)


def _at_size(logits: torch.Tensor, place: Placement) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (B, H, W) float32 and masks (B, H, W) bool."""
    at_size = crop_and_resize(logits, place)[:, 0]
    mask = (at_size > 0).numpy()
    return at_size.sigmoid_().numpy(), mask
