"""The two stages for one sentence about any picture: what `predict` and the explorer ask for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tvnet.data import refer
from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.data.contents import contents
from tvnet.data.images import BLANK, Placement, open_image, placement, resize_and_pad
from tvnet.data.photo import Photo, read_photo
from tvnet.data.words import normalise_text
from tvnet.model.backbone import Backbone
from tvnet.retrieval import ranking
from tvnet.retrieval.build import encoders, image_encoder
from tvnet.retrieval.encoders import ImageEncoder, PooledBackbone, TextEncoder
from tvnet.retrieval.search import Faiss, Sparse, search_over
from tvnet.settings import Settings

KEPT = "pool_features.safetensors"  # beside a pool
FOREIGN = -2  # the id of a picture that is none of the pool's


@dataclass(frozen=True)
class Candidate:
    """One of the k images of stage 1. Ranks start at 1; equal similarities share one."""

    image_id: int
    expression: str  # the sentence of this image that is most like the query's
    text_similarity: float
    image_similarity: float
    text_rank: int
    image_rank: int
    final_rank: int  # by image, equals by text; the first enriches


class QueryEmbedding(NamedTuple):
    """What stage 2 knows of a picture."""

    row: np.ndarray  # (d,) unit
    digest: bytes  # of its pixels


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A picture and its maps: what does not depend on any expression."""

    picture: Image.Image  # upright RGB
    place: Placement  # of the picture in its padded square
    maps: dict[str, Tensor]  # V2..V5 (1, d, h, w) of that square
    valid: Tensor  # (1, h, w) bool: cells of V3..V5 that hold picture


class Retriever:
    """Encodes pictures and retrieves others for them: the same for all rows of Table 1.

    Stage 1 knows every text of the pool. Stage 2 takes the rows that are kept beside the pool, and
    embeds another picture when it first is a candidate.
    """

    def __init__(
        self, chosen: Settings, backbone: Backbone, root: Path, weights: Path | None = None
    ):
        """root: of the settings' data set, and of weights where none are named."""
        self.chosen, self.backbone, self.root = chosen, backbone, root
        self.weights = weights or root / "weights"
        self.data = refer.read(root, chosen.data.dataset)
        self.forget()

    def __reduce__(self) -> tuple:
        """Pickled by what it was made of: another process opens the pool itself."""
        return Retriever, (self.chosen, self.backbone, self.root, self.weights)

    def forget(self) -> None:
        """Compute every picture anew."""
        self.from_pool = lru_cache(2 * self.chosen.retrieval.k)(
            lambda image_id: self.encode_image(open_image(self.data, image_id))
        )
        self._of_pool = cache(lambda image_id: self.kept.get(image_id) or self.embed(image_id))
        self._of_query = lru_cache(8)(self._embed_query)
        # A folder of pictures is often asked for the same sentence.
        self._of_text = lru_cache(1000)(lambda text: self.encoders[0].encode([text]))

    @cached_property
    def encoders(self) -> tuple[TextEncoder, ImageEncoder]:
        trained = self.chosen.backbone.train_from != "none"  # stage 2 sees it as it was before
        known = None if trained else self.backbone
        return encoders(self.chosen, self.data, self.weights, backbone=known)

    @cached_property
    def kept(self) -> dict[int, QueryEmbedding]:
        """image id -> what `keep` wrote, of those pictures whose files are what they were.

        {} where nothing is kept, or rows of another encoder: they are computed as they are needed.
        """
        try:
            arrays, encoder = load_arrays(self.root / KEPT)
        except (OSError, ValueError):
            return {}
        if encoder != image_encoder(self.chosen):
            return {}
        rows = zip(arrays["row"], arrays["digest"], strict=True)
        of_file = dict(zip(map(tuple, arrays["file"].tolist()), rows, strict=True))
        files = contents([picture.path for picture in self.data.pictures.values()], self.root)
        return {
            image_id: QueryEmbedding(of_file[file][0], of_file[file][1].tobytes())
            for image_id, file in zip(self.data.pictures, files, strict=True)
            if file in of_file
        }

    def keep(self) -> None:
        """Write what stage 2 knows of all pictures beside the pool, so that a new expression
        encodes none. A file is known by its length and CRC-32."""
        ids = sorted(self.data.pictures)
        files = [self.data.pictures[image_id].path for image_id in ids]
        rows = [self.embed(image_id) for image_id in ids]
        arrays = {
            "file": np.array(contents(files, self.root), np.int64),
            "row": np.stack([one.row for one in rows]),
            "digest": np.stack([np.frombuffer(one.digest, np.uint8) for one in rows]),
        }
        save_arrays(self.root / KEPT, arrays, image_encoder(self.chosen))

    @cached_property
    def pool(self) -> ranking.Pool:
        """Every sentence that may answer."""
        samples = ranking.pool_of(self.data, self.chosen.data.train_split)
        self.texts = sorted({s.text for s in samples})
        return ranking.Pool.of(samples, self.texts, self.encoders[0].encode(self.texts))

    @cached_property
    def search(self) -> Faiss | Sparse:
        return search_over(self.pool.vectors)

    @torch.no_grad()
    def encode_image(self, image: Photo) -> EncodedImage:
        """Read a picture and compute its maps. Raises as `read_photo` does."""
        picture, size = read_photo(image), self.chosen.data.size
        place = placement(picture.height, picture.width, size)
        square = torch.from_numpy(resize_and_pad(picture, size)).permute(2, 0, 1)[None]
        valid = torch.zeros(1, -(-size // 8), -(-size // 8), dtype=torch.bool)
        valid[(0, *place.inner_cells)] = True
        return EncodedImage(picture, place, self.backbone(square), valid)

    def embed(self, image_id: int) -> QueryEmbedding:
        """A picture of the pool as stage 2 sees it."""
        picture = open_image(self.data, image_id)
        return QueryEmbedding(self.encoders[1].encode_images([picture])[0], _digest(picture))

    def _embed_query(self, image: EncodedImage) -> QueryEmbedding:
        """The same of a query, whose maps are known already."""
        encoder = self.encoders[1]
        if isinstance(encoder, PooledBackbone) and encoder.backbone is self.backbone:
            row = encoder.pooled(image.maps["V5"], [image.place])[0]
        else:
            row = encoder.encode_images([image.picture])[0]
        return QueryEmbedding(row, _digest(image.picture))

    def retrieve(self, image: EncodedImage, expression: str) -> tuple[Candidate, ...]:
        """The two stages: at most k candidates, best text first; none shows the picture itself."""
        k, ties = self.chosen.retrieval.k, self.chosen.retrieval.ties
        vector = self._of_text(normalise_text(expression, self.data.name))
        query = self._of_query(image)
        copies, same = 0, [FOREIGN]
        while copies < len(same):  # of the pool's images that show the picture itself (D32)
            copies = len(same)
            best = ranking.candidates(vector, self.pool, k + copies - 1, self.search, ties)
            embedded = {i: self._of_pool(i) for i in best.image.tolist()}
            same = [i for i, o in embedded.items() if o.digest == query.digest] or [FOREIGN]
        own, *copied = same
        kept = ~np.isin(best.image, copied)
        best = ranking.CsrRows(np.array([0, kept.sum()]), best.image[kept], best.value[kept])
        embedded[own] = query
        ids = sorted(embedded)
        features = np.stack([embedded[i].row for i in ids])
        given = best, np.array([0]), np.array([own])
        found, by_text = ranking.of_sentences(*given, k)
        if ties == "all":
            found = ranking.through_ties(*given, found, np.array(ids), features)
        _, by_image = ranking.most_similar(given[2], found, np.array(ids), features)
        real = found[0] != BLANK
        by_text, by_image = by_text[0][real], by_image[0][real]
        final = np.argsort(np.argsort(-by_image, kind="stable"))
        expressions = self._expressions(vector, found[0][real])
        return tuple(
            Candidate(
                image_id=image_id,
                expression=expressions[image_id],
                text_similarity=float(by_text[n]),
                image_similarity=float(by_image[n]),
                text_rank=1 + int((by_text > by_text[n]).sum()),
                image_rank=1 + int((by_image > by_image[n]).sum()),
                final_rank=1 + int(final[n]),
            )
            for n, image_id in enumerate(found[0][real].tolist())
        )

    def _expressions(self, vector: Any, image_ids: np.ndarray) -> dict[int, str]:
        """Of each pool image's texts the one most like the query's, the first of equals."""
        here = np.isin(self.pool.image, image_ids)
        text, image = self.pool.text[here], self.pool.image[here]
        rows, at = np.unique(text, return_inverse=True)
        similarity = vector @ self.pool.vectors[rows].T  # (1, rows), dense or sparse
        dense = similarity.toarray() if hasattr(similarity, "toarray") else similarity
        order = np.lexsort((text, -dense[0][at]))
        ids, first = np.unique(image[order], return_index=True)
        return {int(i): self.texts[row] for i, row in zip(ids, text[order[first]], strict=True)}

    def random(self, image: EncodedImage, expression: str) -> int:
        """A pool image by the hash of the expression, never the picture itself."""
        text = normalise_text(expression, self.data.name)
        pick, again = (int(drawn[0]) for drawn in ranking.two_draws([text], self.pool.image))
        return again if self._of_pool(pick).digest == self._of_query(image).digest else pick


def _digest(picture: Image.Image) -> bytes:
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()
