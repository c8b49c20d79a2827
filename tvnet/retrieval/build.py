"""Stage one, offline: retrieve an image for every sentence and write the neighbours file.

python -m tvnet.retrieval.build --data data/miniref --profile laptop --out out
python -m tvnet.retrieval.build --data data/coco --dataset unc+ --split all --encoders paper
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.refer import ReferData, Sample
from tvnet.data.world import require_world
from tvnet.model.pretrained import load_backbone
from tvnet.retrieval.encoders import ImageEncoder, PooledBackbone, TextEncoder, Tfidf
from tvnet.retrieval.estimate import estimate
from tvnet.retrieval.instruments import instruments, quality, write
from tvnet.retrieval.paper_encoders import (
    IMAGE_ENCODERS,
    TEXT_ENCODERS,
    DistilBert,
    Vgg16,
    precision_of,
)
from tvnet.retrieval.retrieve import CONTROLS, SEARCHES, identity, retrieve, task
from tvnet.retrieval.rules import TIES
from tvnet.retrieval.shards import Shards
from tvnet.retrieval.world import is_first, own_device, world
from tvnet.settings import Settings, fingerprint, settings

__all__ = ["CONTROLS", "build", "identity", "neighbours_path", "quality", "retrieve"]

PAIRS = {"offline": ("tfidf", "backbone"), "paper": ("distilbert", "vgg16")}
WEIGHTS = Path("data/weights")


def neighbours_path(chosen: Settings, data: ReferData, out_dir: Path, split: str = "all") -> Path:
    """Where the neighbours of these settings and this data lie."""
    key = fingerprint(identity(chosen, data, split))
    control = chosen.retrieval.control
    return Path(out_dir) / "cache" / f"neighbours-{data.name}-{control}-{key}.safetensors"


def encoders(
    chosen: Settings, samples: list[Sample], weights: Path = WEIGHTS, device: str = "cpu"
) -> tuple[TextEncoder, ImageEncoder]:
    """The encoders that the settings name; the paper's from a folder of weights.

    Raises ValueError on unknown names, FileNotFoundError or ValueError on weights that are absent
    or others than the pinned ones.
    """
    text, image = chosen.retrieval.text, chosen.retrieval.image
    if text not in ("tfidf", *TEXT_ENCODERS) or image not in ("backbone", *IMAGE_ENCODERS):
        raise ValueError(
            f"There are no encoders '{text}' and '{image}': use 'tfidf', "
            f"{', '.join(map(repr, TEXT_ENCODERS))} for texts and 'backbone', "
            f"{', '.join(map(repr, IMAGE_ENCODERS))} for images."
        )
    if text == "tfidf":
        by_text = Tfidf([sample.text for sample in samples])
    else:
        by_text = DistilBert(weights, text, precision_of(device), device)
    if image == "backbone":
        return by_text, PooledBackbone(load_backbone(chosen.backbone, weights), chosen.data.size)
    return by_text, Vgg16(weights, image, precision_of(device), device)


def build(
    chosen: Settings,
    data: ReferData,
    out_dir: Path,
    *,
    split: str = "all",
    weights: Path | None = None,
    search: str = "auto",
    device: str = "cpu",
) -> Neighbours:
    """The neighbours of these settings: read if they were made before, else made and written.

    `weights` is the folder of the encoders' weights, by default the data root's own. Under torchrun
    all processes do their part and one of them writes. Raises ValueError where the data is another
    drawn world than the settings need.
    """
    root = data.root or Path()
    require_world(root, chosen.miniref_pictures)
    weights = weights or root / "weights"
    path = neighbours_path(chosen, data, out_dir, split)
    if path.is_file():
        return Neighbours.load(path, identity(chosen, data, split))
    given = task(data, chosen, split)
    text, image = encoders(chosen, data.samples(chosen.data.train_split), weights, device)
    with world() as here:
        shards = None
        if text.about or image.about:
            shards = Shards(Path(out_dir) / "cache" / "embeddings", here)
            if here.rank == 0:
                print(estimate(given, data, text, image, shards, device), flush=True)
        neighbours = retrieve(data, chosen, text, image, split, shards, search, device)
        if here.rank == 0:
            neighbours.save(path)
        here.wait()
    return neighbours


def _chosen(options: argparse.Namespace) -> Settings:
    """The profile with what the command line changes."""
    chosen = settings(options.profile)
    changed = {"ties": options.ties}
    if options.encoders:
        pair = PAIRS.get(options.encoders) or options.encoders.split(",")
        if len(pair) != 2:
            raise ValueError(
                f"There are no encoders '{options.encoders}': choose {', '.join(PAIRS)}, or name "
                "two, as in distilbert-cls,vgg16-pool5."
            )
        changed |= {"text": pair[0], "image": pair[1]}
    if not _has(options.device):
        raise ValueError(f"There is no device '{options.device}' here: use cpu, or see nvidia-smi.")
    place = {"dataset": options.dataset or chosen.data.dataset}
    if place["dataset"] == "referit":
        place["train_split"] = "trainval"
    return replace(
        chosen,
        retrieval=replace(chosen.retrieval, **changed),
        data=replace(chosen.data, **place),
    )


def _has(device: str) -> bool:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # builds without CUDA assert
        return False
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--dataset", help="unc, unc+, gref or referit")
    parser.add_argument("--split", default="all", help="whose sentences ask: all, or one split")
    parser.add_argument("--encoders", help="offline, paper, or two names with a comma")
    parser.add_argument("--weights", type=Path, help="folder of the paper's; else DATA/weights")
    parser.add_argument("--ties", default="hash", help=f"{' or '.join(TIES)}, at the cut of k")
    parser.add_argument("--search", default="auto", help=f"{', '.join(SEARCHES)}: same answers")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args(arguments)
    options.device = own_device(options.device)
    try:
        chosen = _chosen(options)
        data = refer.read(options.data, chosen.data.dataset)
        neighbours = build(
            chosen, data, options.out, split=options.split, search=options.search,
            weights=options.weights, device=options.device,
        )  # fmt: skip
        path = neighbours_path(chosen, data, options.out, options.split)
        if not is_first():
            return 0
        write(path.with_suffix(".json"), instruments(neighbours, data))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(path)
    short = int((neighbours.candidates == BLANK).any(axis=1).sum())
    if short:
        print(
            f"The pool holds fewer than k = {chosen.retrieval.k} other images for {short} of "
            f"{len(neighbours.sent_id)} sentences: their last places stay blank."
        )
    for name, value in quality(neighbours, data).items():
        print(f"{name:44}{value:8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
