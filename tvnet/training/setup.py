"""Everything a run needs before its first step, opened or computed once per data root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import ReferDataset
from tvnet.data.glove import glove_rows
from tvnet.data.masks import store
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData
from tvnet.data.refer import require_world
from tvnet.data.words import Vocabulary, tokenise
from tvnet.model.pretrained import load_backbone
from tvnet.retrieval.build import neighbours_of
from tvnet.settings import Settings
from tvnet.training.candidates import WithCandidates
from tvnet.training.features import CachedFeatures, LiveFeatures


@dataclass
class Prepared:
    """Opened data: annotations, words, targets, the frozen backbone's maps, retrieved images."""

    data: ReferData
    vocabulary: Vocabulary
    cache: TrainingCache  # targets, and pictures where the backbone sees them
    features: CachedFeatures | LiveFeatures | WithCandidates
    neighbours: Neighbours | None  # None without enrichment
    word_rows: Tensor | None  # GloVe's, if asked for: the embedding before the first step

    def dataset(self, settings: Settings, split: str) -> ReferDataset:
        """One split as the model takes it, with retrieved images where the settings enrich."""
        neighbours = self.neighbours if settings.model.enrichment else None
        words = self.vocabulary, settings.data.max_words
        return ReferDataset(self.data, split, *words, self.cache, neighbours)

    def unknown_words(self, max_words: int) -> dict[str, dict[str, float]]:
        """Per split, in per cent: words and sentences outside the vocabulary, sentences cut."""
        table = {}
        for split in self.data.splits:
            texts = [sample.text for sample in self.data.samples(split)]
            words, sentences = self.vocabulary.unknown(texts)
            cut = sum(len(tokenise(text)) > max_words for text in texts) / len(texts)
            shares = {"words": words, "sentences": sentences, "cut": cut}
            table[split] = {name: round(100 * share, 2) for name, share in shares.items()}
        return table


def prepare(settings: Settings, data_dir: Path, out_dir: Path) -> Prepared:
    """Open a data root for one run; what can be computed once is kept in out_dir/cache.

    Raises FileNotFoundError when data, pictures, weights or the neighbours of these settings are
    missing, and ValueError when another drawn world lies there than the settings need, each time
    naming the command that makes them.
    """
    require_world(data_dir, settings.miniref_pictures)
    data = refer.read(data_dir, settings.data.dataset)
    missing = data.missing_pictures()
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(data.pictures)} pictures are missing, first {missing[0]}: "
            "fetch or draw the data again."
        )
    texts = [sample.text for sample in data.samples(settings.data.train_split)]
    neighbours = neighbours_of(settings, data, out_dir) if settings.model.enrichment else None
    cache = Path(out_dir) / "cache"
    weights = Path(data_dir) / "weights"
    backbone = load_backbone(settings.backbone, weights)
    if settings.training.cache_features and settings.backbone.train_from != "none":
        raise ValueError(
            f"cache_features is on while the backbone is trained from "
            f"{settings.backbone.train_from}: kept maps would grow stale, turn one of them off."
        )
    vocabulary = Vocabulary.build(texts)
    word_rows = None
    if settings.model.words == "glove":
        rows, _ = glove_rows(weights, vocabulary.words, settings.model.d_words)
        word_rows = torch.from_numpy(rows)
    if settings.training.cache_features:
        features = CachedFeatures(backbone, data, settings.data.size, cache)
    else:
        features = LiveFeatures(backbone, data, settings.data.size)
    masks = store(data, cache / f"masks-{data.name}-{data.fingerprint}.safetensors")
    targets = TrainingCache(data, settings.data.size, masks, cache, features.pixels)
    if settings.model.method == "mattnet-oracle":  # D87
        features = WithCandidates(features, data, targets)
    return Prepared(data, vocabulary, targets, features, neighbours, word_rows)
