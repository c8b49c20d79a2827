"""A folder of pictures, masks and sentences -> a data set that everything else accepts."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np

from data_setup import parts
from data_setup.convert import report
from data_setup.glove import forget_rows
from data_setup.index import Index
from data_setup.sources import ContentError, SetupError
from data_setup.statistics import write_statistics
from data_setup.validate import MAX_SIDE, Findings, is_plain

TABLES = ("sentences.csv", "sentences.json")
ORIENTATION = 0x0112  # the EXIF tag
TAKEN = ("unc", "unc+", "gref", "gref-umd", "referit", "referit-hu")


def write_own(folder: Path, root: Path, name: str) -> Index:
    """Make the set `name` of a root from `folder`, which holds sentences.csv or sentences.json.

    Each row has image, mask and sentence, and may have split (train where it has none). Image and
    mask are files below the folder; the referent is where the mask, as grey, is over 127. Rows with
    the same mask are sentences of one referent. Raises ContentError that tells every bad row.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9+_-]{0,30}", name) or name in TAKEN:
        raise SetupError(f"'{name}' cannot be the name of your data set: choose another --name.")
    table = next((folder / t for t in TABLES if (folder / t).is_file()), None)
    if table is None:
        raise SetupError(f"{folder} holds no {' and no '.join(TABLES)}: write one of them.")
    findings = Findings()
    pictures, masks, referents = _joined(folder, table, findings)
    report(root, name, findings)
    place = f"images/{name}"
    for image in pictures:
        _copy(folder / image, root / place / image)
    made = {table.name: hashlib.sha256(table.read_bytes()).hexdigest()}
    rows = [list(part.values()) for part in (pictures, referents, masks)]
    index = Index(name, made, [place], rows[0], [[1, "object"]], rows[1], rows[2])
    forget_rows(root)
    write_statistics(root, index)
    index.write(root)
    return index


def _joined(folder: Path, table: Path, findings: Findings) -> tuple[dict, dict, dict]:
    """The rows of the index by their files' names: pictures, masks, referents."""
    pictures, masks, referents, sentences = {}, {}, {}, 0
    for number, row in enumerate(_rows(table), start=1):
        image, mask, text, split = (row.get(k) for k in ("image", "mask", "sentence", "split"))
        record = f"row {number}"
        if not all(isinstance(value, str) and value.strip() for value in (image, mask, text)):
            findings.problem(table.name, record, "lacks image, mask or sentence")
            continue
        try:
            if image not in pictures:
                pictures[image] = [len(pictures) + 1, *_picture(folder, image)]
            image_id, _, width, height = pictures[image]
            if mask not in masks:
                masks[mask] = [len(masks) + 1, 0, _mask(folder, mask, height, width)]
        except (OSError, ValueError) as error:
            findings.problem(table.name, record, str(error))
            continue
        ann_id = masks[mask][0]
        chosen = (split or "").strip() or "train"
        referent = referents.setdefault(mask, [ann_id, ann_id, image_id, 1, chosen, []])
        if referent[2] != image_id or referent[4] != chosen:
            findings.problem(table.name, record, f"gives '{mask}' to another image or split")
        referent[5].append([sentences, text.strip().lower()])
        sentences += 1
    if not referents and not findings.problems:
        findings.problem(table.name, "it", "has no rows")
    return pictures, masks, referents


def _rows(table: Path) -> list[dict]:
    try:
        text = table.read_text("utf-8-sig")
        if table.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise ValueError("it holds no list of objects")
        return found
    except (ValueError, csv.Error, RecursionError) as error:
        raise ContentError(f"{table} cannot be read: {error}.") from error


def _open(folder: Path, name: str):
    from PIL import Image

    if not is_plain(name):
        raise ValueError(f"'{name}' is no plain name of a file in the folder")
    if not (folder / name).is_file():
        raise ValueError(f"'{name}' is missing")
    try:
        return Image.open(folder / name)
    except Exception as error:  # damaged pictures raise many kinds
        raise ValueError(f"'{name}' is no picture ({error!r:.60})") from error


def _picture(folder: Path, name: str) -> tuple[str, int, int]:
    """Its name, width and height. Whatever later work could not read is refused here."""
    with _open(folder, name) as picture:
        if picture.mode[0] in "IF":
            raise ValueError(f"'{name}' has the mode {picture.mode}: save it with 8 bits a channel")
        if max(picture.size) > MAX_SIDE:
            raise ValueError(f"'{name}' has a side of over {MAX_SIDE} pixels: make it smaller")
        try:
            picture.load()
            turned = picture.getexif().get(ORIENTATION, 1)
        except Exception as error:  # damaged pictures raise many kinds
            raise ValueError(f"'{name}' is damaged ({error!r:.60}): save it again") from error
        if turned != 1:
            raise ValueError(f"'{name}' has a flag that turns it (EXIF): save it upright")
        return name, picture.width, picture.height


def _mask(folder: Path, name: str, height: int, width: int) -> dict:
    from pycocotools import mask as coco

    with _open(folder, name) as picture:
        if picture.size != (width, height):
            raise ValueError(f"the mask '{name}' is not {width}x{height} like its image")
        inside = np.asarray(picture.convert("L")) > 127
    if not inside.any():
        raise ValueError(f"the mask '{name}' is empty")
    runs = coco.encode(np.asfortranarray(inside, dtype=np.uint8))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = parts.aside(target)
    shutil.copyfile(source, aside)
    aside.replace(target)
