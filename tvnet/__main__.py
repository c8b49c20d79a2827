"""A picture and an expression, or many of both -> masks, and what was retrieved.

    python -m tvnet photo.jpg "left dog" --out mask.png --overlay overlay.png
    python -m tvnet photos "left dog" --out found
    python -m tvnet pairs.csv --out found --skip

A table has the columns image and sentence. Of many pictures, the folder found gets masks/,
overlays/, scores.csv, masks.json (COCO's RLE) and index.html; the same command resumes a run that
was stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tvnet.files import replacing
from tvnet.many.pairs import left_out, read_pairs
from tvnet.many.run import predict_many, refuse_unknown
from tvnet.overlay import overlay, write_mask
from tvnet.prediction import NEIGHBOURS, Prediction
from tvnet.predictor import POOL, load
from tvnet.rows import BEST, ROWS


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
    parser = argparse.ArgumentParser(
        prog="python -m tvnet", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a picture, a folder of pictures or a CSV table")
    parser.add_argument("expression", nargs="?", help="what to look for, as in 'left dog'")
    parser.add_argument("--out", type=Path, help="the mask as a PNG; of many pictures a new folder")
    parser.add_argument("--overlay", type=Path, help="the mask over the picture as a PNG")
    parser.add_argument("--model", default=BEST, help=f"{', '.join(ROWS)}, or a folder")
    parser.add_argument(
        "--pool", type=Path, default=POOL,
        help="the data root of the model's data set, to retrieve from: needed by a model of yours",
    )  # fmt: skip
    parser.add_argument(
        "--neighbour", default="retrieved",
        help=f"{', '.join(NEIGHBOURS)}, the number of a picture of the pool, or a file",
    )  # fmt: skip
    parser.add_argument(
        "--anyway", action="store_true", help="answer also where the model knows no word"
    )
    parser.add_argument(
        "--skip", action="store_true", help="of many pairs, leave out those that cannot be read"
    )
    options = parser.parse_args(arguments)
    many = options.source.is_dir() or options.source.suffix.lower() == ".csv"
    try:
        print(*(_many if many else _one)(options), sep="\n")
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; of many pictures, the same command resumes.", file=sys.stderr)
        return 130
    return 0


def _one(options: argparse.Namespace) -> list[str]:
    """Write what is asked of one picture, and say what was found."""
    files = _outputs(options)
    if options.expression is None:
        raise ValueError(
            f"{options.source} has no sentence: say what to look for, as in 'left dog'."
        )
    if options.skip:
        raise ValueError("--skip is for many pictures: name a folder or a CSV table.")
    predictor = load(options.model, options.pool)
    if not options.anyway:
        refuse_unknown(predictor, options.expression)
    found = predictor(options.source, options.expression, _neighbour(options.neighbour))
    if options.out:
        write_mask(found.mask, options.out)
    if options.overlay:
        with replacing(options.overlay) as part:
            overlay(found.encoded.picture, found.mask).save(part, "PNG")
    return [*_sentences(found), *(f"The {name} is {path}." for name, path in files.items())]


def _outputs(options: argparse.Namespace) -> dict[str, Path]:
    """The files to write by name. Raises ValueError for one that is no PNG or would replace a file
    of the same command, FileNotFoundError where its folder is missing."""
    taken = [options.source, Path(options.neighbour)]
    files = {"mask": options.out, "overlay": options.overlay}
    files = {name: path for name, path in files.items() if path}
    for name, path in files.items():
        if path.suffix.lower() != ".png":
            raise ValueError(f"The {name} is a PNG: name it {path.with_suffix('.png')}.")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"There is no folder {path.parent}: make it first.")
        if any(_same_file(path, other) for other in taken):
            raise ValueError(f"The {name} would replace {path}: name another file.")
        taken.append(path)
    return files


def _same_file(path: Path, other: Path) -> bool:
    """Whether two names are one file's, as photo.png and PHOTO.PNG may be on a Mac."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()


def _many(options: argparse.Namespace) -> list[str]:
    """Write what is asked of many pictures, and say how much was found."""
    if options.out is None or options.out.suffix.lower() == ".png":
        raise ValueError("Many pictures have many masks: name a new folder for them with --out.")
    if options.overlay:
        raise ValueError("Of many pictures the folder of --out holds the overlays: no --overlay.")
    pairs = read_pairs(options.source, options.expression)
    predictor = load(options.model, options.pool)
    records = predict_many(
        predictor, pairs, options.out, _neighbour(options.neighbour), options.skip,
        options.anyway, progress=True,
    )  # fmt: skip
    failed = [record for record in records if "error" in record]
    lines = [f"{r['image']}, '{r['sentence']:.40}': {r['error']}" for r in failed]
    if failed:
        lines.insert(0, f"{len(failed)} of {len(records)} pairs were left out:")
    others = left_out(options.source) if options.expression is not None else []
    if others:
        listed = ", ".join(f"'{name:.40}'" for name in others[:5]) + ", ..." * (len(others) > 5)
        lines.append(f"Not read, as their names do not end like a picture's: {listed}.")
    return [*lines, f"{options.out} holds {len(records) - len(failed)} masks: open index.html."]


if __name__ == "__main__":
    sys.exit(main())
