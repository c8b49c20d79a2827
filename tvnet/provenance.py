"""Where a result comes from: commit, versions, device."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


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
