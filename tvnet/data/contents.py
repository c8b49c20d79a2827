"""What the files of a data root hold, as checksums: each is computed once and then kept."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

from tvnet.data.archive import listed

KEPT = ".checksums.json"
NOTHING = -1, 0  # where there is no file
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
        stat = path.stat()
    except OSError:
        return NOTHING
    # Renaming one picture to another's name changes the inode, writing into it the times.
    state = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    name = str(path).removeprefix(str(root))
    if name in known and known[name][0] == state:
        return stat.st_size, known[name][1]
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED:
        known[name] = [state, checksum]
    return stat.st_size, checksum


def _kept(root: Path | None) -> dict[str, list]:
    """A file that is absent or damaged costs only the time to compute it again."""
    try:
        found = json.loads((root / KEPT).read_text("utf-8")) if root else {}
        whole = all(
            isinstance(value, list) and [type(part) for part in value] == [str, int]
            for value in found.values()
        )
        return found if whole else {}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _keep(root: Path, known: dict[str, list]) -> None:
    """Write aside, then rename."""
    part = root / f"{KEPT}.part{os.getpid()}"
    try:
        part.write_text(json.dumps(known), "utf-8")
        os.replace(part, root / KEPT)
    except OSError:  # a root that others own, or a full disk
        part.unlink(missing_ok=True)
