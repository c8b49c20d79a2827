"""sentences.csv, sentences.json or an export that holds sentences -> rows of checked texts."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_setup.convert.validate import CONTROL, Findings
from data_setup.fetch.sources import ContentError, SetupError
from data_setup.words import without_spaces

ANNOTATIONS = (".json", ".xml")  # endings of annotation files
TABLES = ("sentences.csv", "sentences.json")
COLUMNS = ("image", "mask", "sentence", "split", "id")
TRAIN, EVALUATE = "train", "val"  # the splits that training reads where nothing else is set
SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
MEANT = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
FORMS = {"annotations": "COCO's", "shapes": "LabelMe's", "segmentation": "COCO's", "counts": "RLE"}
KEEP = "keep polygons and run lengths in a file of another name, as instances.json, and name that"


@dataclass(frozen=True)
class Row:
    """One sentence; `place` says where it stands in the file. Other fields may be "".

    `mask` is a mask file or an annotation file of the folder, "" for any of the latter; `id` is the
    referent's value in its mask file, or its id in the annotation file.
    """

    file: str
    place: str
    image: str
    mask: str
    sentence: str
    split: str
    id: str


Cells = Iterator[tuple[str, str, dict]]  # file, place, column -> cell of every sentence


def read_rows(folder: Path, exported: Cells, findings: Findings) -> list[Row]:
    """The usable rows of a folder's table, or where it has none, of what its annotation files hold.

    What is wrong with the others is a finding. Raises SetupError where there is not one table,
    ContentError where it cannot be read at all.
    """
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(tables) > 1:
        raise SetupError(f"{folder} holds {' and '.join(TABLES)}: remove one of them.")
    rows, more = [], set()
    for file, place, cells in _cells(tables[0], findings) if tables else exported:
        more |= {(file, key) for key in cells if key not in COLUMNS}
        try:
            rows.append(_row(file, place, cells))
        except ValueError as error:
            findings.problem(file, place, str(error))
    for file, key in sorted(more):
        findings.remark(file, f"column '{key:.30}'", "is not read")
    if not rows and not findings.problems:
        if not tables:
            raise SetupError(
                f"{folder} holds no {' and no '.join(TABLES)}, and no export of an annotation tool "
                "that holds sentences: write one of them."
            )
        findings.problem(tables[0].name, "it", "has no rows: write one for each sentence")
    _check_splits(rows, findings)
    texts = [row.sentence for row in rows if row.split in ("", TRAIN)]
    runs = without_spaces(texts)
    if 2 * len(runs) > len(texts):  # each would be one word: training refuses them as well
        reason = (
            f"has {len(runs)} of {len(texts)} sentences that show no words, as '{runs[0]:.40}': "
            "put a space between the words of every sentence, though their script has none"
        )
        findings.problem(rows[0].file, f"split '{TRAIN}'", reason)
    return rows


def _cells(table: Path, findings: Findings) -> Cells:
    found = _csv_rows if table.suffix == ".csv" else _json_rows
    for place, cells in found(table, findings):
        yield table.name, place, cells


def _text(table: Path) -> str:
    content = table.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContentError(
            f"{table} is not UTF-8 (byte 0x{content[error.start]:02x} in line {line}): save it as "
            "UTF-8."
        ) from error


def _csv_rows(table: Path, findings: Findings) -> Iterator[tuple[str, dict]]:
    text = _text(table)
    first = next(filter(str.strip, re.split("[\r\n]", text)), "")
    mark = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    header, line = None, 1
    try:
        for cells in reader:
            place, line = f"line {line}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(table, cells)
                continue
            reason = f"has {len(cells)} cells, but the header has {len(header)}"
            if any("\n" in cell or "\r" in cell for cell in cells):
                reason = "has a line break inside quotes: is a quote not closed?"
            elif any(cell.strip() for cell in cells[len(header) :]):
                reason += f": put quotes around a text that holds a '{mark}'"
            elif len(cells) >= len(header):
                yield place, dict(zip(header, cells, strict=False))
                continue
            findings.problem(table.name, place, reason)
    except csv.Error as error:
        raise ContentError(
            f"{table} cannot be read from line {line} on ({error}): is a quote not closed, or one "
            "inside a quoted text not doubled?"
        ) from error
    if header is None:
        raise ContentError(f"{table} is empty: give it the columns {', '.join(COLUMNS[:4])}.")


def _header(table: Path, cells: list[str]) -> list[str]:
    names = [cell.strip().casefold() for cell in cells]
    while not names[-1]:  # spreadsheets write empty columns at the end
        names.pop()
    masks = {"image", "mask"} <= set(names) or "id" in names
    if "sentence" not in names or not masks or len(set(names)) < len(names):
        raise ContentError(
            f"{table} has the columns {', '.join(f'{name!r:.30}' for name in names[:8])}: its "
            "first line must name image, mask, sentence (id, sentence beside an annotation file) "
            "and may name split and id, each once, separated by commas."
        )
    return names


def _json_rows(table: Path, findings: Findings) -> Iterator[tuple[str, dict]]:
    try:
        found = json.loads(_text(table))
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{table} cannot be read: {error}.") from error
    if not isinstance(found, list):
        keys = list(found) if isinstance(found, dict) else []
        what = f"an object with the keys {_listed(keys)}" if keys else "no list"
        due = "a list of objects with image, mask, sentence is due"
        raise ContentError(f"{table} holds {what}{_form(keys)}: {due}.")
    for number, entry in enumerate(found, start=1):
        place = f"entry {number}"
        if isinstance(entry, dict):
            yield place, {key.strip().casefold(): value for key, value in entry.items()}
        else:
            findings.problem(table.name, place, "is no object with image, mask and sentence")


def _listed(keys: list[str]) -> str:
    return ", ".join(f"'{key:.30}'" for key in keys[:8]) or "none"


def _form(keys: list[str]) -> str:
    """What is to say where keys are those of another format."""
    form = next((FORMS[key] for key in keys if key in FORMS), None)
    return f" ({form} form; {KEEP})" if form else ""


def _row(file: str, place: str, cells: dict) -> Row:
    texts = {}
    for key in COLUMNS:
        value = cells.get(key)
        if key == "id" and type(value) is int:
            value = str(value)
        if key == "mask" and re.fullmatch(r"\s*[\[{].*[\]}]\s*", str(value), re.DOTALL):
            raise ValueError(f"holds no name of a mask file: {KEEP}")
        if value is not None and not isinstance(value, str):
            raise ValueError(f"has the {key} {value!r:.30}, which is no text")
        texts[key] = (value or "").strip()
        for c in texts[key]:
            if unicodedata.category(c) in CONTROL:
                raise ValueError(f"has the character U+{ord(c):04X} in its {key}: remove it")
    plain = not texts["mask"].lower().endswith(ANNOTATIONS)  # which need no image
    lacking = [key for key in ("image", "mask") if not texts[key] and plain and not texts["id"]]
    lacking += ["sentence"] * (not texts["sentence"])
    if lacking:
        keys = list(cells)
        reason = f"lacks {' and '.join(lacking)}; it has {_listed(keys)}{_form(keys)}"
        raise ValueError(f"{reason}: fill the cells, or remove the row")
    return Row(file, place, **texts)


def _check_splits(rows: list[Row], findings: Findings) -> None:
    """Every row has a split that can be used, or none has one."""
    if not any(row.split for row in rows):
        return
    for row in rows:
        known = MEANT.get(row.split.casefold(), row.split.casefold())
        reason = ""
        if not row.split:
            reason = "has no split, but other rows have one: give every row one, or none"
        elif not SPLIT.fullmatch(row.split):
            reason = f"has the split {row.split!r:.40}: use letters, digits, - and _"
        elif known in (TRAIN, EVALUATE, "test") and known != row.split:
            reason = f"has the split '{row.split}': write '{known}'"
        if reason:
            findings.problem(row.file, row.place, reason)
