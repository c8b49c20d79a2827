"""What a predictor answers: a mask, where it comes from, every tensor between; and the same again
without each word, and without the neighbour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tvnet.data.images import Placement, crop_and_resize
from tvnet.data.photo import FRAMES
from tvnet.model.trace import Trace
from tvnet.retrieval.online import Candidate, EncodedImage

NEIGHBOURS = ("retrieved", "none", "random", "self")
SMALL = 640  # pixels of the longer side of a mask without one word


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
        """What a reader should know of it, as sentences."""
        found = []
        if self.left_out:
            count = len(self.words) + self.left_out
            found.append(f"Only the first {len(self.words)} of {count} words are read.")
        if frames := self.encoded.picture.info.get(FRAMES):
            found.append(f"The file holds {frames} pictures: only the first is looked at.")
        if unknown := self.unknown_words:
            more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
            listed = ", ".join(f"'{word.strip():.30}'" for word in unknown[:8])
            it = "it" if len(unknown) == 1 else "them"
            found.append(f"The model does not know {listed}{more}: no training text holds {it}.")
            if self.knows_no_word:
                found.append("It knows no word here, so the mask follows from the picture alone.")
        if not self.mask.any():
            found.append("The mask is empty: no pixel is more likely inside than outside.")
        return found


@dataclass(frozen=True, eq=False)
class WithoutWord:
    """The prediction for an expression that lacks one of its words, its longer side SMALL pixels
    where the picture's is longer."""

    word: str
    mask: np.ndarray  # (h, w) bool
    probability: np.ndarray  # (h, w) float32
    iou: float  # of this mask with that of the whole expression; 1 where both are empty


def at_size(logits: Tensor, place: Placement) -> tuple[np.ndarray, np.ndarray]:
    """Logits (B, 1, size, size) -> probabilities (B, H, W) float32 and masks (B, H, W) bool."""
    resized = crop_and_resize(logits, place)[:, 0]
    mask = (resized > 0).numpy()
    return resized.sigmoid_().numpy(), mask


def iou(mask: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks (H, W) bool; 1 where both are empty."""
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 1.0


def without_each_part(
    whole: Prediction, logits: Callable[..., Tensor], shared: bool
) -> tuple[list[WithoutWord], np.ndarray | None]:
    """The masks without each word, and the mask (H, W) bool without the neighbour.

    logits: a predictor's, of a picture, the pictures that enrich and lists of words; shared:
    whether the levels share the weights of RES. One batched pass; two where they do.
    """
    texts = [whole.words[:k] + whole.words[k + 1 :] for k in range(len(whole.words))]
    found = _together(whole, texts, logits, shared)
    place = whole.encoded.place
    scale = min(1, SMALL / max(place.height, place.width))
    height, width = (max(1, round(scale * side)) for side in (place.height, place.width))
    small = replace(place, height=height, width=width)
    full = at_size(whole.trace.logits, small)[1][0]
    words = []
    for word, p, m in zip(whole.words, *at_size(found[: len(texts)], small), strict=True):
        words.append(WithoutWord(word, m, p, iou(m, full)))
    alone = None if whole.similar is None else at_size(found[len(texts) :], place)[1][0]
    return words, alone


def _together(
    whole: Prediction,
    texts: list[tuple[str, ...]],
    logits: Callable[..., Tensor],
    shared: bool,
) -> Tensor:
    """Those of each text with `whole`'s neighbour, then those of all words without it.

    RES reads no word, so `whole`'s V' stand in for the maps, and no batch enriches them again.
    """
    encoded, similar = whole.encoded, whole.similar
    if similar is None:
        return logits(encoded, [None], texts)
    if shared or not whole.trace.V_prime:  # of another width than the maps, or not kept
        alone = logits(encoded, [None], [whole.words])
        return torch.cat([logits(encoded, [similar] * len(texts), texts), alone])
    enriched = encoded.maps | {f"V{n}": V for n, V in whole.trace.V_prime.items()}
    batch = {
        name: torch.cat([enriched[name].expand(len(texts), -1, -1, -1), V])
        for name, V in encoded.maps.items()
    }
    return logits(replace(encoded, maps=batch), [None], [*texts, whole.words])
