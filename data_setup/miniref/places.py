"""Places and sizes: which of the things that fit the rest of an expression they pick."""

from __future__ import annotations

from data_setup.miniref.view import View, across

SIZE_RATIO = 1.5  # "big" and "small" need areas that differ by this much


def _at(view: View, k: int) -> tuple[float, float]:
    return view.sights[k].cx / view.width, view.sights[k].cy / view.height


# place -> whether sight k lies there in the picture (each also has to be the extreme of its group)
PLACES = {
    "left": lambda view, k: _at(view, k)[0] < 0.45,
    "right": lambda view, k: _at(view, k)[0] > 0.55,
    "far left": lambda view, k: _at(view, k)[0] < 0.25,
    "far right": lambda view, k: _at(view, k)[0] > 0.75,
    "top": lambda view, k: _at(view, k)[1] < 0.42,
    "bottom": lambda view, k: _at(view, k)[1] > 0.6,
    "middle": lambda view, k: abs(_at(view, k)[0] - 0.5) < 0.1,
    "front": lambda view, k: True,
    "back": lambda view, k: True,
    "bottom left": lambda view, k: _at(view, k)[0] < 0.35 and _at(view, k)[1] > 0.62,
    "bottom right": lambda view, k: _at(view, k)[0] > 0.65 and _at(view, k)[1] > 0.62,
    "top left": lambda view, k: _at(view, k)[0] < 0.35 and _at(view, k)[1] < 0.38,
    "top right": lambda view, k: _at(view, k)[0] > 0.65 and _at(view, k)[1] < 0.38,
    "second from left": lambda view, k: True,
    "second from right": lambda view, k: True,
}
# place -> (how far a sight lies that way, the lead over the next that makes it plain)
_LEADS = {
    "left": (lambda x, y, near: -x, 0.07),
    "right": (lambda x, y, near: x, 0.07),
    "top": (lambda x, y, near: -y, 0.09),
    "bottom": (lambda x, y, near: y, 0.09),
    "front": (lambda x, y, near: near, 0.07),
    "back": (lambda x, y, near: -near, 0.07),
    "bottom left": (lambda x, y, near: y - x, 0.16),
    "bottom right": (lambda x, y, near: y + x, 0.16),
    "top left": (lambda x, y, near: -y - x, 0.16),
    "top right": (lambda x, y, near: x - y, 0.16),
    "middle": (lambda x, y, near: -abs(x - 0.5), 0.1),
}


def narrow(extreme: str | None, group: list[int], view: View) -> list[int]:
    """The members of `group` that might be meant by its left one, its biggest one ..."""
    if extreme is None or not group:
        return group
    if extreme in ("big", "small"):
        return _by_size(extreme, group, view)
    if extreme in ("front", "back") and len(group) < 2:
        return []  # the only one is neither
    if extreme.startswith("second"):
        return _second(extreme.rsplit(" ", 1)[-1], group, view)
    how_far, lead = _LEADS[extreme.removeprefix("far ")]
    reach = {k: how_far(*_at(view, k), view.sights[k].near) for k in group}
    best = max(group, key=lambda k: reach[k])
    sideways = extreme.removeprefix("far ") in ("left", "right")
    return [
        k
        for k in group
        if reach[k] > reach[best] - lead
        or (sideways and across(view.sights[k], view.sights[best]) > 0.6)
    ]


def _by_size(extreme: str, group: list[int], view: View) -> list[int]:
    if len(group) < 2:
        return []  # nothing to compare with
    sizes = {}
    for k in group:
        sight = view.sights[k]
        sizes[k] = (sight.area, sight.thing.box[2] * sight.thing.box[3])
    rank = max if extreme == "big" else min
    best = rank(group, key=lambda k: sizes[k])
    # both what is seen and the whole thing must differ plainly: hidden is not small
    ratios = {k: [a / b for a, b in zip(sizes[best], sizes[k], strict=True)] for k in group}
    if extreme == "big":
        return [k for k in group if min(ratios[k]) < SIZE_RATIO]
    return [k for k in group if max(ratios[k]) > 1 / SIZE_RATIO]


def _second(side: str, group: list[int], view: View) -> list[int]:
    if len(group) < 3:
        return []
    order = sorted(group, key=lambda k: _at(view, k)[0], reverse=side == "right")
    x = [_at(view, k)[0] for k in order[:3]]
    plain = min(abs(x[1] - x[0]), abs(x[2] - x[1])) > 0.07
    return [order[1]] if plain else order[:3]
