"""Stage one, offline: retrieve an image for every sentence and write the neighbours file.

python -m tvnet.retrieval.build --data data/miniref --profile laptop --out out
python -m tvnet.retrieval.build --data data/coco --profile paper --set data.dataset=gref
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData, Sample
from tvnet.data.refer import require_world
from tvnet.devices import device_of, own_device
from tvnet.model.backbone import Backbone
from tvnet.model.pretrained import PRETRAINED, load_backbone
from tvnet.process_group import barrier, gather, is_main_process, join, rank_and_size
from tvnet.retrieval import paper_encoders as paper
from tvnet.retrieval import photo_encoders as photos
from tvnet.retrieval import ranking
from tvnet.retrieval.embeddings import embed
from tvnet.retrieval.encoders import ImageEncoder, PooledBackbone, TextEncoder, Tfidf
from tvnet.retrieval.ranking import CsrRows, Pool
from tvnet.retrieval.search import search_over
from tvnet.settings import Settings, as_dict, fingerprint, settings
from tvnet.settings_checks import changed


def identity(chosen: Settings, data: ReferData) -> dict:
    """All that the neighbours depend on; stored in the file and hashed into its name."""
    about = as_dict(chosen.retrieval)
    about |= {"data": data.fingerprint, "dataset": data.name, "pool": chosen.data.train_split}
    if chosen.retrieval.text != "tfidf":
        about["text weights"] = weights_of(chosen.retrieval.text)
    return about | image_encoder(chosen)


def image_encoder(chosen: Settings) -> dict:
    """All that stage two's row of a picture depends on, but the picture."""
    if chosen.retrieval.image != "backbone":
        return {"image weights": weights_of(chosen.retrieval.image)}
    source = PRETRAINED.get(chosen.backbone.weights)
    backbone = (source.sha256 or source.file) if source else "random"
    backbone += f" {chosen.backbone.pool}"
    return {"size": chosen.data.size, "backbone": backbone, "cells": "nearest"}


def weights_of(encoder: str) -> str:
    """Twelve digits that change with an encoder's weights."""
    of_the_paper = encoder.startswith(("distilbert", "vgg16"))
    return (paper if of_the_paper else photos).weights_of(encoder)


def neighbours_path(chosen: Settings, data: ReferData, out_dir: Path) -> Path:
    """Where the neighbours of these settings and this data lie."""
    what = f"{data.name}-{chosen.retrieval.control}-{fingerprint(identity(chosen, data))}"
    return Path(out_dir) / "cache" / f"neighbours-{what}.safetensors"


def neighbours_of(chosen: Settings, data: ReferData, out_dir: Path) -> Neighbours:
    """Those of these settings, which have been built. Raises as `Neighbours.load` does."""
    return Neighbours.load(neighbours_path(chosen, data, out_dir), identity(chosen, data))


def encoders(
    chosen: Settings,
    data: ReferData,
    weights: Path,
    device: str = "cpu",
    backbone: Backbone | None = None,
) -> tuple[TextEncoder, ImageEncoder]:
    """The encoders that the settings name; the paper's from a folder of weights, the small ones
    for photographs from installed packages.

    backbone: with the settings' own weights, where it has been loaded already.
    Raises FileNotFoundError or ValueError on weights that are absent or others than the pinned.
    """
    text, image = chosen.retrieval.text, chosen.retrieval.image
    if text == "tfidf":
        by_text = Tfidf([s.text for s in data.samples(chosen.data.train_split)])
    elif text.startswith("distilbert"):
        by_text = paper.DistilBert(weights, text, paper.precision_of(device), device)
    else:
        by_text = photos.SentenceEncoder(text, device)
    if image == "backbone":
        backbone = backbone or load_backbone(chosen.backbone, weights)
        return by_text, PooledBackbone(backbone, chosen.data.size)
    if image == photos.EfficientNet.name:
        return by_text, photos.EfficientNet(device)
    return by_text, paper.Vgg16(weights, image, paper.precision_of(device), device)


def task(data: ReferData, chosen: Settings) -> tuple[list[Sample], list[Sample]]:
    """Who asks, by sent_id, and who may answer; ValueError where these are too few."""
    queries = [s for split in data.splits for s in ranking.of_originals(data, split)]
    pool = ranking.pool_of(data, chosen.data.train_split)
    if len({s.image_id for s in pool}) < 2:
        raise ValueError(
            f"The pool of {data.name} is the one image {pool[0].image_id}: its own sentences have "
            "nothing to retrieve, so use a data set with two training images or more."
        )
    return sorted(queries, key=lambda s: s.sent_id), pool


def retrieve(
    data: ReferData,
    chosen: Settings,
    text: TextEncoder,
    image: ImageEncoder,
    folder: Path | None = None,
    device: str = "cpu",
) -> Neighbours:
    """The two stages for every sentence, over the pool of the training split.

    folder: keep there the rows that take long. Processes of one group share the work. Raises
    ValueError on a pool that is too small, and vectors that are zero or not finite.
    """
    k, ties = chosen.retrieval.k, chosen.retrieval.ties
    queries, samples = task(data, chosen)
    texts = sorted({s.text for s in (*queries, *samples)})
    images = np.unique([s.image_id for s in (*queries, *samples)])
    vectors = embed("text", texts, text, text.encode, folder)
    of_images = partial(image.encode, data)
    features = embed("image", images, image, of_images, folder, data.fingerprint)

    pool = Pool.of(samples, texts, vectors)
    row = {text: i for i, text in enumerate(texts)}
    asked, own_text = np.unique([row[s.text] for s in queries], return_inverse=True)
    rank, size = rank_and_size()
    search = search_over(pool.vectors, device)
    best = _together(ranking.candidates(vectors[asked[rank::size]], pool, k, search, ties))
    own = np.array([s.image_id for s in queries])
    found, by_text = ranking.of_sentences(best, own_text, own, k)
    if ties == "all":
        found = ranking.through_ties(best, own_text, own, found, images, features)
    column, by_image = ranking.most_similar(own, found, images, features)
    return Neighbours(
        sent_id=np.array([s.sent_id for s in queries]),
        similar_id=found[np.arange(len(queries)), column],
        candidates=found,
        text_similarity=by_text,
        image_similarity=by_image,
        chosen=column,
        settings=identity(chosen, data),
    )


def _together(best: CsrRows) -> CsrRows:
    """The rows of all processes, each of which searched for every size-th text."""
    parts = {"image": best.image, "value": best.value}
    ends = list(pairwise(best.start))
    rows = gather({name: [part[a:b] for a, b in ends] for name, part in parts.items()})
    start = np.cumsum([0, *map(len, rows["image"])])
    return CsrRows(start, *(np.concatenate(rows[name]) for name in parts))


def build(
    chosen: Settings,
    data: ReferData,
    out_dir: Path,
    *,
    weights: Path | None = None,
    device: str = "cpu",
) -> Neighbours:
    """The neighbours of these settings: read if they were made before, else made and written.

    A control replaces the retrieved images and nothing else: the candidates stay for comparison.
    `weights` is the folder of the encoders' weights, by default the data root's own. Under torchrun
    all processes do their part and one of them writes. Raises ValueError where the data is another
    drawn world than the settings need.
    """
    root = data.root or Path()
    require_world(root, chosen.miniref_pictures)
    path = neighbours_path(chosen, data, out_dir)
    if path.is_file():
        return neighbours_of(chosen, data, out_dir)
    asked, pool = task(data, chosen)  # refuses, before the hours that encoding may take
    if chosen.retrieval.control != "none":
        retrieval = replace(chosen.retrieval, control="none")
        true = replace(chosen, retrieval=retrieval)
        found = build(true, data, out_dir, weights=weights, device=device)
        similar = ranking.controlled(chosen.retrieval.control, asked, pool, data)
        about = identity(chosen, data)
        found = replace(found, similar_id=similar, chosen=np.full(len(asked), -1), settings=about)
        if is_main_process():
            found.save(path)
        return found
    text, image = encoders(chosen, data, weights or root / "weights", device)
    with join(timeout=timedelta(days=7)):  # as long as another process may take to encode
        folder = Path(out_dir) / "cache" / "embeddings"
        neighbours = retrieve(data, chosen, text, image, folder, device)
        if is_main_process():
            neighbours.save(path)
        barrier()
    return neighbours


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--profile", default="laptop", help="paper has the paper's encoders")
    parser.add_argument("--set", nargs="+", default=[], metavar="part.name=value")
    parser.add_argument("--weights", type=Path, help="folder of the encoders'; else DATA/weights")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    options = parser.parse_args(arguments)
    try:
        device = own_device(str(device_of(options.device)))
        chosen = changed(settings(options.profile), options.set)
        data = refer.read(options.data, chosen.data.dataset)
        neighbours = build(chosen, data, options.out, weights=options.weights, device=device)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if is_main_process():
        print(neighbours_path(chosen, data, options.out))
        short = (neighbours.candidates == BLANK).any(axis=1)
        if short.any():
            print(
                f"The pool holds fewer than k = {chosen.retrieval.k} other images for {short.sum()}"
                f" of {len(short)} sentences: their last places stay blank."
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
