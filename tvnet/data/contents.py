"""What the files of a data root hold, as checksums: each is computed once and then kept."""

from __future__ import annotations

import json
import stat
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tvnet.data.archive import NOTHING, listed
from tvnet.files import read_json, write_text

KEPT = ".checksums.json"
SETTLED = 2.0  # seconds: a younger file may still change within one tick of its file system's clock


def contents(paths: Iterable[Path], root: Path | None = None) -> list[tuple[int, int]]:
    """Length and CRC-32 of each file, or member of a zip, which states them itself.

    Checksums of plain files are kept in the root beside what stands for their state, and computed
    anew where that state is another; in a root that cannot be written they are computed each time.
    """
    kept = _kept(root)
    known = dict(kept)
    found = [listed(path) or _of_file(path, root, known) for path in paths]
    if root and known != kept:
        _keep(root, known)
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


def _keep(root: Path, known: dict[str, list]) -> None:
    # a root that others own, a disk that is full or read only
    with suppress(OSError):
        write_text(root / KEPT, json.dumps(known))
