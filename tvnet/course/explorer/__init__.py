"""The explorer: what a view holds, how its layers are drawn, and the widget around them."""

from tvnet.course.explorer.widget import Explorer

__all__ = ["Explorer"]
