"""Files that may lie in a zip: a path leads through it, as in train2014.zip/train2014/a.jpg.

Nothing is unpacked. The members of such a zip are stored as they are, so that each is one seek
away.
"""

from __future__ import annotations

import io
import os
import zipfile
from functools import lru_cache
from pathlib import Path

NOTHING = -1, 0  # bytes and CRC-32 where there is no file


def is_there(path: Path) -> bool:
    """Whether the file, or the member of the zip, exists."""
    found = listed(path)
    return found != NOTHING if found else path.is_file()


def listed(path: Path) -> tuple[int, int] | None:
    """Bytes and CRC-32 of a member as its zip lists them, NOTHING where it has none; None for a
    path that leads through no zip."""
    archive, member = _split(path)
    if archive is None:
        return None
    try:
        info = _opened(archive, os.getpid()).getinfo(member)
    except KeyError:
        return NOTHING
    return info.file_size, info.CRC


def file_of(path: Path) -> Path | io.BytesIO:
    """What Pillow opens: the path itself, or the bytes of the member, their checksum checked.

    Raises FileNotFoundError where there is no such member.
    """
    archive, member = _split(path)
    if archive is None:
        return path
    if listed(path) == NOTHING:
        raise FileNotFoundError(path)
    return io.BytesIO(_opened(archive, os.getpid()).read(member))


def _split(path: Path) -> tuple[str | None, str]:
    before, through, member = path.as_posix().partition(".zip/")
    archive = before + ".zip"
    return (archive, member) if through and _is_file(archive) else (None, "")


@lru_cache(maxsize=64)
def _is_file(archive: str) -> bool:
    return os.path.isfile(archive)


@lru_cache(maxsize=16)
def _opened(archive: str, process: int) -> zipfile.ZipFile:
    """One handle a process: workers that are forks of one another must not share a position."""
    try:
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(
            f"The archive {archive} cannot be read ({error}): fetch it again."
        ) from error
