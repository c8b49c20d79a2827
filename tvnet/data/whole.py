"""Files that are whole or not there: written aside, brought to the disk, and only then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Another name to write to, which becomes `path` at the end of the block.

    A block that fails leaves nothing. Raises OSError naming `path` where the disk takes no more.
    """
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with open(part, "rb+") as file:  # a rename may reach the disk before what it renames
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A write that fails, as on a full disk, tells which file it was."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        unnamed = isinstance(error, SafetensorError) or (error.errno and error.filename is None)
        if not unnamed:
            raise
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"{path} could not be written ({why}): make room there, or name another folder, and "
            "run the same again."
        ) from error
