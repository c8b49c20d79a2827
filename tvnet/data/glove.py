"""Rows of GloVe 840B.300d for a vocabulary, out of those that data_setup keeps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

KEPT = "glove-rows.safetensors"  # of the words of all sentences of a data root
SPREAD = 0.6  # LSCM's rule for words without a row: N(0, 0.6^2)


def glove_rows(folder: Path, words: list[str], width: int) -> tuple[np.ndarray, int]:
    """(len(words), width) float32, and how many of the words GloVe knows (D41).

    Words without a row get a random one, a function of their position alone. Raises
    FileNotFoundError or ValueError naming the file in `folder` that is absent, damaged or another.
    """
    path = Path(folder) / KEPT
    fetch = f"fetch it with `python -m data_setup fetch glove --root {path.parent.parent}`"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}: {fetch}, or set words to 'random'.")
    try:
        with safe_open(path, framework="numpy") as file:
            kept, text = file.get_tensor("rows"), file.metadata()["words"]
            written = file.get_tensor("sha256").tobytes()
        if hashlib.sha256(kept.tobytes() + text.encode()).digest() != written:
            raise ValueError("its content is not what was written")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and {fetch}.") from error
    at = {word: k for k, word in enumerate(json.loads(text))}
    if kept.shape != (len(at), width):
        raise ValueError(
            f"{path} holds rows of shape {kept.shape}, not {(len(at), width)}: delete it and "
            f"{fetch}."
        )
    rows = np.random.default_rng(0).normal(0.0, SPREAD, (len(words), width)).astype(np.float32)
    known = [k for k, word in enumerate(words) if word in at]
    rows[known] = kept[[at[words[k]] for k in known]]
    if not known:
        raise ValueError(f"{path} knows none of {len(words)} words: {fetch}.")
    return rows, len(known)
