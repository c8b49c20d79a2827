"""Files that are whole or not there: written aside, brought to the disk, and only then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError


def part_of(path: Path) -> Path:
    """The name under which this process writes a file."""
    return path.with_name(f"{path.name}.part{os.getpid()}")


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Another name to write to, which becomes `path` at the end of the block.

    A block that fails leaves nothing. Raises OSError naming `path` where the disk takes no more.
    """
    part = part_of(path)
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with open(part, "rb+") as file:  # a rename may reach the disk before what it renames
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        with suppress(OSError):  # on a disk that is read only, even what is not there
            part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A write that fails, as on a full or read-only disk, tells which file it was."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and not (error.errno and _is_about(error.filename, path)):
            raise  # another file's, or a sentence already
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"{path} could not be written ({why}): make room there, or name another folder, and "
            "run the same again."
        ) from error


def _is_about(name: str | None, path: Path) -> bool:
    """Whether an error's file is this one, its part or a folder above it; none is the one open."""
    return name is None or Path(name) in (path, *path.parents, part_of(path))
