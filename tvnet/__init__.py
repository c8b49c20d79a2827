"""TV-Net (MM '21), rebuilt for learning.

`tvnet.predict(image, "left dog")`, `tvnet.settings`, `tvnet.TVNet` and `tvnet.load`.
"""

from importlib import import_module
from types import ModuleType

from tvnet.experiment.checkpoint import load
from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

__all__ = ["TVNet", "load", "predict", "settings"]


def __getattr__(name: str) -> ModuleType:
    """Late, so that `python -m tvnet.predict` runs a module that is not loaded yet."""
    if name == "predict":  # the module itself can be called
        return import_module("tvnet.predict")
    raise AttributeError(f"module 'tvnet' has no attribute '{name}'")
