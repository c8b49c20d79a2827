"""The rows of GloVe that the data sets need, streamed out of its 5.6 GB into a small file."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from data_setup.convert.members import table
from data_setup.fetch.sources import ContentError
from data_setup.files import write_whole

ROWS = "glove-rows.safetensors"
DIMENSIONS = 300
MOST = 12_000_000_000  # bytes of the text inside the zip
LONGEST_LINE = 100_000


def write_rows(root: Path, archive: Path, words: list[str]) -> Path:
    """weights/glove-rows.safetensors: "rows" (N, 300) float32 and, as metadata, "words".

    Of two hashes, "asked", of what was asked for, says whether a file can be left as it is, and
    "sha256", of rows and words, whether it holds what was written. Raises ContentError when the
    archive holds no vectors of 300 numbers.
    """
    path = root / "weights" / ROWS
    digest = hashlib.sha256(json.dumps(words).encode()).digest()
    if path.is_file():
        try:
            with safe_open(path, framework="numpy") as file:
                whole = _hash(file.get_tensor("rows"), file.metadata()["words"])
                there = [file.get_tensor(name).tobytes() for name in ("asked", "sha256")]
            if there == [digest, whole]:
                return path
        except Exception:  # damaged: it is made again
            pass
    try:
        found = dict(_rows(archive, {word.encode() for word in words}))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise ContentError(f"The vectors in {archive} are damaged: {error}.") from error
    if not found:
        raise ContentError(f"{archive} holds a vector for none of {len(words)} words.")
    kept = sorted(found)
    rows, text = np.stack([found[word] for word in kept]), json.dumps(kept)
    # tensors, as several entries of metadata would be written in no fixed order
    hashes = {"asked": digest, "sha256": _hash(rows, text)}
    tensors = {name: np.frombuffer(value, dtype=np.uint8) for name, value in hashes.items()}
    write_whole(path, save({"rows": rows, **tensors}, {"words": text}))
    return path


def _hash(rows: np.ndarray, words: str) -> bytes:
    return hashlib.sha256(rows.tobytes() + words.encode()).digest()


def forget_rows(root: Path) -> None:
    """Remove kept rows that may lack the words of new sentences; the archive still has them."""
    (root / "weights" / ROWS).unlink(missing_ok=True)


def _rows(archive: Path, words: set[bytes]) -> Iterator[tuple[str, np.ndarray]]:
    """(word, vector) of each wanted line; of a word that stands twice, the first."""
    texts = [info for name, info in table(archive).items() if name.endswith(".txt")]
    if len(texts) != 1 or texts[0].file_size > MOST:
        raise ContentError(f"{archive} does not hold one text of vectors: it is another archive.")
    with zipfile.ZipFile(archive) as zipped, zipped.open(texts[0]) as file:
        lines = iter(lambda: file.readline(LONGEST_LINE), b"")
        for number, line in enumerate(lines, start=1):
            start = line[: line.find(b" ")]
            if start not in words:
                continue
            # some words of GloVe hold blanks, so the numbers are counted from the end
            word, *numbers = line.rstrip().rsplit(b" ", DIMENSIONS)
            if word != start:
                continue
            try:
                row = np.array([float(x) for x in numbers], dtype=np.float32)
            except ValueError:
                row = np.empty(0)
            if row.shape != (DIMENSIONS,) or not np.isfinite(row).all():
                raise ContentError(f"Line {number} of {archive} is no vector of 300 numbers.")
            words.remove(word)
            yield word.decode("utf-8"), row
