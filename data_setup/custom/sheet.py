"""The data sheet of a custom data set: what it holds, what is double, what leaks, what is odd."""

from collections import Counter
from collections.abc import Iterator

from data_setup.convert.segmentations import merged
from data_setup.custom.join import Joined
from data_setup.custom.table import TRAIN
from data_setup.index import Index
from data_setup.pictures import SUFFIXES
from data_setup.statistics import SIZES, statistics
from data_setup.words import pieces

COMMONEST = 20  # words in the sheet
MOST_SHOWN = 100  # lines of one kind in the Markdown; the JSON holds all


def data_sheet(
    index: Index, joined: Joined, groups: list[list[str]], leaking: list[dict], seed: int | None
) -> dict:
    """What there is to know before training; `seed` is None where the rows name the splits.

    Words are the pieces of `data_setup.words`, sizes the shares that `statistics` uses.
    """
    numbers = statistics(index)
    texts: dict[str, list[str]] = {}
    for row in index.referents:
        texts.setdefault(row[4], []).extend(text for _, text in row[5])
    for split, found in numbers["splits"].items():
        found["words_unknown_to_train"] = round(
            unknown_share(texts.get(TRAIN, []), texts[split]), 4
        )
    words = Counter(piece for text in sum(texts.values(), []) for piece in pieces(text))
    return {
        "name": index.name,
        "seed": seed,
        "splits": numbers["splits"],
        "bins": numbers["bins"],
        "words": {
            "distinct": len(words),
            "used_once": sum(count == 1 for count in words.values()),
            "commonest": words.most_common(COMMONEST),
        },
        "duplicates": {
            "pictures": [group for group in groups if len(group) > 1],
            "masks": list(_same_masks(joined)),
            "sentences": list(_same_sentences(joined)),
        },
        "leaks": leaking,
        "not_used": _not_used(joined),
        "problems": joined.findings.problems,
        "remarks": joined.findings.remarks,
    }


def unknown_share(train: list[str], texts: list[str]) -> float:
    """Share of the words of `texts` that no text of `train` holds."""
    known = {word for text in train for word in pieces(text)}
    words = [word for text in texts for word in pieces(text)]
    return sum(word not in known for word in words) / max(1, len(words))


def _same_masks(joined: Joined) -> Iterator[list[str]]:
    """Masks of one picture that have the same pixels."""
    size = {image_id: (height, width) for image_id, _, width, height in joined.pictures.values()}
    found: dict[tuple, list[str]] = {}
    for key, (_, _, segmentation) in joined.masks.items():
        image_id = joined.referents[key][2]
        pixels = merged(segmentation, *size[image_id])["counts"]
        found.setdefault((image_id, pixels), []).append(_named(key))
    return (names for names in found.values() if len(names) > 1)


def _same_sentences(joined: Joined) -> Iterator[dict]:
    """Sentences that stand twice for one mask, or for two masks of one picture: which is meant?"""
    files = list(joined.pictures)
    found: dict[tuple, list[str]] = {}
    for key, (_, _, image_id, _, _, sentences) in joined.referents.items():
        for _, text in sentences:
            found.setdefault((image_id, text), []).append(_named(key))
    for (image_id, text), names in found.items():
        if len(names) > 1:
            yield {"picture": files[image_id - 1], "sentence": text, "masks": names}


def _named(key: tuple[str, ...]) -> str:
    """The file, and the value or place in it, which stands last in the keys of `Joined.masks`."""
    return f"{key[0]} ({key[-1]})" if key[-1] else key[0]


def _not_used(joined: Joined) -> list[str]:
    """Picture files of the folder that no row names, neither as image nor as mask."""
    paths = (path for found in joined.annotations.paths.values() for path in found)
    named = joined.pictures.keys() | joined.image_of.keys()
    return sorted(p for p in paths if p.lower().endswith(SUFFIXES) and p not in named)


def markdown(sheet: dict) -> str:
    """The data sheet to read."""
    seed = "as the rows name them" if sheet["seed"] is None else f"drawn with seed {sheet['seed']}"
    lines = [
        f"# Data sheet of {sheet['name']}",
        "",
        f"Splits: by picture, {seed}. Small is {sheet['bins']['small']} of the picture, medium "
        f"{sheet['bins']['medium']}, big {sheet['bins']['big']}.",
        "",
        "| split | pictures | referents | small / medium / big | sentences | words each, longest "
        "| words not in train |",
        "|---|---|---|---|---|---|---|",
    ]
    for split, found in sheet["splits"].items():
        sizes = " / ".join(str(found["sizes_per_referent"][size]) for size in SIZES)
        words = f"{found['words']['mean']}, {found['words']['longest']}"
        lines.append(
            f"| {split} | {found['images']} | {found['referents']} | {sizes} | "
            f"{found['expressions']} | {words} | {found['words_unknown_to_train']:.1%} |"
        )
    words = sheet["words"]
    common = ", ".join(f"{word} {count}" for word, count in words["commonest"])
    lines += ["", f"{words['distinct']} words, {words['used_once']} of them once. Most: {common}."]
    for title, entries in _sections(sheet).items():
        shown = [f"- `{entry.replace('`', ' ')}`" for entry in entries[:MOST_SHOWN]]
        shown += ["- and more in the JSON file"] * (len(entries) > MOST_SHOWN)
        lines += ["", f"## {title}: {len(entries)}", *[""] * bool(shown), *shown]
    return "\n".join([*lines, ""])


def _sections(sheet: dict) -> dict[str, list[str]]:
    double = sheet["duplicates"]
    return {
        "Leaks between splits": [
            f"{_same(leak['pictures'])}: {' and '.join(leak['splits'])}" for leak in sheet["leaks"]
        ],
        "Pictures that are copies of each other": list(map(_same, double["pictures"])),
        "Masks of one picture with the same pixels": list(map(_same, double["masks"])),
        "Sentences that stand more than once in one picture": [
            f"{found['picture']}: {found['sentence']} ({', '.join(found['masks'])})"
            for found in double["sentences"]
        ],
        "Pictures that no row names": sheet["not_used"],
        "Remarks": [f"{r['file']}: {r['record']} {r['reason']}" for r in sheet["remarks"]],
    }


def _same(names: list[str]) -> str:
    return " = ".join(names)
