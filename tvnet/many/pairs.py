"""What is asked: pairs of a picture and a sentence, from a table or a folder."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from data_setup.pictures import SUFFIXES

TABLE = "sentences.csv"  # in a folder, as `python -m data_setup own` reads it
COLUMNS = ("image", "sentence")


@dataclass(frozen=True)
class Pair:
    """A picture and a sentence about it."""

    place: str  # where it stands, to be named in a message
    image: str  # as it is written there
    path: Path
    sentence: str


def read_pairs(source: Path, sentence: str | None = None) -> list[Pair]:
    """The pairs of a CSV table with the columns image and sentence, or of a folder.

    A folder's pictures are all asked for one sentence; without it, the folder's sentences.csv is
    read. Paths in a table start at its own folder; its other columns are not read. Raises
    FileNotFoundError or ValueError naming the file and the line.
    """
    if sentence is not None:
        if not source.is_dir():
            raise ValueError(f"{source} has its own sentences: leave '{sentence:.40}' out.")
        paths = sorted(path for path in source.iterdir() if _is_picture(path))
        if not paths:
            raise ValueError(f"{source} holds no picture: name a folder with JPEG or PNG files.")
        return [Pair(path.name, path.name, path, sentence) for path in paths]
    table = source / TABLE if source.is_dir() else source
    if not table.is_file():
        raise FileNotFoundError(
            f"There is no {table}: name a table with the columns image and sentence, or a folder "
            "and a sentence."
        )
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is not UTF-8 ({error.reason}): save it as UTF-8.") from error
    return _rows(table, text)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def left_out(folder: Path) -> list[str]:
    """What a folder holds beside its pictures, as no ending says that it is one."""
    return sorted(printable(path.name) for path in folder.iterdir() if not _is_picture(path))


def printable(text: str) -> str:
    """A text with escapes for what is no UTF-8, as in names of files from old archives."""
    return text.encode("utf-8", "backslashreplace").decode()


def _rows(table: Path, text: str) -> list[Pair]:
    """The lines of a table, separated by commas, semicolons or tabs as its first line is."""
    first = next(filter(str.strip, re.split("[\r\n]", text)), "")
    mark = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    names: list[str] = []
    pairs = []
    try:
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if not names:
                names = [cell.strip().casefold() for cell in cells]
                if any(names.count(column) != 1 for column in COLUMNS):
                    raise ValueError(
                        f"{table} has the columns {', '.join(f'{name!r:.30}' for name in names)}: "
                        "its first line must name image and sentence, each once."
                    )
                continue
            place = f"{table}, line {reader.line_num}"
            if len(cells) != len(names):
                raise ValueError(
                    f"{place} has {len(cells)} cells, but the first line has {len(names)}: put "
                    f"quotes around a text that holds a '{mark}'."
                )
            image, sentence = (cells[names.index(column)].strip() for column in COLUMNS)
            if not image:
                raise ValueError(f"{place} names no picture: write its file under image.")
            pairs.append(Pair(place, image, table.parent / image, sentence))
    except csv.Error as error:
        raise ValueError(
            f"{table} cannot be read at line {reader.line_num} ({error}): is a quote not closed?"
        ) from error
    if not pairs:
        raise ValueError(f"{table} has no line with a picture and a sentence: write one.")
    return pairs
