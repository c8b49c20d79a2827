"""Arrays in one file that is written whole, and refused where a single bit of it has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tvnet.files import replacing


def save_arrays(path: Path, arrays: dict[str, np.ndarray], settings: dict) -> None:
    """Written whole; equal arrays and settings are equal bytes."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(settings, sort_keys=True)
    content = _in_order(save(arrays, {"settings": text, "sha256": _hash(arrays, text)}))
    with replacing(path) as part:
        part.write_bytes(content)


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and settings. Raises ValueError, saying why, where they are not what was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        if about["sha256"] != _hash(arrays, about["settings"]):
            raise ValueError("its content is not what was written")
        return arrays, json.loads(about["settings"])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header sorted: the library writes metadata in any order, and
    the same arrays should be the same file."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _hash(arrays: dict[str, np.ndarray], settings: str) -> str:
    """Of every number and setting: a flipped bit would load as another image id."""
    digest = hashlib.sha256(settings.encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()
