"""Files that are whole or not there: written under another name, on the disk, and then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

SHIPPED = Path(__file__).parent / "shipped"  # weights, models and a pool that come with the package


def _part_of(path: Path) -> Path:
    """The name under which this process writes a file."""
    return path.with_name(f"{path.name}.part{os.getpid()}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Another name to write to, which becomes `path` at the end of the block.

    A block that fails leaves nothing. Raises OSError naming `path` where it cannot be written.
    """
    part = _part_of(path)
    try:
        with explain_write(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with open(part, "rb+") as file:  # a rename may reach the disk before what it renames
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        with suppress(OSError):  # on a disk that is read only, even what is not there
            part.unlink(missing_ok=True)


@contextmanager
def explain_write(path: Path) -> Iterator[None]:
    """A write that fails, as on a full or read-only disk, names its file and the next step."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError):
            # The file itself, its part or a folder above it; without a name, the one that is open.
            ours = error.filename is None or Path(error.filename) in (
                path, *path.parents, _part_of(path),
            )  # fmt: skip
            if not (error.errno and ours):
                raise  # another file's, or a sentence already
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"{path} could not be written ({why}): make room there, or name another folder, and "
            "run the same again."
        ) from error


def sole_writer(folder: Path) -> FileLock:
    """The lock of the only process that writes to a folder, which is made where it is missing.

    What a killed writer has left half-written is removed. Raises ValueError when another process
    writes there.
    """
    with explain_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another process is writing {folder}: wait for it, or use another folder."
        ) from error
    for path in folder.rglob("*.part*"):
        if re.search(r"\.part\d+$", path.name) and path.is_file():  # as `_part_of` names it
            path.unlink()
    return lock


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8, whole or not there."""
    with replacing(path) as part:
        part.write_text(text, "utf-8")


def write_json(path: Path, content: Any) -> None:
    """The same with plain JSON."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, form: type | dict, mend: str) -> Any:
    """The JSON of a file, held against a form: a type, or a dict of keys and the forms of each.

    Raises FileNotFoundError or ValueError naming the file, what is wrong and how to `mend` it.
    """
    try:
        found = json.loads(path.read_bytes())
        _check(found, form, "its content")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {mend}.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): {mend}.") from error
    return found


def _check(value: object, form: type | dict, name: str) -> None:
    kind = dict if isinstance(form, dict) else form
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    for key, part in form.items() if isinstance(form, dict) else ():
        if key not in value:
            raise ValueError(f"{name} lacks {key!r}")
        _check(value[key], part, key)
