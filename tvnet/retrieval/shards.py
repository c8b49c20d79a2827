"""What a build has computed so far, in shards: written whole, checked by hash, never twice.

A shard covers a fixed range of rows, whatever the number of processes, and its name carries the
range and a hash of the settings and inputs. That is the resume, too: what is there is not made
again, and what is damaged is.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from tvnet.data.whole import aside
from tvnet.retrieval.world import World
from tvnet.settings import fingerprint

Arrays = dict[str, np.ndarray]
ROWS = {"text": 4096, "image": 256, "candidates": 4096}  # of a shard: a minute or two of work


@dataclass(frozen=True)
class Shards:
    """A folder of shards, and who fills it."""

    folder: Path
    world: World = field(default_factory=World)

    def paths(self, name: str, about: dict, inputs: list[str]) -> list[tuple[slice, Path]]:
        """The ranges of rows of an array, and the files that hold them."""
        found = []
        for low in range(0, len(inputs), ROWS[name]):
            part = slice(low, min(low + ROWS[name], len(inputs)))
            content = hashlib.sha256("\n".join(inputs[part]).encode()).hexdigest()
            key = fingerprint({"about": about, "inputs": content})
            found.append((part, self.folder / f"{name}-{part.start}-{part.stop}-{key}.safetensors"))
        return found

    def missing(self, name: str, about: dict, inputs: list[str]) -> int:
        """How many rows no shard holds yet."""
        paths = self.paths(name, about, inputs)
        return sum(part.stop - part.start for part, path in paths if not path.is_file())

    def fill(
        self, name: str, about: dict, inputs: list[str], make: Callable[[slice], Arrays]
    ) -> Arrays:
        """All rows of an array or several, made where no sound shard holds them yet.

        about: the settings that the values depend on. inputs: one line per row, what it is made
        of. make: a range of rows -> named arrays, which are joined along their first axis.
        """
        paths = self.paths(name, about, inputs)
        own = paths[self.world.rank :: self.world.size]
        # disable=None: no bar where nobody watches; only one process draws it.
        bar = tqdm(own, desc=name, unit="shard", disable=True if self.world.rank else None)
        for part, path in bar:
            if _load(path) is None:
                _save(path, make(part))
        self.world.wait()
        return _joined(paths)


def _joined(paths: list[tuple[slice, Path]]) -> Arrays:
    """One array per name, filled shard by shard so that no shard is held twice for long."""
    shards = []
    for _, path in paths:
        shard = _load(path)
        if shard is None:
            raise ValueError(f"The shard {path} was lost while the build ran: start it again.")
        shards.append(shard)
    joined = {}
    for name in sorted(shards[0]):
        length = sum(len(shard[name]) for shard in shards)
        whole = np.empty((length, *shards[0][name].shape[1:]), dtype=shards[0][name].dtype)
        start = 0
        for shard in shards:
            values = shard.pop(name)
            whole[start : start + len(values)] = values
            start += len(values)
        joined[name] = whole
    return joined


def _save(path: Path, arrays: Arrays) -> None:
    """Write aside, then rename."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with aside(path) as part:
        save_file(arrays, part, metadata={"sha256": _hash(arrays)})


def _load(path: Path) -> Arrays | None:
    """A shard's arrays; None where there is none, or only a damaged one, which is said."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            if file.metadata()["sha256"] == _hash(arrays):
                return arrays
    except (SafetensorError, KeyError, TypeError):
        pass
    print(f"The shard {path.name} is damaged: it is made again.", file=sys.stderr)
    return None


def _hash(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].dtype}{arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
