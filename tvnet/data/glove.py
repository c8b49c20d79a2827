"""Rows of GloVe 840B.300d for a vocabulary, read straight from the published file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

NAME = "glove.840B.300d"
SPREAD = 0.6  # LSCM's rule for words without a row: N(0, 0.6^2)


def glove_rows(folder: Path, words: list[str], width: int, seed: int = 0) -> tuple[np.ndarray, int]:
    """(len(words), width) float32, and how many of the words GloVe knows (D41).

    `folder` holds glove.840B.300d.zip or .txt. Words without a row get a random one, a function
    of seed and position alone. Raises FileNotFoundError, or ValueError naming the damaged line.
    """
    draw = np.random.default_rng(seed)
    rows = draw.normal(0.0, SPREAD, (len(words), width)).astype(np.float32)
    place = {word.encode(): k for k, word in enumerate(words)}
    known = 0
    with _open(Path(folder)) as lines:
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
    if not known:
        raise ValueError(f"{NAME} in {folder} knows none of {len(words)} words: fetch it again.")
    return rows, known


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
