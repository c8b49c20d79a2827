"""Texts and pictures as unit vectors: the offline pair, TF-IDF and the backbone's pooled maps."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from PIL import Image

from tvnet.data.images import open_image, placement, resize_and_pad
from tvnet.data.refer import ReferData
from tvnet.data.words import one_form
from tvnet.model.backbone import Backbone


class TextEncoder(Protocol):
    """Anything that turns N texts into unit rows (N, d), dense or scipy sparse."""

    name: str
    about: dict | None  # what its rows depend on; None: quick, so its rows are not kept

    def encode(self, texts: list[str]) -> np.ndarray: ...


class ImageEncoder(Protocol):
    """Anything that turns N image ids of a data set, or N pictures, into unit rows (N, d)."""

    name: str
    about: dict | None

    def encode(self, data: ReferData, image_ids: np.ndarray) -> np.ndarray: ...

    def look(self, pictures: list[Image.Image]) -> np.ndarray: ...


class Tfidf:
    """Words and pairs of neighbouring words, weighted by how rare they are among given texts, which
    are those of the training split.

    The offline stand-in for DistilBERT (D39).
    """

    name, about = "tfidf", None

    def __init__(self, texts: list[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectoriser = TfidfVectorizer(
            ngram_range=(1, 2), token_pattern=r"\S+", preprocessor=one_form
        )
        self.vectoriser.fit(texts)

    def encode(self, texts: list[str]) -> np.ndarray:
        return self.vectoriser.transform(texts)


class PooledBackbone:
    """The mean of V5 over the cells that hold picture: the offline stand-in for VGG16 (D39)."""

    name, about = "backbone", None

    def __init__(self, backbone: Backbone, size: int, batch: int = 16):
        self.backbone, self.size, self.batch = backbone, size, batch

    def encode(self, data: ReferData, image_ids: np.ndarray) -> np.ndarray:
        starts = range(0, len(image_ids), self.batch)
        parts = (image_ids[start : start + self.batch] for start in starts)
        return np.concatenate([self.look([open_image(data, int(i)) for i in p]) for p in parts])

    @torch.no_grad()
    def look(self, pictures: list[Image.Image]) -> np.ndarray:
        """RGB pictures of any sizes, in one batch."""
        squares = np.stack([resize_and_pad(picture, self.size) for picture in pictures])
        V5 = self.backbone(torch.from_numpy(squares).permute(0, 3, 1, 2))["V5"]
        rows = []
        for picture, map_ in zip(pictures, V5, strict=True):
            place = placement(picture.height, picture.width, self.size)
            inside = map_[(slice(None), *place.inner_cells)]
            rows.append(inside.mean(dim=(1, 2)).numpy())
        features = np.stack(rows)
        return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)
