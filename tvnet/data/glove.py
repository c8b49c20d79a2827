"""Rows of GloVe 840B.300d for a vocabulary, from the published file or the rows kept of it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

NAME = "glove.840B.300d"
KEPT = "glove-rows.safetensors"  # what data_setup keeps of it: the words of the sentences
SPREAD = 0.6  # LSCM's rule for words without a row: N(0, 0.6^2)


def glove_rows(folder: Path, words: list[str], width: int, seed: int = 0) -> tuple[np.ndarray, int]:
    """(len(words), width) float32, and how many of the words GloVe knows (D41).

    `folder` holds glove-rows.safetensors, or glove.840B.300d.zip or .txt. Words without a row get
    a random one, a function of seed and position alone. Raises FileNotFoundError, or ValueError
    naming the damaged line.
    """
    draw = np.random.default_rng(seed)
    rows = draw.normal(0.0, SPREAD, (len(words), width)).astype(np.float32)
    if (Path(folder) / KEPT).is_file():
        known = _fill(rows, words, Path(folder) / KEPT)
    else:
        known = _stream(rows, words, Path(folder), width)
    if not known:
        raise ValueError(f"{NAME} in {folder} knows none of {len(words)} words: fetch it again.")
    return rows, known


def _fill(rows: np.ndarray, words: list[str], path: Path) -> int:
    """Copy the rows of a kept file; how many there were."""
    try:
        with safe_open(path, framework="numpy") as file:
            kept, text = file.get_tensor("rows"), file.metadata()["words"]
            written = file.get_tensor("sha256").tobytes()
        if hashlib.sha256(kept.tobytes() + text.encode()).digest() != written:
            raise ValueError("its content is not what was written")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it, then the whole file is read."
        ) from error
    at = json.loads(text)
    if kept.shape != (len(at), rows.shape[1]):
        raise ValueError(
            f"{path} holds rows of shape {kept.shape}, not {(len(at), rows.shape[1])}: delete it, "
            "then the whole file is read."
        )
    found = {word: row for word, row in zip(at, kept, strict=True)}
    for k, word in enumerate(words):
        if word in found:
            rows[k] = found[word]
    return sum(word in found for word in words)


def _stream(rows: np.ndarray, words: list[str], folder: Path, width: int) -> int:
    """Copy the rows of the published file, line by line; how many there were."""
    place = {word.encode(): k for k, word in enumerate(words)}
    known = 0
    with _open(folder) as lines:
        for number, line in enumerate(tqdm(lines, desc="GloVe", unit="word", unit_scale=True), 1):
            # Some tokens hold spaces: what precedes the last `width` fields is the word.
            word, *numbers = line.rstrip(b"\n").rsplit(b" ", width)
            if len(numbers) != width:
                raise ValueError(
                    f"Line {number} of {NAME} in {folder} has {len(numbers)} numbers, not {width}: "
                    "the file is damaged or another one, fetch it again."
                )
            if (k := place.pop(word, None)) is not None:
                rows[k] = np.array(numbers, dtype=np.float32)
                known += 1
    return known


@contextmanager
def _open(folder: Path) -> Iterator[BinaryIO]:
    archive, text = folder / f"{NAME}.zip", folder / f"{NAME}.txt"
    if archive.is_file():
        with zipfile.ZipFile(archive) as whole, whole.open(f"{NAME}.txt") as lines:
            yield lines
    elif text.is_file():
        with open(text, "rb") as lines:
            yield lines
    else:
        raise FileNotFoundError(
            f"There is no {archive}: fetch it with `python -m data_setup fetch glove --root "
            f"{folder.parent}`, or set words to 'random'."
        )
