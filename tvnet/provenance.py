"""Where a result comes from: commit, versions, device."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def commit() -> str:
    """The commit of the source tree, "+" where it has changes, or "unknown" outside a checkout."""
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    here = {"cwd": Path(__file__).parent, "capture_output": True, "text": True}
    try:
        return subprocess.run(describe, check=True, **here).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


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
