"""A small data root cut out of a large one: some training pictures, and others that are named."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from data_setup.convert.folders import FOLDERS
from data_setup.fetch import parts
from data_setup.fetch.sources import ContentError
from data_setup.files import write_whole
from data_setup.index import Index, read_index

MARKER = "excerpt.json"


def write_excerpt(source: Path, root: Path, pictures: int, also: list[int]) -> dict[str, int]:
    """Copy the pictures and cut the indexes down to them; set -> its number of pictures.

    Taken are the pictures `also` and, evenly over the ids, `pictures` that are train in every set
    that has them, so that no picture of the pool is one that some set evaluates on. The folder is
    whole or not there. Raises ContentError where the source has no index or too few, or where
    `root` holds anything but an excerpt.
    """
    if root.exists() and not (root / MARKER).is_file():
        raise ContentError(f"{root} holds something that is no excerpt: choose another --root.")
    indexes = [index for name in FOLDERS if (index := read_index(source, name))]
    if not indexes:
        raise ContentError(f"{source} holds no index: draw the world first.")
    splits: dict[int, set[str]] = {}
    for index in indexes:
        for _, _, image_id, _, split, _ in index.referents:
            splits.setdefault(image_id, set()).add(split)
    if strange := sorted(set(also) - splits.keys()):
        raise ContentError(f"{source} holds no picture {strange[0]}: name others.")
    train = sorted(i for i, found in splits.items() if found == {"train"} and i not in set(also))
    if not 0 < pictures <= len(train):
        raise ContentError(
            f"{pictures} pictures cannot be taken from {source}: it has {len(train)} that are "
            "train in every set."
        )
    chosen = {train[k * len(train) // pictures] for k in range(pictures)} | set(also)
    cuts = [_cut(index, chosen) for index in indexes]
    files = [_folder(source, cut) / name for cut in cuts for _, name, _, _ in cut.pictures]
    part = parts.temporary(root)
    for file in files:
        (part / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, part / file)
    for cut in cuts:
        cut.write(part)
    counts = {cut.name: len(cut.pictures) for cut in cuts}
    command = f"python -m data_setup excerpt --source {source} --root {root} --pictures {pictures}"
    marker = {"command": command, "also": sorted(also), "pictures": counts}
    write_whole(part / MARKER, json.dumps(marker, indent=1).encode() + b"\n")
    if root.exists():
        shutil.rmtree(root)
    os.replace(part, root)
    return counts


def _folder(source: Path, index: Index) -> Path:
    """Where the pictures lie below `source`."""
    for place in index.pictures_in:
        if (source / place).is_dir():
            return Path(place)
    raise ContentError(
        f"The pictures of {index.name} do not lie in a folder of {source} "
        f"({', '.join(index.pictures_in)}): unpack them first."
    )


def _cut(index: Index, chosen: set[int]) -> Index:
    referents = [line for line in index.referents if line[2] in chosen]
    kept, shown = {line[1] for line in referents}, {line[2] for line in referents}
    return replace(
        index,
        pictures=[line for line in index.pictures if line[0] in shown],
        referents=referents,
        segmentations=[line for line in index.segmentations if line[0] in kept],
    )


def images_of(path: Path) -> list[int]:
    """The image ids in a list of examples: {"sentences": [{"image_id": ...}, ...]}."""
    try:
        return sorted({line["image_id"] for line in json.loads(path.read_text())["sentences"]})
    except (ValueError, KeyError, TypeError) as error:
        raise ContentError(f"{path} is no list of examples ({error}).") from error
