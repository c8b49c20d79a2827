"""A picture uploaded to the explorer, in ipywidgets 7 and 8."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ipywidgets as widgets
from PIL import Image

from tvnet.data.photo import read_photo

# Megabytes that a server accepts in one message. Jupyter's is tornado's default of 10 MiB; ours is
# two bytes for each of the pixels that read_photo accepts, and as much as tornado buffers.
LIMITS = {"the app": 100, "JupyterLab": 10}


def uploaded(control: widgets.FileUpload) -> tuple[Image.Image, str]:
    """The last uploaded picture and its name. Raises ValueError with a sentence."""
    files = control.value
    if isinstance(files, dict):  # ipywidgets 7: {name: {"content": bytes}}
        named = [(name, file["content"]) for name, file in files.items()]
    else:  # ipywidgets 8: ({"name": str, "content": memoryview}, ...)
        named = [(file["name"], file["content"]) for file in files]
    if not named:
        raise ValueError("No file was uploaded: choose a picture again.")
    name, content = named[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_photo(path), name
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), f"'{name}'")) from error
