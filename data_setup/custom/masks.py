"""The mask file of any tool -> the pixels of the referent, or why they cannot be known.

What is transparent is background; where nothing is, black is (of two blacks in a palette, id 0). A
mask of two values, of which one is background, is understood, whatever the other is: 1, 255, 65535,
an id of a palette, a colour, black paint on a transparent layer. In every other mask the value of
the referent must be named: a grey value or the id in a palette as a number, a colour as #rrggbb.
"""

import numpy as np
from PIL import Image

MOST_SHOWN = 6  # values of a mask
LARGE = 0.9  # of its picture: a mask above that is remarked on
REMEDY = "name the referent's value in a column 'id', or save two values with hard edges as PNG"


def referent(mask: Image.Image, value: str = "") -> np.ndarray:
    """(H, W) bool of a loaded mask; `value` names the referent's, "" leaves it to the rule above.

    Raises ValueError that says what the mask holds, without its name.
    """
    pixels, rgba = _pixels(mask)
    if pixels.dtype == np.uint8:  # by far the most masks; sorting them would take most of the time
        counts = np.bincount(pixels.ravel())
        values = np.flatnonzero(counts).astype(np.uint8)
        counts = counts[values]
    else:
        values, counts = np.unique(pixels, return_counts=True)
    names = _colours(values) if values.dtype == np.uint32 else [f"{v:.10g}" for v in values]
    order = np.argsort(-counts, kind="stable")[:MOST_SHOWN]
    held = ", ".join(f"{names[k]} on {counts[k] / pixels.size:.1%}" for k in order)
    held = f"mode {mask.mode}, {held}"
    held += f" and {len(values) - MOST_SHOWN} more" * (len(values) > MOST_SHOWN)
    if value:
        if value.casefold() not in names:
            raise ValueError(f"has no value {value:.20}: {held}; name one of these")
        return pixels == values[names.index(value.casefold())]
    if len(values) > 2:
        raise ValueError(f"has more than two values: {held}; {REMEDY}")
    background = [value == 0 for value in values]
    if rgba is not None:
        background = _background([rgba[pixels == value][0] for value in values], background)
    if len(values) == 1:
        why = "is empty" if background[0] else "is the same everywhere"
        raise ValueError(f"{why}: {held}; {REMEDY}")
    if sum(background) != 1:
        raise ValueError(f"has two values, but which is the referent? {held}; {REMEDY}")
    return pixels == values[background.index(False)]


def remark(inside: np.ndarray) -> str:
    """What is unusual about a referent (H, W) bool, as a mask with its values swapped is; or ""."""
    share = inside.mean()
    if share > LARGE:
        return f"covers {share:.0%} of its picture, as one with swapped values does"
    if all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])):
        return "touches all four borders of its picture, as one with swapped values does"
    return ""


def _pixels(mask: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """One number per pixel (H, W), and where colours count, the colours (H, W, 4)."""
    if mask.mode[0] in "IF" or (mask.mode in ("1", "L") and not mask.has_transparency_data):
        pixels = np.asarray(mask.convert("L") if mask.mode == "1" else mask)
        if not np.isfinite(pixels).all():
            raise ValueError(f"has the mode {mask.mode} and holds values that are no numbers")
        return pixels, None
    coloured = mask if mask.has_transparency_data else mask.convert("RGB")
    rgba = np.asarray(coloured.convert("RGBA"))
    return np.asarray(mask) if mask.mode == "P" else _packed(rgba), rgba


def _background(seen: list[np.ndarray], zero: list[bool]) -> list[bool]:
    """Which of at most two values is background, by how they look and which is 0."""
    clear = [four[3] == 0 for four in seen]
    shades = clear if any(clear) else [not four[:3].any() for four in seen]
    return zero if len(seen) == 2 and all(shades) else shades


def _packed(rgba: np.ndarray) -> np.ndarray:
    """(H, W) of colours (H, W, 4) uint8: the grey where all are opaque greys, else four in one."""
    if (rgba[..., 3] == 255).all() and (rgba[..., :1] == rgba[..., 1:3]).all():
        return rgba[..., 0]
    seen = np.where(rgba[..., 3:] > 0, rgba, 0).astype(np.uint8)  # clear is clear in any colour
    return np.ascontiguousarray(seen).view(np.uint32)[..., 0]


def _colours(values: np.ndarray) -> list[str]:
    """The names of colours (N,) that `_packed` has made."""
    names = [f"#{bytes(four).hex()}".removesuffix("ff") for four in values[:, None].view(np.uint8)]
    return ["transparent" if name == "#00000000" else name for name in names]
