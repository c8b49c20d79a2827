"""The two stages for one sentence about any picture: what an explorer asks while somebody types."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tvnet.data.images import BLANK, open_image
from tvnet.data.refer import ReferData
from tvnet.retrieval.encoders import ImageEncoder, TextEncoder
from tvnet.retrieval.ranking import (
    SEED,
    Pool,
    candidates,
    hashes,
    most_similar,
    of_sentences,
    pool_of,
    through_ties,
)
from tvnet.retrieval.search import search_over
from tvnet.settings import Settings

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


@dataclass(frozen=True)
class Glance:
    """What stage 2 knows of a picture."""

    row: np.ndarray  # (d,) unit
    digest: bytes  # of its pixels


class Online:
    """The pool of a data set, encoded where and when it is asked for.

    Stage 1 knows every text of the pool, stage 2 looks at a picture when it first is a candidate.
    """

    def __init__(self, data: ReferData, chosen: Settings, text: TextEncoder, image: ImageEncoder):
        """Raises ValueError when the pool is empty."""
        self.data, self.text, self.image = data, text, image
        self.k, self.ties = chosen.retrieval.k, chosen.retrieval.ties
        samples = pool_of(data, chosen.data.train_split)
        self.texts = sorted({s.text for s in samples})
        self.image_ids = np.unique([s.image_id for s in samples])
        self.pool = Pool.of(samples, self.texts, text.encode(self.texts))
        self.search = search_over(self.pool.vectors)
        self._seen: dict[int, Glance] = {}

    def glance(self, picture: Image.Image) -> Glance:
        """A picture as stage 2 sees it. Raises ValueError where it gives no direction."""
        row = self.image.encode_images([picture])[0]
        digest = hashlib.sha256(picture.tobytes())
        digest.update(f"{picture.size}".encode())
        return Glance(row, digest.digest())

    def _glances(self, image_ids: np.ndarray) -> list[Glance]:
        for image_id in image_ids.tolist():
            if image_id not in self._seen:
                self._seen[image_id] = self.glance(open_image(self.data, image_id))
        return [self._seen[image_id] for image_id in image_ids.tolist()]

    def __call__(self, expression: str, query: Glance) -> tuple[Candidate, ...]:
        """At most k candidates, best text first (D32): none shows the query's own picture."""
        vector = self.text.encode([expression])
        best = candidates(vector, self.pool, self.k, self.search, self.ties)
        glances = self._glances(best.image)
        own = next(
            (
                int(image)
                for image, glance in zip(best.image, glances, strict=True)
                if glance.digest == query.digest
            ),
            FOREIGN,
        )
        order = np.argsort(best.image)
        ids = best.image[order]
        rows = [glances[i].row for i in order]
        if own == FOREIGN:
            ids, rows = np.concatenate([[own], ids]), [query.row, *rows]
        first, asks = np.array([0]), np.array([own])
        features = np.stack(rows)
        found, by_text = of_sentences(best, first, asks, self.k)
        if self.ties == "all":
            found = through_ties(best, first, asks, found, ids, features)
        _, by_image = most_similar(asks, found, ids, features)
        return self._ranked(vector, found[0], by_text[0], by_image[0])

    def _ranked(
        self, vector: object, found: np.ndarray, by_text: np.ndarray, by_image: np.ndarray
    ) -> tuple[Candidate, ...]:
        real = found != BLANK
        found, by_text, by_image = found[real], by_text[real], by_image[real]
        final = np.empty(len(found), dtype=int)
        final[np.lexsort((np.arange(len(found)), -by_image))] = np.arange(1, len(found) + 1)
        return tuple(
            Candidate(
                image_id=int(image_id),
                expression=self._sentence(vector, int(image_id)),
                text_similarity=float(by_text[n]),
                image_similarity=float(by_image[n]),
                text_rank=1 + int((by_text > by_text[n]).sum()),
                image_rank=1 + int((by_image > by_image[n]).sum()),
                final_rank=int(final[n]),
            )
            for n, image_id in enumerate(found)
        )

    def _sentence(self, vector: object, image_id: int) -> str:
        """Of a pool image's texts the one most like the query's, the first of equals."""
        rows = np.unique(self.pool.text[self.pool.image == image_id])
        similarity = vector @ self.pool.vectors[rows].T
        dense = similarity if isinstance(similarity, np.ndarray) else similarity.toarray()
        return self.texts[rows[dense[0].argmax()]]

    def random(self, expression: str, query: Glance) -> int:
        """A pool image by the hash of the expression, never the query's own."""
        draw = hashes([expression], SEED + 1)[0]
        for step in range(2):
            image_id = self.image_ids[(draw + np.uint64(step)) % np.uint64(len(self.image_ids))]
            if self._glances(np.array([image_id]))[0].digest != query.digest:
                break
        return int(image_id)
