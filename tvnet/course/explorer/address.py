"""The state of an explorer as the query part of an address: written, and read with care."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from tvnet.course.explorer.layers import LAYERS
from tvnet.model.trace import LEVELS
from tvnet.prediction import NEIGHBOURS


def written(state: Mapping[str, object]) -> str:
    """{name: value} as in picture=236&expression=man+left."""
    return urlencode({name: value for name, value in state.items() if value is not None})


def read(text: str, pictures: list[int]) -> dict[str, object]:
    """What an address asks for; names that are none of the explorer's are another's.

    pictures: the ids that it may name. Raises ValueError with a sentence.
    """
    given = {name: values[-1] for name, values in parse_qs(text).items()}
    kinds = {
        "picture": lambda value: _one_of(int(value), pictures),
        "expression": str,
        "neighbour": lambda value: int(value) if value.isdigit() else _one_of(value, NEIGHBOURS),
        "layer": lambda value: _one_of(value, list(LAYERS)),
        "level": lambda value: _one_of(int(value), LEVELS),
        "opacity": _share,
        "wipe": _share,
        "row": int,
        "column": int,
    }
    found = {}
    for name in kinds.keys() & given.keys():
        try:
            found[name] = kinds[name](given[name])
        except ValueError:
            raise ValueError(
                f"The link's {name} '{given[name]:.40}' is not one of this page: press "
                "“link to this view” again."
            ) from None
    return found


def _one_of(value: object, known: object) -> object:
    if value not in known:
        raise ValueError
    return value


def _share(value: str) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError
    return float(value)
