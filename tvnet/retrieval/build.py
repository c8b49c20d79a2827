"""Stage one, offline: retrieve an image for every sentence and write the neighbours file.

python -m tvnet.retrieval.build --data data/miniref --profile laptop --out out
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData, Sample
from tvnet.model.pretrained import PRETRAINED, load_backbone
from tvnet.retrieval.encoders import ImageEncoder, PooledBackbone, TextEncoder, Tfidf
from tvnet.retrieval.two_stage import candidates, most_similar, tie_keys
from tvnet.settings import Settings, as_dict, fingerprint, settings

CONTROLS = ("none", "random", "self", "zero")
TIE_SEED = 0


def identity(chosen: Settings, data: ReferData) -> dict:
    """All that the neighbours depend on; stored in the file and hashed into its name."""
    source = PRETRAINED.get(chosen.backbone.weights)
    return as_dict(chosen.retrieval) | {
        "data": data.fingerprint,
        "dataset": data.name,
        "pool": chosen.data.train_split,
        "size": chosen.data.size,
        "backbone": (source.sha256 or source.file) if source else "random",
    }


def neighbours_path(chosen: Settings, data: ReferData, out_dir: Path) -> Path:
    """Where the neighbours of these settings and this data lie."""
    key = fingerprint(identity(chosen, data))
    control = chosen.retrieval.control
    return Path(out_dir) / "cache" / f"neighbours-{data.name}-{control}-{key}.safetensors"


def encoders(chosen: Settings, pool: list[Sample]) -> tuple[TextEncoder, ImageEncoder]:
    """The encoders that the settings name."""
    if chosen.retrieval.text != "tfidf" or chosen.retrieval.image != "backbone":
        raise ValueError(
            f"There are no encoders '{chosen.retrieval.text}' and '{chosen.retrieval.image}': "
            "use 'tfidf' and 'backbone'."
        )
    backbone = load_backbone(chosen.backbone)
    return Tfidf([sample.text for sample in pool]), PooledBackbone(backbone, chosen.data.size)


def retrieve(
    data: ReferData, chosen: Settings, text: TextEncoder, image: ImageEncoder
) -> Neighbours:
    """The two stages for every sentence of every split, over the pool of the training split.

    A control replaces the retrieved image and nothing else: the candidates stay for comparison.
    """
    control = chosen.retrieval.control
    if control not in CONTROLS:
        raise ValueError(f"There is no control '{control}': choose one of {', '.join(CONTROLS)}.")
    queries = sorted((s for split in data.splits for s in data.samples(split)), key=_sentence)
    held_out = {r.image_id for r in data.referents if r.split != chosen.data.train_split}
    # D33. G-Ref's val shares images with train; what is evaluated on never enters the pool.
    pool = [s for s in data.samples(chosen.data.train_split) if s.image_id not in held_out]
    if not pool:
        raise ValueError(f"The pool is empty: every image of {data.name} is held out.")
    query_image = np.array([s.image_id for s in queries])
    key_image = np.array([s.image_id for s in pool])
    tie = tie_keys(np.array([s.sent_id for s in pool]), TIE_SEED)

    keys = text.encode([s.text for s in pool])
    found, by_text = candidates(
        text.encode([s.text for s in queries]), query_image, keys, key_image, tie,
        chosen.retrieval.k,
    )  # fmt: skip
    images = np.unique(np.concatenate([query_image, key_image]))
    column, by_image = most_similar(query_image, found, images, image.encode(data, images))
    similar = found[np.arange(len(queries)), column]

    if control != "none":
        similar = _controlled(control, queries, np.unique(key_image))
        column = np.full(len(queries), -1)
    return Neighbours(
        sent_id=np.array([s.sent_id for s in queries]),
        similar_id=similar,
        candidates=found,
        text_similarity=by_text,
        image_similarity=by_image,
        chosen=column,
        settings=identity(chosen, data),
    )


def _sentence(sample: Sample) -> int:
    return sample.sent_id


def _controlled(control: str, queries: list[Sample], pool: np.ndarray) -> np.ndarray:
    """Image ids that a control puts in the place of the retrieved ones."""
    own = np.array([s.image_id for s in queries])
    if control == "self":
        return own
    if control == "zero":
        return np.full(len(queries), BLANK)
    draws = tie_keys(np.array([s.sent_id for s in queries]), TIE_SEED + 1)
    pick = pool[draws % np.uint64(len(pool))]
    again = pool[(draws + np.uint64(1)) % np.uint64(len(pool))]  # one further, if it is its own
    return np.where(pick == own, again, pick)


def build(chosen: Settings, data: ReferData, out_dir: Path) -> Neighbours:
    """The neighbours of these settings: read if they were made before, else made and written."""
    path = neighbours_path(chosen, data, out_dir)
    if path.is_file():
        return Neighbours.load(path, identity(chosen, data))
    text, image = encoders(chosen, data.samples(chosen.data.train_split))
    neighbours = retrieve(data, chosen, text, image)
    neighbours.save(path)
    return neighbours


def quality(neighbours: Neighbours, data: ReferData) -> dict[str, float]:
    """How good the retrieved images are: shares in per cent, similarities as means."""
    sample_of = {s.sent_id: s for split in data.splits for s in data.samples(split)}
    queries = [sample_of[i] for i in neighbours.sent_id.tolist()]
    categories: dict[int, set[int]] = {}
    for referent in data.referents:
        categories.setdefault(referent.image_id, set()).add(referent.category_id)
    similar = neighbours.similar_id.tolist()
    pairs = list(zip(queries, similar, strict=True))
    same = [q.category_id in categories.get(i, ()) for q, i in pairs]
    own = [q.image_id == i for q, i in pairs]
    shown = np.flatnonzero(neighbours.chosen >= 0)  # a control chooses outside the candidates
    at = shown, neighbours.chosen[shown]
    text, image = neighbours.text_similarity[at], neighbours.image_similarity[at]
    nan = float("nan")
    return {
        "same category as the referent, per cent": 100 * float(np.mean(same)),
        "the query's own image, per cent": 100 * float(np.mean(own)),
        "text similarity above 0.999, per cent": 100 * float((text > 0.999).mean())
        if len(text)
        else nan,
        "mean text similarity": float(text.mean()) if len(text) else nan,
        "mean image similarity": float(image.mean()) if len(image) else nan,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    try:
        chosen = settings(options.profile)
        data = refer.read(options.data, chosen.data.dataset)
        neighbours = build(chosen, data, options.out)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(neighbours_path(chosen, data, options.out))
    for name, value in quality(neighbours, data).items():
        print(f"{name:44}{value:8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
