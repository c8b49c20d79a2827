"""A file of JSON lines that grows by whole lines, and is read up to the first that is not one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from tvnet.files import explain_write


class Journal:
    """The lines of a run. The first says what it is a function of; no other run resumes it."""

    def __init__(self, path: Path, identity: dict):
        self.path, self.first = path, _line(identity)

    def resume(self, holds: Callable[[int, dict], bool]) -> list[dict]:
        """The lines from the beginning that are whole and hold; what follows them is cut off.

        holds: of a line's number, from 0, and its content. Raises ValueError where another run
        wrote the file.
        """
        content = self.path.read_bytes() if self.path.is_file() else b""
        first, *rest = content.splitlines(keepends=True) or [b""]
        if first.endswith(b"\n") and first != self.first:
            raise ValueError(
                f"{self.path.parent} holds results for other pairs, or of another model, pool or "
                "neighbour: name another folder, or delete that one."
            )
        found, length = [], len(first)
        for n, line in enumerate(rest):
            try:
                if not line.endswith(b"\n") or not holds(n, content := json.loads(line)):
                    break
            except (ValueError, KeyError, TypeError):
                break
            found.append(content)
            length += len(line)
        with explain_write(self.path), open(self.path, "ab") as file:
            file.truncate(length if first == self.first else 0)
        if first != self.first:
            self._append(self.first)
        return found

    def add(self, content: dict) -> None:
        """Append one line, which is on the disk at the end."""
        self._append(_line(content))

    def _append(self, line: bytes) -> None:
        with explain_write(self.path), open(self.path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _line(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"
