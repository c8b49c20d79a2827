"""TV-Net (MM '21), rebuilt for learning. `tvnet.settings(profile)` and `tvnet.TVNet` to start."""

from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

__all__ = ["TVNet", "settings"]
