"""sentences.csv or sentences.json -> rows of texts; what a row says more or less is refused."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from data_setup.convert.validate import CONTROL, Findings
from data_setup.fetch.sources import ContentError, SetupError
from data_setup.words import without_spaces

TABLES = ("sentences.csv", "sentences.json")
NEEDED = ("image", "mask", "sentence")
COLUMNS = (*NEEDED, "split", "id")
TRAIN, EVALUATE = "train", "val"  # the splits that training reads where nothing else is set
SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
MEANT = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
FORMS = {"annotations": "COCO's", "shapes": "LabelMe's", "segmentation": "COCO's", "counts": "RLE"}
DRAW = "polygons and run lengths are not read: draw each into a mask file"


@dataclass(frozen=True)
class Row:
    """One sentence; `place` says where it stands in the file, `id` is "" where none is given."""

    place: str
    image: str
    mask: str
    sentence: str
    split: str
    id: str


def read_table(folder: Path, findings: Findings) -> tuple[Path, list[Row]]:
    """The table of a folder and its usable rows; what is wrong with the others is a finding.

    Raises SetupError where there is not one table, ContentError where it cannot be read at all.
    """
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    if not tables:
        raise SetupError(f"{folder} holds no {' and no '.join(TABLES)}: write one of them.")
    if len(tables) > 1:
        raise SetupError(f"{folder} holds {' and '.join(TABLES)}: remove one of them.")
    table = tables[0]
    found = _csv_rows if table.suffix == ".csv" else _json_rows
    rows, more = [], set()
    for place, cells in found(table, findings):
        more |= {key for key in cells if key not in COLUMNS}
        try:
            rows.append(_row(place, cells))
        except ValueError as error:
            findings.problem(table.name, place, str(error))
    for key in sorted(more):
        findings.remark(table.name, f"column '{key:.30}'", "is not read")
    if not rows and not findings.problems:
        findings.problem(table.name, "it", "has no rows")
    rows = _with_splits(table, rows, findings)
    texts = [row.sentence for row in rows if row.split == TRAIN]
    runs = without_spaces(texts)
    if 2 * len(runs) > len(texts):  # each would be one word: training refuses them as well
        reason = (
            f"has {len(runs)} of {len(texts)} sentences that show no words, as '{runs[0]:.40}': "
            "put a space between the words of every sentence, though their script has none"
        )
        findings.problem(table.name, f"split '{TRAIN}'", reason)
    return table, rows


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
    if not set(NEEDED) <= set(names) or len(set(names)) < len(names):
        raise ContentError(
            f"{table} has the columns {', '.join(f'{name!r:.30}' for name in names[:8])}: its "
            f"first line must name {', '.join(NEEDED)} and may name split and id, each once, "
            "separated by commas."
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
        raise ContentError(
            f"{table} holds {what}{_form(keys)}: a list of objects with {', '.join(NEEDED)} is due."
        )
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
    return f" ({form} form; {DRAW})" if form else ""


def _row(place: str, cells: dict) -> Row:
    texts = {}
    for key in COLUMNS:
        value = cells.get(key)
        if key == "id" and type(value) is int:
            value = str(value)
        if key == "mask" and re.fullmatch(r"\s*[\[{].*[\]}]\s*", str(value), re.DOTALL):
            raise ValueError(f"has no file of a mask; {DRAW}")
        if value is not None and not isinstance(value, str):
            raise ValueError(f"has the {key} {value!r:.30}, which is no text")
        texts[key] = (value or "").strip()
        for c in texts[key]:
            if unicodedata.category(c) in CONTROL:
                raise ValueError(f"has the character U+{ord(c):04X} in its {key}: remove it")
    lacking = [key for key in NEEDED if not texts[key]]
    if lacking:
        keys = list(cells)
        raise ValueError(f"lacks {' and '.join(lacking)}; it has {_listed(keys)}{_form(keys)}")
    return Row(place, **texts)


def _with_splits(table: Path, rows: list[Row], findings: Findings) -> list[Row]:
    """The rows, all of them with a split that can be used."""
    if not any(row.split for row in rows):
        if rows:
            findings.remark(table.name, "it", f"names no split, so every row is '{TRAIN}'")
        rows = [replace(row, split=TRAIN) for row in rows]
    for row in rows:
        known = MEANT.get(row.split.casefold(), row.split.casefold())
        if not row.split:
            findings.problem(table.name, row.place, "has no split, but other rows have one")
        elif not SPLIT.fullmatch(row.split):
            reason = f"has the split {row.split!r:.40}: use letters, digits, - and _"
            findings.problem(table.name, row.place, reason)
        elif known in (TRAIN, EVALUATE, "test") and known != row.split:
            findings.problem(table.name, row.place, f"has the split '{row.split}': write '{known}'")
    for split, use in ((TRAIN, "trains on"), (EVALUATE, "evaluates on")):
        if rows and split not in {row.split for row in rows}:
            reason = f"has no row; `DataSettings` {use} it unless another is named"
            findings.remark(table.name, f"split '{split}'", reason)
    return rows
