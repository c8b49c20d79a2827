"""How a check judges the reader's function: on every case, smallest first, with a hint.

A check prints one line and returns it: `o not attempted yet`, `+ passed (7 cases)`, or `x` with
what is wrong and the smallest input that shows it. An unattempted stub never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Slips = dict[str, Callable]  # hint -> the typical wrong answer that earns it


def verdict(yours: Callable, right: Callable, cases: list[tuple], slips: Slips) -> str:
    """Compare on every case, smallest first; print and return the line."""
    line = _line(yours, right, cases, slips)
    print(line)
    return line


def _line(yours: Callable, right: Callable, cases: list[tuple], slips: Slips) -> str:
    if "reference" in yours.__code__.co_names:
        return "o not attempted yet"
    for case in cases:
        told, wanted = _told(case), right(*case)
        try:
            got = yours(*case)
        except NotImplementedError:  # what a student's copy has in place of an answer
            return "o not attempted yet"
        except Exception as error:  # the reader's own code may raise anything
            return f"x it raises {type(error).__name__} ({error}) for {told}"
        if not _same(got, wanted):
            hint = next((h for h, slip in slips.items() if _agree(yours, slip, cases)), None)
            why = f": {hint}" if hint else ""
            return f"x it gives {_short(got)} instead of {_short(wanted)} for {told}{why}"
    return f"+ passed ({len(cases)} cases)"


def _agree(yours: Callable, slip: Callable, cases: list[tuple]) -> bool:
    """Whether the reader's function makes this very slip, on every case."""
    try:
        return all(_same(yours(*case), slip(*case)) for case in cases)
    except Exception:  # the reader's own code may raise anything
        return False


def _same(got: Any, wanted: Any) -> bool:
    """Equal in type of thing, shape and, up to rounding, in every value."""
    if isinstance(wanted, tuple):
        whole = isinstance(got, tuple | list) and len(got) == len(wanted)
        return whole and all(map(_same, got, wanted))
    if isinstance(wanted, str) or got is None or isinstance(got, str):
        return isinstance(got, str) and got == wanted
    try:
        left, right = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return False
    return left.shape == right.shape and np.allclose(left, right, rtol=1e-4, atol=1e-9)


def _short(value: Any) -> str:
    """A value in a line's length."""
    if isinstance(value, torch.Tensor | np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_short, value)) + ")"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("True", "1").replace("False", "0")


def _told(case: tuple) -> str:
    return "input " + ", ".join(map(_short, case))
