"""A prediction again without one of its parts: without each word, and without the neighbour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from tvnet.prediction import SMALL, Prediction, WithoutWord, at_size, iou


def without_each_part(
    whole: Prediction, logits: Callable[..., torch.Tensor], shared: bool
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
    logits: Callable[..., torch.Tensor],
    shared: bool,
) -> torch.Tensor:
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
