"""One picture and one expression -> a mask as a PNG, and what was retrieved for it.

python -m tvnet photo.jpg "left dog" --out mask.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tvnet.files import replacing
from tvnet.prediction import NEIGHBOURS, Prediction
from tvnet.predictor import POOL, predict
from tvnet.rows import BEST, ROWS


def write_mask(mask: np.ndarray, path: Path) -> None:
    """A PNG, white where the referent is, whole or not there."""
    with replacing(path) as part:
        Image.fromarray(mask.astype(np.uint8) * 255).save(part, "PNG")


def _sentences(found: Prediction) -> list[str]:
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
    parser = argparse.ArgumentParser(prog="python -m tvnet", description=__doc__.split("\n")[0])
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
    print(*_sentences(found), sep="\n")
    if options.out:
        print(f"The mask is {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
