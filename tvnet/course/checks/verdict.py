"""How a check judges the reader's function: on every case, smallest first, with a hint.

A check prints one line and returns it: `o not attempted yet`, `+ passed (7 cases)`, or `x` with
what is wrong first and then the smallest input that shows it. An unattempted stub never raises.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

# hint -> the typical wrong answer that earns it, or several
Mistakes = dict[str, Callable | tuple[Callable, ...]]
LONGEST = 80  # characters of one value in a line
DIGITS = re.compile(r"\d+\.\d{6,}(?:e[-+]?\d+)?")  # a number with more digits than are compared
RAISES = "it raises "
NAN = "it holds nan: somewhere you divide 0 by 0, or take a softmax of nothing but minus infinity"


def verdict(yours: Callable, right: Callable, cases: list[tuple], mistakes: Mistakes) -> str:
    """Compare on every case, smallest first; print and return the line."""
    line = _line(yours, right, cases, mistakes)
    print(line)
    return line


def _line(yours: Callable, right: Callable, cases: list[tuple], mistakes: Mistakes) -> str:
    code = getattr(yours, "__code__", None)  # a module or a partial has none
    if code and "reference" in code.co_names:
        return "o not attempted yet"
    for case in cases:
        inputs, wanted = "input " + ", ".join(map(_short, case)), right(*case)
        given = copy.deepcopy(case)
        try:
            got = yours(*given)
        except Exception as error:  # the reader's own code may raise anything
            if isinstance(error, NotImplementedError) and not error.args:
                return "o not attempted yet"  # a student's copy; torch's own says a word
            got, said = None, str(error).strip().split("\n")[0]
            seen = f"it raises {type(error).__name__} ({said}) for {inputs}"
        else:
            if _same(got, wanted):
                if all(map(_same, given, case)):
                    continue
                return f"x it changes what it is given: compute on a copy ({inputs})"
            seen = f"it gives {_short(got)} instead of {_short(wanted)} for {inputs}"
        hint = next((h for h, way in mistakes.items() if _made(yours, way, cases)), None)
        hint = hint or (NAN if "nan" in _written(got) else None)
        line = f"x {hint} ({seen})" if hint else f"x {seen}"
        return DIGITS.sub(lambda number: f"{float(number[0]):.5g}", line)
    return f"+ passed ({len(cases)} cases)"


def _made(yours: Callable, mistake: Callable | tuple[Callable, ...], cases: list[tuple]) -> bool:
    """Whether one of the ways to make a mistake gives the reader's answers, errors included."""
    mine = [_outcome(yours, case) for case in cases]
    # Two functions that fail everywhere need not fail for the same reason.
    if all(isinstance(answer, str) and answer.startswith(RAISES) for answer in mine):
        return False
    ways = mistake if isinstance(mistake, tuple) else (mistake,)
    return any(all(map(_same, mine, [_outcome(way, case) for case in cases])) for way in ways)


def _outcome(function: Callable, case: tuple) -> Any:
    """What a function returns, or the name of what it raises."""
    try:
        return function(*copy.deepcopy(case))
    except Exception as error:  # the reader's own code may raise anything
        return f"{RAISES}{type(error).__name__}"


def _same(got: Any, wanted: Any) -> bool:
    """Equal in kind and shape and, up to rounding, in every value."""
    if isinstance(wanted, tuple):
        if isinstance(got, np.ndarray | torch.Tensor) and got.ndim:
            got = tuple(got)
        whole = isinstance(got, tuple | list) and len(got) == len(wanted)
        return whole and all(map(_same, got, wanted))
    if isinstance(wanted, str) or got is None or isinstance(got, str):
        return isinstance(got, str) and isinstance(wanted, str) and got == wanted
    try:
        left, right = (np.asarray(_plain(x), dtype=complex) for x in (got, wanted))
    except (TypeError, ValueError, RuntimeError):
        return False
    close = {"rtol": 1e-4, "atol": 1e-9, "equal_nan": True}  # a mistake may give nan
    return left.shape == right.shape and np.allclose(left, right, **close)


def _plain(value: Any) -> Any:
    """A tensor without its gradient, which NumPy does not take; else the value."""
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _short(value: Any) -> str:
    """A value, cut to LONGEST characters."""
    text = _written(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _written(value: Any) -> str:
    """A value with as many digits as `_same` compares."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple | list):
        inside = ", ".join(map(_written, value))
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.5g}" if isinstance(value, float) else str(value)
