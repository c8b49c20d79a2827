"""From a data set and two encoders to the neighbours of its sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData, Sample
from tvnet.model.pretrained import PRETRAINED
from tvnet.retrieval.encoders import ImageEncoder, TextEncoder
from tvnet.retrieval.fast import PRECISIONS, Fast, probe
from tvnet.retrieval.paper_encoders import IMAGE_ENCODERS, TEXT_ENCODERS, weights_of
from tvnet.retrieval.plain import Faiss, Sparse
from tvnet.retrieval.rules import Pool, Ragged, refuse_rules, tie_keys
from tvnet.retrieval.shards import Shards
from tvnet.retrieval.two_stage import candidates, most_similar, of_sentences, through_ties
from tvnet.settings import Settings, as_dict

CONTROLS = ("none", "random", "self", "zero")
SEARCHES = ("auto", "plain", *PRECISIONS)
TIE_SEED = 0


def identity(chosen: Settings, data: ReferData, split: str = "all") -> dict:
    """All that the neighbours depend on; stored in the file and hashed into its name."""
    about = as_dict(chosen.retrieval)
    about |= {"data": data.fingerprint, "dataset": data.name, "pool": chosen.data.train_split}
    if about["ties"] == "hash":  # younger than the first files, whose names stay valid
        del about["ties"]
    if split != "all":
        about["split"] = split
    if chosen.retrieval.text in TEXT_ENCODERS:
        about["text weights"] = weights_of(chosen.retrieval.text)
    if chosen.retrieval.image in IMAGE_ENCODERS:
        return about | {"image weights": weights_of(chosen.retrieval.image)}
    source = PRETRAINED.get(chosen.backbone.weights)
    backbone = (source.sha256 or source.file) if source else "random"
    backbone += f" {chosen.backbone.pool}"
    return about | {"size": chosen.data.size, "backbone": backbone, "cells": "nearest"}


@dataclass(frozen=True)
class Task:
    """The sentences that ask, those that may answer, and the texts and images of both."""

    queries: list[Sample]  # by sent_id
    pool: list[Sample]

    @cached_property
    def texts(self) -> list[str]:
        """Each text once, in the order of the alphabet."""
        return sorted({s.text for s in (*self.queries, *self.pool)})

    @cached_property
    def images(self) -> np.ndarray:
        """Each image id once, ascending."""
        return np.unique([s.image_id for s in (*self.queries, *self.pool)])


def pool_of(data: ReferData, train_split: str) -> list[Sample]:
    """The sentences that may answer. Raises ValueError when there are none."""
    same = data.originals
    held_out = {same[r.image_id] for r in data.referents if r.split != train_split}
    # D33. G-Ref's val shares images with train; what is evaluated on never enters the pool.
    pool = [s for s in _of_originals(data, train_split) if s.image_id not in held_out]
    if not pool:
        raise ValueError(f"The pool is empty: every image of {data.name} is held out.")
    return pool


def _of_originals(data: ReferData, split: str) -> list[Sample]:
    """The sentences of a split, copies of a picture counted as one: a query sees neither its own
    picture nor a copy of it (D32)."""
    return [replace(s, image_id=data.originals[s.image_id]) for s in data.samples(split)]


def task(data: ReferData, chosen: Settings, split: str = "all") -> Task:
    """Who asks whom. Raises ValueError when the split is unknown or empty, or the pool is."""
    splits = data.splits if split == "all" else [split]
    queries = [s for name in splits for s in _of_originals(data, name)]
    if not queries:
        raise ValueError(f"The split '{split}' of {data.name} holds no sentence: choose another.")
    pool = pool_of(data, chosen.data.train_split)
    if len({s.image_id for s in pool}) < 2:
        raise ValueError(
            f"The pool of {data.name} is the one image {pool[0].image_id}: its own sentences have "
            "nothing to retrieve, so use a data set with two training images or more."
        )
    return Task(sorted(queries, key=lambda s: s.sent_id), pool)


def retrieve(
    data: ReferData,
    chosen: Settings,
    text: TextEncoder,
    image: ImageEncoder,
    split: str = "all",
    shards: Shards | None = None,
    search: str = "auto",
    device: str = "cpu",
) -> Neighbours:
    """The two stages for every sentence of the splits, over the pool of the training split.

    A control replaces the retrieved image and nothing else: the candidates stay for comparison.
    shards: keep there what takes long, and share the work with other processes. search: one of
    SEARCHES; they give the same neighbours. Raises ValueError on unknown names, k < 1, a split or
    pool without sentences, and vectors that are zero or not finite.
    """
    control = chosen.retrieval.control
    if control not in CONTROLS:
        raise ValueError(f"There is no control '{control}': choose one of {', '.join(CONTROLS)}.")
    if search not in SEARCHES:
        raise ValueError(f"There is no search '{search}': choose one of {', '.join(SEARCHES)}.")
    k, ties = chosen.retrieval.k, chosen.retrieval.ties
    refuse_rules(k, ties)  # before the hours that encoding may take
    given = task(data, chosen, split)
    vectors = text_rows(given, text, shards)
    features = image_rows(given, data, image, shards)
    pool, asked, own_text = _sides(given, vectors)
    over_pool = searching(pool.vectors, search, device)

    def stage_one(part: slice) -> Ragged:
        return candidates(vectors[asked[part]], pool, k, over_pool, ties)

    if shards is None:
        best = stage_one(slice(None))
    else:
        about = {"encoder": text.about or text.name, "k": k, "ties": ties}
        about |= {"data": data.fingerprint, "pool": chosen.data.train_split}
        best = _kept(shards, about, [given.texts[i] for i in asked], stage_one)

    queries = given.queries
    own = np.array([s.image_id for s in queries])
    found, by_text = of_sentences(best, own_text, own, k)
    if ties == "all":
        found = through_ties(best, own_text, own, found, given.images, features)
    column, by_image = most_similar(own, found, given.images, features, own_text)
    similar = found[np.arange(len(queries)), column]
    if control != "none":
        similar = controlled(control, queries, pool.image)
        column = np.full(len(queries), -1)
    return Neighbours(
        sent_id=np.array([s.sent_id for s in queries]),
        similar_id=similar,
        candidates=found,
        text_similarity=by_text,
        image_similarity=by_image,
        chosen=column,
        settings=identity(chosen, data, split),
    )


def text_rows(given: Task, text: TextEncoder, shards: Shards | None) -> Any:
    """One unit row a unique text, dense (U, d) or scipy sparse."""

    def make(part: slice) -> Any:
        return _with_direction(text.encode(given.texts[part]), given.texts[part], text, "text")

    if shards is None or text.about is None:
        return make(slice(None))
    return shards.fill("text", text.about, given.texts, lambda part: {"rows": make(part)})["rows"]


def image_lines(given: Task, data: ReferData) -> list[str]:
    """What stands for the content of each image in the names of shards."""
    return [f"{data.fingerprint} {i}" for i in given.images]


def image_rows(
    given: Task, data: ReferData, image: ImageEncoder, shards: Shards | None
) -> np.ndarray:
    """One unit row an image (M, d)."""

    def make(part: slice) -> np.ndarray:
        some = given.images[part]
        return _with_direction(image.encode(data, some), some, image, "image")

    if shards is None or image.about is None:
        return make(slice(None))
    lines = image_lines(given, data)
    return shards.fill("image", image.about, lines, lambda part: {"rows": make(part)})["rows"]


def _with_direction(rows: Any, names: Any, encoder: Any, what: str) -> Any:
    """The rows; ValueError where one has no direction, as cosines need unit rows.

    Sparse rows may be zero: of a text whose words the pool lacks.
    """
    if isinstance(rows, np.ndarray):
        squared = np.einsum("nd,nd->n", rows, rows)
        bad = np.flatnonzero(~(np.abs(squared - 1) < 1e-3))  # `not <` also finds NaN
        if len(bad):
            raise ValueError(
                f"The encoder '{encoder.name}' gives {what} '{names[bad[0]]}' a vector that is "
                f"zero or not finite, and {len(bad) - 1} more: check its weights and this {what}."
            )
    return rows


def _sides(given: Task, vectors: Any) -> tuple[Pool, np.ndarray, np.ndarray]:
    """The pool, the rows of the texts that are asked for, and each query's place among those."""
    row = {text: i for i, text in enumerate(given.texts)}
    asked, own_text = np.unique([row[s.text] for s in given.queries], return_inverse=True)
    return pool_side(given, vectors), asked, own_text


def pool_side(given: Task, vectors: Any) -> Pool:
    """The pool of a task whose unique texts have these rows."""
    row = {text: i for i, text in enumerate(given.texts)}
    of_pool, text = np.unique([row[s.text] for s in given.pool], return_inverse=True)
    image = np.array([s.image_id for s in given.pool])
    tie = tie_keys(np.array([s.sent_id for s in given.pool]), TIE_SEED)
    return Pool(vectors[of_pool], text, image, tie)


def searching(keys: Any, search: str = "auto", device: str = "cpu") -> Sparse | Faiss | Fast:
    """The search over keys that is asked for; "auto" takes the fastest on this machine."""
    if not isinstance(keys, np.ndarray):
        return Sparse(keys)
    # faiss is as fast as float32 can be, so ours has to have fewer bits, or a GPU.
    if search == "plain" or (search == "auto" and device == "cpu" and probe() == "float32"):
        return Faiss(keys)
    return Fast(keys, search, device)


def _kept(shards: Shards, about: dict, lines: list[str], make: Callable[[slice], Ragged]) -> Ragged:
    """Rows of unequal length, by way of shards."""

    def arrays(part: slice) -> dict[str, np.ndarray]:
        best = make(part)
        return {"count": np.diff(best.start), "image": best.image, "value": best.value}

    held = shards.fill("candidates", about, lines, arrays)
    start = np.concatenate([[0], np.cumsum(held["count"])])
    return Ragged(start, held["image"], held["value"])


def controlled(control: str, queries: list[Sample], pool_images: np.ndarray) -> np.ndarray:
    """Image ids that a control puts in the place of the retrieved ones."""
    pool = np.unique(pool_images)
    own = np.array([s.image_id for s in queries])
    if control == "self":
        return own
    if control == "zero":
        return np.full(len(queries), BLANK)
    draws = tie_keys(np.array([s.sent_id for s in queries]), TIE_SEED + 1)
    pick = pool[draws % np.uint64(len(pool))]
    again = pool[(draws + np.uint64(1)) % np.uint64(len(pool))]  # one further, if it is its own
    return np.where(pick == own, again, pick)
