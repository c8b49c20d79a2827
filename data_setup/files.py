"""Files with a hash beside them: `NAME.sha256`, in the format of the sha256sum tool."""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from data_setup.fetch import parts
from data_setup.fetch.sources import IntegrityError, Source

BLOCK = 1 << 20


def sha256_of(path: Path, report: Callable[[int], object] = lambda done: None) -> str:
    """Hash of a file in hex digits; `report` hears how many bytes are done."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            report(file.tell())
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, flush to disk, rename: the name never holds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = parts.temporary(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def recorded(path: Path) -> str | None:
    """The hash beside a file, or None where there is none that can be read."""
    try:
        found = re.match(r"([0-9a-f]{64})  ", _sidecar(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def accept(source: Source, path: Path, digest: str) -> None:
    """Record the hash of a file's content; IntegrityError when it is not the one that is due.

    Where nobody publishes a hash, the one of the first use is due ever after.
    """
    due = source.sha256 or recorded(path)
    if due is not None and digest != due:
        first = "" if source.sha256 else f" (first use: delete {_sidecar(path)} to trust it anew)"
        raise IntegrityError(
            f"{path.name} has the sha256 {digest}, but {due} is due{first}: remove it and fetch "
            "it again."
        )
    if recorded(path) != digest:
        write_whole(_sidecar(path), f"{digest}  {path.name}\n".encode())


def date_hash(path: Path) -> None:
    """Make the hash beside a file newer than the file, which has just been hashed or renamed."""
    with suppress(OSError):  # where the root is read only, the file is hashed again each time
        os.utime(_sidecar(path))


def is_there(
    source: Source,
    root: Path,
    deep: bool = False,
    report: Callable[[int], object] = lambda done: None,
) -> bool:
    """Whether a file is in its place with the right content; IntegrityError when it is not right.

    A file that fetch has put there is hashed again only when it has changed or come since its hash
    was written, or with `deep`. A file placed by hand is hashed like any other.
    """
    path = source.path(root)
    if not path.is_file():
        return False
    about = path.stat()
    size, changed = about.st_size, max(about.st_mtime_ns, about.st_ctime_ns)
    if source.size is not None and size != source.size:
        raise IntegrityError(
            f"{path} has {size} bytes, but {source.size} are due: remove it and fetch it again."
        )
    known = recorded(path)
    if not deep and known is not None and known == (source.sha256 or known):
        # A file that is moved here keeps its mtime, however old; its ctime is that of the move.
        if _sidecar(path).stat().st_mtime_ns >= changed:
            return True
    accept(source, path, sha256_of(path, report))
    date_hash(path)
    return True
