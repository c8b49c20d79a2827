"""TV-Net (MM '21), rebuilt for learning.

`tvnet.load("Baseline+RES+AMF")` gives a predictor, `tvnet.predict(image, "left dog")` does both in
one call; `tvnet.Explorer()`, `tvnet.settings`, `tvnet.TVNet`.
"""

from importlib import import_module
from typing import Any

from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

__all__ = ["Explorer", "TVNet", "load", "predict", "settings"]


def __getattr__(name: str) -> Any:
    """Late: training needs no retrieval libraries, and nothing but the explorer ipywidgets."""
    if name in ("load", "predict"):
        return getattr(import_module("tvnet.predictor"), name)
    if name == "Explorer":
        return import_module("tvnet.course.explorer").Explorer
    raise AttributeError(f"module 'tvnet' has no attribute '{name}'")
