"""TV-Net (MM '21), rebuilt for learning.

`tvnet.predict(image, "left dog")`, `tvnet.Explorer()`, `tvnet.settings`, `tvnet.TVNet` and
`tvnet.load`.
"""

from importlib import import_module
from typing import Any

from tvnet.experiment.checkpoint import load
from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

__all__ = ["Explorer", "TVNet", "load", "predict", "settings"]


def __getattr__(name: str) -> Any:
    """Late: `python -m tvnet.predict` runs a module that is not loaded yet, and nothing but the
    explorer needs ipywidgets."""
    if name == "predict":  # the module itself can be called
        return import_module("tvnet.predict")
    if name == "Explorer":
        return import_module("tvnet.course.explorer").Explorer
    raise AttributeError(f"module 'tvnet' has no attribute '{name}'")
