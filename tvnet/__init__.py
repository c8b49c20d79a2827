"""TV-Net (MM '21), rebuilt for learning: `tvnet.settings`, `tvnet.TVNet` and `tvnet.load`."""

from tvnet.experiment.checkpoint import load
from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

__all__ = ["TVNet", "load", "settings"]
