"""Who owns a half-downloaded file, without locks.

Nobody ever writes into another's file: each process owns a part folder whose name says who it is,
and takes over the part of a dead one by renaming it. That is right on any disk, also on those
where locks do nothing.
"""

import os
import re
import shutil
import socket
import time
import uuid
from pathlib import Path

ABANDONED = 3600.0  # seconds after which a part of another machine is anyone's
HOST = re.sub(r"[^\w.-]", "-", socket.gethostname())
STRAY = re.compile(r"\.(part|aside)~[^~]+~\d+~\d+~[0-9a-f]{8}$")


def clean(folder: Path) -> int:
    """Remove what dead processes have left below a folder; how many files and parts that was."""
    gone = [path for path in folder.rglob(".*~*") if STRAY.search(path.name) and _abandoned(path)]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(gone)


def waiting(target: Path) -> int:
    """Bytes of a file that an earlier download has left to continue."""
    return max((size(part) for part in _all(target)), default=0)


def _part(target: Path, owner: str) -> Path:
    return target.with_name(f".{target.name}.part~{owner}~{uuid.uuid4().hex[:8]}")


def temporary(target: Path) -> Path:
    """A name beside a file, to write under before it is renamed."""
    return target.with_name(f".{target.name}.aside~{_us()}~{uuid.uuid4().hex[:8]}")


def _us() -> str:
    return f"{HOST}~{os.getpid()}~{_born(os.getpid())}"


def _all(target: Path) -> list[Path]:
    start = f".{target.name}.part~"
    if not target.parent.is_dir():
        return []
    return [path for path in target.parent.iterdir() if path.name.startswith(start)]


def size(part: Path) -> int:
    """Bytes that a part holds."""
    try:
        return (part / "data").stat().st_size
    except OSError:
        return 0


def _born(pid: int) -> str:
    """When a process started, so that a later one with the same number is not taken for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _abandoned(part: Path) -> bool:
    host, pid, born = part.name.rsplit("~", 4)[1:4]
    if host == "free":
        return True
    if host != HOST:
        try:
            files = (part, part / "data") if part.is_dir() else (part,)
            return time.time() - max(file.stat().st_mtime for file in files) > ABANDONED
        except OSError:
            return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return _born(int(pid)) != born


def claim(target: Path) -> Path:
    """A part for this process: the largest that a dead process left, or a new one."""
    mine = _part(target, _us())
    for part in sorted(_all(target), key=size, reverse=True):
        if _abandoned(part):
            try:
                os.rename(part, mine)
                return mine
            except OSError:  # another was faster
                continue
    mine.mkdir()
    return mine


def release(part: Path, target: Path) -> None:
    """Leave a part to the next download."""
    os.rename(part, _part(target, "free~0~0"))
