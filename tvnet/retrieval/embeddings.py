"""One unit row a text or image, where making it is slow kept on disk in blocks.

A block is a file that is written whole and checked by its hash; it covers a fixed range of rows,
whatever the number of processes, and its name carries a hash of the encoder and the inputs. A build
that is killed loses the block that it was in, a minute or two of work, and the search.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tvnet import process_group
from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.settings import fingerprint

ROWS = {"text": 4096, "image": 256}  # of a block


def embed(
    kind: str, names: Sequence, encoder: Any, encode: Callable, folder: Path | None, data: str = ""
) -> Any:
    """encode(names): rows (N, d), dense or scipy sparse; processes share what is kept in `folder`.

    kind: "text" or "image". data: what the names mean. Raises ValueError where a row has no
    direction, as cosines need unit rows; a sparse one may be zero, of a text of unknown words.
    """
    if folder is None or encoder.about is None:
        return _checked(encode(names), kind, names, encoder)
    blocks = []
    for start in range(0, len(names), ROWS[kind]):
        some = names[start : start + ROWS[kind]]
        key = fingerprint({"about": encoder.about, "inputs": [data, *map(str, some)]})
        blocks.append((start, some, folder / f"{kind}-{start}-{key}.safetensors"))
    rank, size = process_group.rank_and_size()
    # disable=None: no bar where nobody watches; only one process draws it.
    for _, some, path in tqdm(blocks[rank::size], kind, unit="block", disable=bool(rank) or None):
        if _read(path) is None:
            rows = _checked(encode(some), kind, some, encoder)
            save_arrays(path, {"rows": rows}, encoder.about)
    process_group.barrier()
    whole = np.empty(0)
    for start, some, path in blocks:  # into one array, so that no block is held twice for long
        rows = _read(path)
        if rows is None:
            raise ValueError(f"The block {path} was lost while the build ran: start it again.")
        if not start:
            whole = np.empty((len(names), rows.shape[1]), rows.dtype)
        whole[start : start + len(some)] = rows
    return whole


def _checked(rows: Any, kind: str, names: Sequence, encoder: Any) -> Any:
    if isinstance(rows, np.ndarray):
        squared = np.einsum("nd,nd->n", rows, rows)
        bad = np.flatnonzero(~(np.abs(squared - 1) < 1e-3))  # `not <` also finds NaN
        if len(bad):
            raise ValueError(
                f"The encoder '{encoder.name}' gives {kind} '{names[bad[0]]}' a vector that is "
                f"zero or not finite, and {len(bad) - 1} more: check its weights and this {kind}."
            )
    return rows


def _read(path: Path) -> np.ndarray | None:
    """A block's rows; None where there is none, or only a damaged one, which is reported."""
    if path.is_file():
        try:
            return load_arrays(path)[0]["rows"]
        except (ValueError, KeyError):
            print(f"The block {path.name} is damaged: it is made again.", file=sys.stderr)
    return None
