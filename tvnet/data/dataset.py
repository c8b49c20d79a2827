"""One split as the model takes it: image, retrieved image, words, mask, ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tvnet.data.cache import TrainingCache
from tvnet.data.images import BLANK
from tvnet.data.neighbours import COMMAND, Neighbours
from tvnet.data.records import ReferData
from tvnet.data.words import PAD, Vocabulary


@dataclass(frozen=True)
class Batch:
    """B sentences. Pictures are None where the maps of a frozen backbone take their place, masks
    where nobody trains."""

    words: Tensor  # (B, T) long, padded on the right
    lengths: Tensor  # (B,) long
    sent_id: Tensor  # (B,) long, as the other ids
    ref_id: Tensor
    ann_id: Tensor
    image_id: Tensor
    mask: Tensor | None = None  # (B, 1, S, S) bool
    similar_id: Tensor | None = None  # None without enrichment
    image: Tensor | None = None  # (B, 3, S, S) uint8
    similar: Tensor | None = None  # (B, 3, S, S) uint8

    def to(self, device: str | torch.device) -> Batch:
        """The same batch with every tensor on the device."""
        return Batch(**{n: t if t is None else t.to(device) for n, t in vars(self).items()})


class ReferDataset(Dataset):
    """The sentences of one split. Item i is a dict with the fields of `Batch`, without B."""

    def __init__(
        self,
        data: ReferData,
        split: str,
        vocabulary: Vocabulary,
        max_words: int,
        cache: TrainingCache,
        neighbours: Neighbours | None = None,
    ):
        """Targets and, where the cache holds any, pictures are read from there.

        Raises ValueError when the split is unknown, or a sentence has no neighbour or a retrieved
        image is none of the data's.
        """
        self.data, self.vocabulary, self.max_words = data, vocabulary, max_words
        self.cache, self.masks = cache, cache.masks
        self.samples = data.samples(split)
        self.similar_ids = None
        if neighbours is not None:
            self.similar_ids = neighbours.of(np.array([s.sent_id for s in self.samples]))
            strange = set(self.similar_ids.tolist()) - data.pictures.keys() - {BLANK}
            if strange:
                raise ValueError(
                    f"The neighbours name image {min(strange)}, which {data.name} does not hold: "
                    f"they were made for other data, run `{COMMAND}` again."
                )

    def __len__(self) -> int:
        return len(self.samples)

    def _pixels(self, image_id: int) -> Tensor:
        return torch.from_numpy(self.cache.square(image_id)).permute(2, 0, 1)

    def __getitem__(self, i: int) -> dict:
        target = torch.from_numpy(self.cache.target(self.samples[i].ann_id))
        return self.inputs(i) | {"mask": target[None]}

    def inputs(self, i: int) -> dict:
        """Item i without its mask."""
        sample = self.samples[i]
        item = {"words": torch.tensor(self.vocabulary.encode(sample.text, self.max_words))}
        for name in ("sent_id", "ref_id", "ann_id", "image_id"):
            item[name] = torch.tensor(getattr(sample, name))
        if self.similar_ids is not None:
            item["similar_id"] = torch.tensor(int(self.similar_ids[i]))
        if self.cache.squares is not None:
            item["image"] = self._pixels(sample.image_id)
            if self.similar_ids is not None:
                item["similar"] = self._pixels(int(self.similar_ids[i]))
        return item


def collate(items: list[dict]) -> Batch:
    """Items -> Batch; words are padded to the longest of them."""
    words = torch.nn.utils.rnn.pad_sequence(
        [item["words"] for item in items], batch_first=True, padding_value=PAD
    )
    lengths = torch.tensor([len(item["words"]) for item in items])
    names = items[0].keys() - {"words"}
    rest = {name: torch.stack([item[name] for item in items]) for name in names}
    return Batch(words=words, lengths=lengths, **rest)
