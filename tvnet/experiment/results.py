"""Results on disk: plain JSON with provenance, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write aside, then rename: the final name never holds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".part{os.getpid()}")
    part.write_text(text)
    os.replace(part, path)


def write_json(path: Path, content: dict) -> None:
    """The same with plain JSON."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


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
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "system": f"{platform.system()} {platform.machine()}",
    }


def notebook_done(name: str, out_dir: str | Path) -> None:
    """A notebook's last cell: the file by which the runner knows that it reached its end."""
    write_json(Path(out_dir) / f"{name}.done.json", {"status": "done", **provenance()})
