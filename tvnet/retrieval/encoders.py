"""Texts and pictures as unit vectors: the offline pair, TF-IDF and the backbone's pooled maps."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from PIL import Image

from tvnet.data.images import Placement, open_image, placement, resize_and_pad
from tvnet.data.records import ReferData
from tvnet.data.words import lower_nfc
from tvnet.model.backbone import Backbone


class TextEncoder(Protocol):
    """Anything that turns N texts into unit rows (N, d), dense or scipy sparse."""

    name: str
    about: dict | None  # what its rows depend on; None: quick, so its rows are not kept

    def encode(self, texts: list[str]) -> np.ndarray: ...


class ImageEncoder:
    """Turns N pictures into unit rows (N, d); each kind has its own `encode_images`."""

    name: str
    about: dict | None = None
    batch = 16

    def encode(self, data: ReferData, image_ids: np.ndarray) -> np.ndarray:
        """The pictures of a data set, a batch at a time."""
        parts = (image_ids[i : i + self.batch] for i in range(0, len(image_ids), self.batch))
        opened = ([open_image(data, int(image_id)) for image_id in part] for part in parts)
        return np.concatenate([self.encode_images(pictures) for pictures in opened])

    def encode_images(self, pictures: list[Image.Image]) -> np.ndarray:
        """RGB pictures of any sizes, in one batch."""
        raise NotImplementedError


class Tfidf:
    """Words and pairs of neighbours, weighted by how rare they are among the texts of the training
    split: the offline stand-in for DistilBERT (D39).
    """

    name, about = "tfidf", None

    def __init__(self, texts: list[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        rule = {"ngram_range": (1, 2), "token_pattern": r"\S+", "preprocessor": lower_nfc}
        self.vectoriser = TfidfVectorizer(**rule).fit(texts)

    def encode(self, texts: list[str]) -> np.ndarray:
        return self.vectoriser.transform(texts)


class PooledBackbone(ImageEncoder):
    """The mean of V5 over the cells that hold picture: the offline stand-in for VGG16 (D39)."""

    name = "backbone"

    def __init__(self, backbone: Backbone, size: int):
        self.backbone, self.size = backbone, size

    @torch.no_grad()
    def encode_images(self, pictures: list[Image.Image]) -> np.ndarray:
        squares = np.stack([resize_and_pad(picture, self.size) for picture in pictures])
        V5 = self.backbone(torch.from_numpy(squares).permute(0, 3, 1, 2))["V5"]
        return self.pooled(V5, [placement(p.height, p.width, self.size) for p in pictures])

    def pooled(self, V5: torch.Tensor, places: list[Placement]) -> np.ndarray:
        """The rows of maps (N, d, h, w) that have been computed already."""
        inside = (map_[:, *place.inner_cells] for map_, place in zip(V5, places, strict=True))
        features = np.stack([cells.mean(dim=(1, 2)).numpy() for cells in inside])
        return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)
