"""One picture and one expression -> a mask, what was retrieved for it, and every tensor between.

tvnet.predict("photo.jpg", "left dog").mask
python -m tvnet.predict photo.jpg "left dog" --out mask.png
"""

from __future__ import annotations

import argparse
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from tvnet.data.photo import Photo
from tvnet.files import SHIPPED, read_json, replacing
from tvnet.model.pretrained import load_backbone
from tvnet.predictor import NEIGHBOURS, Prediction, Predictor
from tvnet.retrieval.build import WEIGHTS
from tvnet.retrieval.online import Retriever
from tvnet.rows import BEST, ROWS
from tvnet.saved_model import MODELS, load_backbone_of
from tvnet.saved_model import load as load_checkpoint

POOL = SHIPPED / "pool"  # a part of MiniRef that ships


def load(
    model: str | Path = BEST,
    pool: Path | str = POOL,
    weights: Path | str = WEIGHTS,
    retriever: Retriever | None = None,
) -> Predictor:
    """A predictor of a shipped model (a row of Table 1) or of a folder that training wrote.

    pool: a data root with the model's data set, of whose training split images are retrieved.
    weights: where the backbone and the encoders of the paper profile lie. retriever: another
    predictor's, to share what it has computed. Raises FileNotFoundError or ValueError.
    """
    shipped = model in ROWS
    folder = MODELS / model.lower() if shipped else Path(model)
    if not folder.is_dir():
        raise ValueError(
            f"There is no model '{model}': choose one of {', '.join(ROWS)}, or name the folder of "
            "a trained one."
        )
    digests = None
    if shipped:
        report = read_json(MODELS / "shipped.json", dict, "install tvnet again")
        digests = report["rows"][model]["sha256"]
    network, vocabulary = load_checkpoint(folder, digests=digests)
    chosen = network.settings
    if retriever is None:
        name = chosen.data.dataset
        if Path(pool) == POOL and not (POOL / "index" / f"{name}.json").is_file():
            raise ValueError(
                f"The pool that ships holds no '{name}', which the model in {folder} was trained "
                "on: name a data root that does as its pool."
            )
        backbone = load_backbone(chosen.backbone, Path(weights))
        if chosen.backbone.train_from != "none":
            load_backbone_of(folder, backbone)
        retriever = Retriever(chosen, backbone, Path(pool), Path(weights))
    for part in ("data", "backbone", "retrieval"):
        if getattr(retriever.chosen, part) != getattr(chosen, part):
            raise ValueError(
                f"The model in {folder} was made with other settings of '{part}' than this "
                "retriever: load it without one."
            )
    return Predictor(network, vocabulary, retriever)


@lru_cache(maxsize=len(ROWS))
def _shipped(row: str) -> Predictor:
    return load(row)


def predict(
    image: Photo,
    expression: str,
    neighbour: str | int | Photo = "retrieved",
    model: str | Path = BEST,
    pool: Path | str = POOL,
) -> Prediction:
    """One picture and one expression: what `load` and `Predictor` do, in one call."""
    own = model not in ROWS or Path(pool) != POOL
    predictor = load(model, pool) if own else _shipped(model)
    return predictor(image, expression, neighbour)


class _Callable(ModuleType):
    """`tvnet.predict` is this module, and can be called like the function in it."""

    __call__ = staticmethod(predict)


sys.modules[__name__].__class__ = _Callable


def write_mask(mask: np.ndarray, path: Path) -> None:
    """A PNG, white where the referent is, whole or not there."""
    with replacing(path) as part:
        Image.fromarray(mask.astype(np.uint8) * 255).save(part, "PNG")


def _told(found: Prediction) -> list[str]:
    """A prediction in sentences."""
    share = 100 * found.mask.mean()
    lines = [f"{share:.1f} % of the picture, score {found.score:.2f}.", *found.remarks]
    for c in found.candidates:
        if c.image_id == found.neighbour_id:
            lines.append(
                f"Enriched by picture {c.image_id}, '{c.expression}': text {c.text_similarity:.2f} "
                f"(rank {c.text_rank}), image {c.image_similarity:.2f} (rank {c.image_rank} of "
                f"{len(found.candidates)})."
            )
    return lines


def _neighbour(text: str) -> str | int | Path:
    """What a command line may name: a kind, an image id of the pool, or a file."""
    if text in NEIGHBOURS:
        return text
    if text.isdecimal():
        return int(text)
    if Path(text).is_file():
        return Path(text)
    raise ValueError(
        f"There is no neighbour '{text}': choose one of {', '.join(NEIGHBOURS)}, the number of a "
        "picture of the pool, or a file."
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tvnet.predict", description=__doc__.split("\n")[0]
    )
    parser.add_argument("image", help="a JPEG, PNG or the like")
    parser.add_argument("expression", help="what to look for, as in 'left dog'")
    parser.add_argument("--out", type=Path, help="the mask as a PNG")
    parser.add_argument("--model", default=BEST, help=f"{', '.join(ROWS)}, or a folder")
    parser.add_argument("--pool", type=Path, default=POOL, help="a data root to retrieve from")
    parser.add_argument(
        "--neighbour", default="retrieved",
        help=f"{', '.join(NEIGHBOURS)}, the number of a picture of the pool, or a file",
    )  # fmt: skip
    parser.add_argument(
        "--anyway", action="store_true", help="answer also where the model knows no word"
    )
    options = parser.parse_args(arguments)
    try:
        if options.out and options.out.suffix.lower() != ".png":
            raise ValueError(f"The mask is a PNG: name it {options.out.with_suffix('.png')}.")
        if options.out and not options.out.absolute().parent.is_dir():
            raise FileNotFoundError(f"There is no folder {options.out.parent}: make it first.")
        found = predict(
            options.image, options.expression, _neighbour(options.neighbour), options.model,
            options.pool,
        )  # fmt: skip
        if found.knows_no_word and not options.anyway:
            raise ValueError(
                f"The model knows no word of '{options.expression:.40}': use words that it has "
                "learned, as in 'left dog', or add --anyway for what the picture alone gives."
            )
        if options.out:
            write_mask(found.mask, options.out)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*_told(found), sep="\n")
    if options.out:
        print(f"The mask is {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
