"""What the files of a data root hold: plain files, and members of a zip, as bytes and checksums.

A path leads through a zip, as in train2014.zip/train2014/a.jpg. Nothing is unpacked: the members
of such a zip are stored as they are, so that each is one seek away.
"""

from __future__ import annotations

import io
import json
import os
import stat
import time
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from tvnet.files import read_json, write_text

KEPT = ".checksums.json"
SETTLED = 2.0  # seconds: a younger file may still change within one tick of its file system's clock
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


def contents(paths: Iterable[Path], root: Path | None = None) -> list[tuple[int, int]]:
    """Length and CRC-32 of each file, or member of a zip, which states them itself.

    Checksums of plain files are kept in the root beside what stands for their state, and computed
    anew where that state is another; in a root that cannot be written they are computed each time.
    """
    kept = _kept(root)
    known = dict(kept)
    found = [listed(path) or _of_file(path, root, known) for path in paths]
    if root and known != kept:
        with suppress(OSError):  # a root that others own, a disk that is full or read only
            write_text(root / KEPT, json.dumps(known))
    return found


def _of_file(path: Path, root: Path | None, known: dict[str, list]) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return NOTHING
    if not stat.S_ISREG(found.st_mode):  # a folder has no bytes, a pipe might never end
        return NOTHING
    # Renaming one picture to another's name changes the inode, writing into it the times.
    state = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
    name = str(path).removeprefix(str(root))
    if name in known and known[name][0] == state:
        return found.st_size, known[name][1]
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    if time.time() - max(found.st_mtime, found.st_ctime) > SETTLED:
        known[name] = [state, checksum]
    return found.st_size, checksum


def _kept(root: Path | None) -> dict[str, list]:
    """A file that is absent or damaged costs only the time to compute it again."""
    if not root or not (root / KEPT).is_file():
        return {}
    try:
        found = read_json(root / KEPT, dict, "remove it")
        whole = all(
            isinstance(value, list) and [type(part) for part in value] == [str, int]
            for value in found.values()
        )
        return found if whole else {}
    except (OSError, ValueError):
        return {}
