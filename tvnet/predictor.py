"""A trained model, its words and its retriever: a picture and an expression -> a `Prediction`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from tvnet.data.images import Placement, crop_and_resize
from tvnet.data.photo import FRAMES, Photo
from tvnet.data.words import UNK, Vocabulary, tokenise, unspaced
from tvnet.model.method import Method
from tvnet.model.trace import Trace
from tvnet.retrieval.online import Candidate, EncodedImage, Retriever

NEIGHBOURS = ("retrieved", "none", "random", "self")
SMALL = 640  # pixels of the longer side of a mask that is one of many


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask and where it comes from."""

    mask: np.ndarray  # (H, W) bool: probability above one half
    probability: np.ndarray  # (H, W) float32
    score: float  # mean probability inside the mask, 0 where it is empty
    words: tuple[str, ...]  # that were read, at most T
    unknown_words: tuple[str, ...]  # those among them that training never showed
    left_out: int  # words after the first T
    candidates: tuple[Candidate, ...]  # of stage 1, best text first; () without RES
    neighbour: str  # one of NEIGHBOURS, "pool" or "picture"
    neighbour_id: int | None  # its image id, where it is one of the pool's
    encoded: EncodedImage  # the picture itself
    similar: EncodedImage | None  # the picture that enriched
    trace: Trace  # a rival fills the symbols that it shares

    @property
    def knows_no_word(self) -> bool:
        """Whether training showed the model none of the words that it read."""
        return len(self.unknown_words) == len(set(self.words))

    @property
    def remarks(self) -> list[str]:
        """What a reader should be told, as sentences."""
        told = []
        if self.left_out:
            count = len(self.words) + self.left_out
            told.append(f"Only the first {len(self.words)} of {count} words are read.")
        if frames := self.encoded.picture.info.get(FRAMES):
            told.append(f"The file holds {frames} pictures: only the first is looked at.")
        if unknown := self.unknown_words:
            more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
            listed = ", ".join(f"'{word.strip():.30}'" for word in unknown[:8])
            told.append(f"The model does not know {listed}{more}: it never saw them in training.")
            if self.knows_no_word:
                told.append("It knows no word here, so the mask follows from the picture alone.")
        if not self.mask.any():
            told.append("The mask is empty: no pixel is more likely inside than outside.")
        return told


@dataclass(frozen=True, eq=False)
class WithoutWord:
    """The prediction for an expression that lacks one of its words, its longer side SMALL pixels
    where the picture's is longer."""

    word: str
    mask: np.ndarray  # (h, w) bool
    probability: np.ndarray  # (h, w) float32
    iou: float  # of this mask with that of the whole expression; 1 where both are empty


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
        words = tokenise(self.retriever.normalise(expression))
        run = unspaced(expression)
        if run and not self.vocabulary.ids.keys() & {*tokenise(self.retriever.normalise(run))}:
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
