"""Stage two's rows of a pool's pictures, kept beside them: a new expression encodes none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.data.contents import contents
from tvnet.data.records import ReferData

NAME = "pool_features.safetensors"


class QueryEmbedding(NamedTuple):
    """What stage 2 knows of a picture."""

    row: np.ndarray  # (d,) unit
    digest: bytes  # of its pixels


def kept(data: ReferData, root: Path, encoder: dict) -> dict[int, QueryEmbedding]:
    """image id -> its row, of those pictures whose files are what they were.

    encoder: what the rows depend on. {} where none are kept, or those of another encoder.
    """
    try:
        arrays, about = load_arrays(root / NAME)
    except (OSError, ValueError):
        return {}  # they are computed as they are needed
    if about != encoder:
        return {}
    rows = zip(arrays["row"], arrays["digest"], strict=True)
    of_file = dict(zip(map(tuple, arrays["file"].tolist()), rows, strict=True))
    files = contents([picture.path for picture in data.pictures.values()], root)
    return {
        image_id: QueryEmbedding(of_file[file][0], of_file[file][1].tobytes())
        for image_id, file in zip(data.pictures, files, strict=True)
        if file in of_file
    }


def keep(data: ReferData, root: Path, encoder: dict, rows: dict[int, QueryEmbedding]) -> None:
    """Write the rows of some pictures. A file is known by its length and CRC-32."""
    arrays = {
        "file": np.array(contents([data.pictures[i].path for i in rows], root), np.int64),
        "row": np.stack([embedding.row for embedding in rows.values()]),
        "digest": np.stack([np.frombuffer(e.digest, np.uint8) for e in rows.values()]),
    }
    save_arrays(root / NAME, arrays, encoder)
