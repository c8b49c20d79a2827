"""A file that a reader hands to the explorer, whichever version of ipywidgets is installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ipywidgets as widgets
from PIL import Image

from tvnet.data.photo import read_photo

# Megabytes that a server takes at once. Jupyter's is tornado's default of 10 MiB a message; ours
# is two bytes for each of the pixels that read_photo takes, and what tornado keeps of a stream.
LIMITS = {"the app": 100, "JupyterLab": 10}


def uploaded(control: widgets.FileUpload) -> tuple[Image.Image, str]:
    """The picture that was handed over last, and its name. Raises ValueError with a sentence."""
    files = control.value
    if isinstance(files, dict):  # ipywidgets 7: {name: {"content": bytes}}
        named = [(name, file["content"]) for name, file in files.items()]
    else:  # ipywidgets 8: ({"name": str, "content": memoryview}, ...)
        named = [(file["name"], file["content"]) for file in files]
    if not named:
        raise ValueError("No file has come: choose a picture again.")
    name, content = named[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_photo(path), name
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), f"'{name}'")) from error
