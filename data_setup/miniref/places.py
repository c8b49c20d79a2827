"""Places and sizes: which of the things that fit the rest of an expression they pick."""

from data_setup.miniref.view import View, across

SIZE_RATIO = 1.5  # "big" and "small" need areas that differ by this much


def _at(view: View, k: int) -> tuple[float, float]:
    return view.sights[k].cx / view.width, view.sights[k].cy / view.height


# place -> where it is in the picture; how far a sight lies that way; the lead that makes it plain
PLACES = {
    "left": (lambda x, y: x < 0.45, lambda x, y, near: -x, 0.07),
    "right": (lambda x, y: x > 0.55, lambda x, y, near: x, 0.07),
    "far left": (lambda x, y: x < 0.25, lambda x, y, near: -x, 0.07),
    "far right": (lambda x, y: x > 0.75, lambda x, y, near: x, 0.07),
    "top": (lambda x, y: y < 0.42, lambda x, y, near: -y, 0.09),
    "bottom": (lambda x, y: y > 0.6, lambda x, y, near: y, 0.09),
    "middle": (lambda x, y: abs(x - 0.5) < 0.1, lambda x, y, near: -abs(x - 0.5), 0.1),
    "front": (lambda x, y: True, lambda x, y, near: near, 0.07),
    "back": (lambda x, y: True, lambda x, y, near: -near, 0.07),
    "bottom left": (lambda x, y: x < 0.35 and y > 0.62, lambda x, y, near: y - x, 0.16),
    "bottom right": (lambda x, y: x > 0.65 and y > 0.62, lambda x, y, near: y + x, 0.16),
    "top left": (lambda x, y: x < 0.35 and y < 0.38, lambda x, y, near: -y - x, 0.16),
    "top right": (lambda x, y: x > 0.65 and y < 0.38, lambda x, y, near: x - y, 0.16),
}


def lies_at(extreme: str | None, view: View, k: int) -> bool:
    """Whether sight k lies at a place of the picture; so does any where `extreme` names none."""
    return extreme not in PLACES or PLACES[extreme][0](*_at(view, k))


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
    _, how_far, lead = PLACES[extreme]
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
    seen = {k: view.sights[k] for k in group}
    sizes = {k: (s.area, s.thing.box[2] * s.thing.box[3]) for k, s in seen.items()}
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
