"""Looking at any picture: the backbone's maps of it, and what the two stages retrieve for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from tvnet.data import refer
from tvnet.data.images import Placement, open_image, placement, resize_and_pad
from tvnet.data.photo import Photo, read_photo
from tvnet.data.words import typed
from tvnet.model.backbone import Backbone
from tvnet.retrieval.build import WEIGHTS, encoders
from tvnet.retrieval.online import Candidate, Glance, Online
from tvnet.settings import Settings


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture that the backbone has seen: what does not depend on any expression."""

    picture: Image.Image  # upright RGB
    place: Placement  # of the picture in its padded square
    maps: dict[str, Tensor]  # V2..V5 (1, d, h, w) of that square
    valid: Tensor  # (1, h, w) bool: cells of V3..V5 that hold picture


class Sight:
    """What looks at pictures and retrieves others: the same for all rows of Table 1."""

    def __init__(self, chosen: Settings, backbone: Backbone, pool: Path, weights: Path = WEIGHTS):
        """pool: a data root with the settings' data set. Raises as `refer.read` does."""
        self.chosen, self.backbone, self.pool, self.weights = chosen, backbone, pool, weights
        self.data = refer.read(pool, chosen.data.dataset)
        self.from_pool = lru_cache(maxsize=2 * chosen.retrieval.k)(self._from_pool)
        self.glance = lru_cache(maxsize=8)(self._glance)

    def __reduce__(self) -> tuple:
        """Pickled by what it was made of: another process opens the pool itself."""
        return Sight, (self.chosen, self.backbone, self.pool, self.weights)

    @cached_property
    def online(self) -> Online:
        """The pool, its texts encoded."""
        samples = self.data.samples(self.chosen.data.train_split)
        return Online(self.data, self.chosen, *encoders(self.chosen, samples, self.weights))

    @torch.no_grad()
    def see(self, image: Photo) -> Seen:
        """Read a picture and compute its maps. Raises as `read_photo` does."""
        picture, size = read_photo(image), self.chosen.data.size
        place = placement(picture.height, picture.width, size)
        square = torch.from_numpy(resize_and_pad(picture, size)).permute(2, 0, 1)[None]
        valid = torch.zeros(1, -(-size // 8), -(-size // 8), dtype=torch.bool)
        valid[(0, *place.inner_cells)] = True
        return Seen(picture, place, self.backbone(square), valid)

    def _from_pool(self, image_id: int) -> Seen:
        return self.see(open_image(self.data, image_id))

    def _glance(self, seen: Seen) -> Glance:
        return self.online.glance(seen.picture)

    def retrieve(self, seen: Seen, expression: str) -> tuple[Candidate, ...]:
        """The two stages: the k candidates by text, best first, with their image similarities."""
        return self.online(self.typed(expression), self.glance(seen))

    def random(self, seen: Seen, expression: str) -> int:
        """A pool image by the hash of the expression, never the seen picture itself."""
        return self.online.random(self.typed(expression), self.glance(seen))

    def typed(self, expression: str) -> str:
        """An expression in the form of the pool's own."""
        return typed(expression, self.data.name)
