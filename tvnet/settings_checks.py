"""What settings are held to: kinds, ranges, named choices; how two differ; changes to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

MOST = 10**9
# From where to where a number may go: far beyond the paper's, but a damaged or hostile file cannot
# ask for all memory there is.
RANGES = {
    "size": (32, 1024), "max_words": (1, 1000), "k": (1, 10_000),
    "width": (1, 256), "expansion": (1, 16), "blocks": (1, 100),
    "d_words": (1, 4096), "d_s": (1, 4096), "d_m": (1, 4096), "rank": (1, 100),
    "exchange_rounds": (1, 100), "d_hr": (1, 4096), "norm_groups": (1, 4096), "d_fine": (1, 4096),
    "steps": (1, MOST), "batch": (1, 10**6),
}  # fmt: skip
# TV-Net with all rows of Table 1, then the other systems that run.
_METHODS = "tvnet cmpc lstm-cnn rrn rmi cmsa brinet step kwa dmn lscm mattnet mattnet-oracle"
# What the named choices may be; the first is the default of the paper profile.
CHOICES = {
    "method": tuple(_METHODS.split()),
    "high_resolution": ("amf", "cct", "none"),
    "upsampling": ("legacy", "half_pixel"),
    "words": ("glove", "random"),
    "gate": ("channel", "position"),
    "inner": ("half", "full"),
    "W3": ("zero", "glorot", "bottleneck"),
    "lateral_kernel": (1, 3),
    "gate_text": ("s", "words"),
    "conv_lstm": ("cmpc", "plain"),
    "peephole_elsewhere": ("resize", "off"),
    "amf_kernel": (3, 1),
    "amf_norm": ("group", "batch", "instance"),
    "compare_at": ("high", "low"),
    "amf_gate": ("conv", "stack"),
    "V2_input": ("raw", "unit", "reduced"),
    "score_kernel": (3, 1),
    "head": ("x2 conv", "conv", "x2 conv x2 conv"),
}
_hints = cache(get_type_hints)
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


class Part:
    """What every part of the settings is held to."""

    def __post_init__(self):
        """ValueError where a value is of another kind than its field, or out of its range."""
        for name, hint in _hints(type(self)).items():
            value, kinds = getattr(self, name), get_args(hint) or (hint,)
            if get_origin(hint) is tuple:
                _refuse_other_list(name, value, None if Ellipsis in kinds else len(kinds))
            elif not _is_one_of(value, kinds):
                kind = KINDS.get(kinds[0], "a part of the settings")
                raise ValueError(f"{name} is {value!r:.40}: give {kind}.")
            least, most = RANGES.get(name, (-MOST, MOST))
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and not least <= number <= most:
                    raise ValueError(
                        f"{name} is {value!r:.40}: choose a number from {least} to {most}."
                    )


def _is_one_of(value: object, kinds: tuple[type, ...]) -> bool:
    """A whole number is a number, but true is no whole one, and NaN none at all."""
    if float in kinds and type(value) in (int, float):
        return abs(value) <= sys.float_info.max  # which NaN is not
    return type(value) in kinds


def _refuse_other_list(name: str, value: object, length: int | None) -> None:
    whole = isinstance(value, tuple) and all(type(number) is int for number in value)
    if not whole or len(value) > 10 or len(value) != (length or len(value)):
        count = length or "at most 10"
        raise ValueError(f"{name} is {value!r:.40}: give a list of {count} whole numbers.")


def refuse_unknown(part: object, choices: dict[str, tuple]) -> None:
    """ValueError when a named choice of a part of the settings is none that exists."""
    for name, allowed in choices.items():
        value = getattr(part, name)
        # Behind a method's name may stand options of its own, which its class knows.
        known = value.partition(":")[0] if name == "method" else value
        if name == "text" and value.startswith("folder:") and value != "folder:":
            known = "folder:PATH"
        if known not in allowed:
            listed = ", ".join(repr(choice) for choice in allowed)
            raise ValueError(f"{name} is {value!r:.40}: choose one of {listed}.")


def differences(stored: dict, asked: dict, path: str = "") -> list[str]:
    """Each leaf in which two plain dictionaries differ, as a clause."""
    found = []
    for key in sorted(stored.keys() | asked.keys()):
        one, other = stored.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{path}{key}.")
        elif one != other:
            found.append(f"{path}{key} is {one!r} there, {other!r} here")
    return found


def changed(settings: Any, assignments: Iterable[str]) -> Any:
    """The settings with assignments such as "training.batch=32" made, as a command line gives them.

    A value is JSON or else a word. Raises ValueError where a name does not exist or a value does
    not fit.
    """
    new: dict[str, dict] = {}
    for assignment in assignments:
        where, _, text = assignment.partition("=")
        part, _, name = where.partition(".")
        known = asdict(settings).get(part)
        if not text or not isinstance(known, dict) or name not in known:
            raise ValueError(
                f"'{assignment}' sets nothing: write part.name=value as in training.batch=32, with "
                "the names of tvnet/settings.py."
            )
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        new.setdefault(part, {})[name] = tuple(value) if isinstance(value, list) else value
    parts = {part: replace(getattr(settings, part), **values) for part, values in new.items()}
    return replace(settings, **parts)
