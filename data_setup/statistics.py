"""What a data set holds, in numbers: the table of the data sets and Fig. 7, as JSON."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

from data_setup.convert.segmentations import area
from data_setup.files import write_whole
from data_setup.index import Index

SIZES = ("small", "medium", "big")
SMALL, MEDIUM = 0.05, 0.10  # of the whole image: small below the first, big from the second on


def statistics(index: Index) -> dict:
    """Counts of every split, words per expression, and size bins per referent and per sentence.

    A referent's size is the share of its image that its mask covers (Fig. 7). Images that two
    splits have in common are what leaks from one to the other.
    """
    size = {image_id: (height, width) for image_id, _, width, height in index.pictures}
    image_of = {row[1]: row[2] for row in index.referents}
    share = {}  # annotation id -> of its image under its mask, the union of its parts
    for ann_id, _, segmentation in index.segmentations:
        height, width = size[image_of[ann_id]]
        share[ann_id] = area(segmentation, height, width) / (height * width)
    splits: dict[str, list[list]] = {}
    for row in index.referents:
        splits.setdefault(row[4], []).append(row)
    images = {split: {row[2] for row in rows} for split, rows in splits.items()}
    return {
        "name": index.name,
        "bins": {"small": f"< {SMALL}", "medium": f"{SMALL} to {MEDIUM}", "big": f">= {MEDIUM}"},
        "splits": {split: _split(rows, share) for split, rows in sorted(splits.items())},
        "images_in_two_splits": {
            f"{a} and {b}": len(images[a] & images[b]) for a, b in combinations(sorted(images), 2)
        },
    }


def _split(rows: list[list], share: dict[int, float]) -> dict:
    words = Counter(len(text.split()) for row in rows for _, text in row[5])
    expressions = words.total()
    per_referent, per_sentence = dict.fromkeys(SIZES, 0), dict.fromkeys(SIZES, 0)
    for row in rows:
        size = SIZES[(share[row[1]] >= SMALL) + (share[row[1]] >= MEDIUM)]
        per_referent[size] += 1
        per_sentence[size] += len(row[5])
    return {
        "referents": len(rows),
        "images": len({row[2] for row in rows}),
        "expressions": expressions,
        "words": {
            "mean": round(sum(n * count for n, count in words.items()) / max(1, expressions), 3),
            "longest": max(words, default=0),
            "expressions_of_length": {str(n): words[n] for n in sorted(words)},
        },
        "sizes_per_referent": per_referent,
        "sizes_per_sentence": per_sentence,
    }


def write_statistics(root: Path, index: Index) -> None:
    """statistics/NAME.json of a data root."""
    content = json.dumps(statistics(index), indent=1) + "\n"
    write_whole(root / "statistics" / f"{index.name}.json", content.encode())
