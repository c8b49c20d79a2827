"""Results on disk: plain JSON with provenance, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from tvnet.data.whole import aside


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write aside, then rename: the final name never holds half a file."""
    with aside(path) as part:
        part.write_text(text)


def write_json(path: Path, content: dict) -> None:
    """The same with plain JSON."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, form: dict, mend: str) -> dict:
    """The JSON object of a file that has these keys: each with its type, or a form of its own.

    Raises ValueError naming the file, what is wrong with it and how to `mend` it.
    """
    try:
        found = json.loads(path.read_bytes())
        _check(found, form, "its content")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): {mend}.") from error
    return found


def _check(value: object, form: type | dict, name: str) -> None:
    kind = dict if isinstance(form, dict) else form
    whole = type(value) is kind or (kind is float and type(value) is int)
    if not whole:
        raise ValueError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    for key, part in form.items() if isinstance(form, dict) else ():
        if key not in value:
            raise ValueError(f"{name} lacks {key!r}")
        _check(value[key], part, key)


def commit() -> str:
    """The commit of the source tree, "+" where it has changes, or "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        head = _git("rev-parse", "--short=12", "HEAD", cwd=here)
        return head + ("+" if _git("status", "--porcelain", "-uno", cwd=here) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str, cwd: Path) -> str:
    run = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def provenance(device: str = "cpu") -> dict:
    """Where a figure comes from: commit, versions, device."""
    packages = ("torch", "numpy", "pillow", "safetensors")
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "system": f"{platform.system()} {platform.machine()}",
    }
