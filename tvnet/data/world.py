"""Whether a data root holds the very MiniRef that a profile needs; real data has no such need."""

from __future__ import annotations

from pathlib import Path

from tvnet.data.refer import AGAIN
from tvnet.files import read_json

VERSION = 2  # of the drawn world; a test holds it equal to the one that data_setup writes
MARKER = "miniref.json"  # beside every drawn world, and beside no other data


def require_world(root: Path | str, pictures: int, seed: int = 0) -> str:
    """How the world in `root` is called, e.g. "MiniRef (pictures 90, seed 0, version 1)".

    "" where `root` holds no drawn world. Raises ValueError, with both values and the command that
    mends it, where the world is another than the one of so many pictures and this seed.
    """
    root = Path(root)
    if not (root / MARKER).exists():
        return ""
    found = read_json(root / MARKER, dict, AGAIN)
    needed = {"pictures": pictures, "seed": seed, "version": VERSION}
    values = {key: found.get(key) for key in needed}
    if values != needed:
        raise ValueError(
            f"{root} holds {_called(values)} and {_called(needed)} is needed: remove this folder "
            f"or choose another, then draw the world with `python -m data_setup miniref --root "
            f"{root} --pictures {pictures} --seed {seed}`."
        )
    return _called(values)


def _called(values: dict[str, object]) -> str:
    return "MiniRef (" + ", ".join(f"{key} {value}" for key, value in values.items()) + ")"
