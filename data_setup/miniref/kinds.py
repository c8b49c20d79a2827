"""The kinds of scene: what stuff they are made of, who takes part, what stands on what."""

from __future__ import annotations

from dataclasses import dataclass, field

from data_setup.miniref.catalogue import HANDY


@dataclass(frozen=True)
class Kind:
    """One kind of scene. Above its horizon lies the far stuff, below it the ground."""

    stuff: tuple[tuple[str, tuple[str, str]], ...]  # name, (from, to): "top", "horizon", "bottom"
    horizon: tuple[float, float]
    cast: tuple[str, ...]
    people: float  # odds of two to four people
    sky: bool = False
    furniture: tuple[tuple[str, float, float, float], ...] = ()  # category, x, foot, scale
    tops: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what stands on what
    only_on_tops: tuple[str, ...] = ()
    hands: tuple[str, ...] = ("bag", "umbrella", "ball", "cup", "book")
    far_scale: float = 0.34


def _out(far: str, near: str) -> tuple:
    return ((far, ("top", "horizon")), (near, ("horizon", "bottom")))


_ON_TABLE = dict.fromkeys((*HANDY, "laptop", "cat", "plant", "lamp", "clock"), ("table",))
_ON_SHELF = dict.fromkeys(
    (
        "cup",
        "bottle",
        "bowl",
        "vase",
        "apple",
        "melon",
        "book",
        "ball",
        "bag",
        "plant",
        "cake",
        "clock",
    ),
    ("shelf",),
)
_ON_SEATS = dict.fromkeys(("cat", "book", "bag", "ball", "phone"), ("sofa", "bench", "chair"))

KINDS = {
    "street": Kind(
        _out("sky", "road"),
        (0.34, 0.5),
        ("car", "bus", "truck", "bicycle", "person", "dog", "tree", "bag", "car"),
        0.5,
        True,
    ),
    "park": Kind(
        _out("sky", "grass"),
        (0.3, 0.46),
        ("dog", "ball", "kite", "bench", "tree", "bird", "bicycle", "umbrella", "person"),
        0.6,
        True,
        tops=_ON_SEATS,
        hands=("umbrella", "ball", "bag", "kite", "book"),
    ),
    "beach": Kind(
        (("sky", ("top", "horizon")), ("sand", ("horizon", "bottom"))),
        (0.38, 0.52),
        ("umbrella", "ball", "boat", "dog", "kite", "bird", "chair", "bag", "person"),
        0.6,
        True,
        hands=("umbrella", "ball", "bag", "kite"),
    ),
    "farm": Kind(
        _out("sky", "grass"),
        (0.28, 0.42),
        ("cow", "horse", "sheep", "dog", "tree", "truck", "bird", "cat", "sheep"),
        0.25,
        True,
    ),
    "kitchen table": Kind(
        _out("wall", "floor"),
        (0.5, 0.58),
        ("cup", "bottle", "bowl", "apple", "banana", "cake", "melon", "vase", "cat", "clock"),
        0.12,
        furniture=(("table", 0.5, 1.02, 1.0),),
        tops=_ON_TABLE,
        far_scale=0.6,
        only_on_tops=(*HANDY, "plant", "lamp", "laptop", "cat"),
    ),
    "desk": Kind(
        _out("wall", "floor"),
        (0.5, 0.58),
        ("laptop", "book", "phone", "lamp", "cup", "bottle", "plant", "clock", "cat"),
        0.15,
        furniture=(("table", 0.5, 1.02, 1.0),),
        tops=_ON_TABLE,
        far_scale=0.65,
        only_on_tops=(*HANDY, "plant", "lamp", "laptop", "cat"),
    ),
    "living room": Kind(
        _out("wall", "floor"),
        (0.5, 0.62),
        ("chair", "cat", "dog", "lamp", "plant", "book", "ball", "clock", "tv", "bag", "vase"),
        0.45,
        furniture=(("sofa", 0.4, 0.4, 0.95),),
        tops=_ON_SEATS,
        far_scale=0.5,
        hands=("book", "cup", "bag"),
    ),
    "shop": Kind(
        _out("wall", "floor"),
        (0.72, 0.8),
        (
            "bottle",
            "cup",
            "bowl",
            "vase",
            "apple",
            "melon",
            "book",
            "ball",
            "bag",
            "plant",
            "clock",
        ),
        0.3,
        furniture=(("shelf", 0.5, 0.35, 1.0),),
        tops=_ON_SHELF,
        far_scale=0.7,
        only_on_tops=(
            "cup",
            "bottle",
            "bowl",
            "vase",
            "apple",
            "melon",
            "cake",
            "plant",
            "book",
            "clock",
        ),
    ),
    "harbour": Kind(_out("sky", "water"), (0.3, 0.45), ("boat", "bird", "boat", "kite"), 0.0, True),
    "picnic": Kind(
        _out("trees", "grass"),
        (0.3, 0.42),
        (
            "apple",
            "banana",
            "cake",
            "bottle",
            "bag",
            "dog",
            "ball",
            "bowl",
            "melon",
            "book",
            "umbrella",
        ),
        0.5,
        far_scale=0.45,
        hands=("apple", "cup", "ball", "bag", "book"),
    ),
}
