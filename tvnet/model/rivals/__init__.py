"""The other systems of Table 2, and what can be chosen in each beside the settings that all share.

An option is a keyword of the system's class, and is written behind the method's name:
`model.method=rrn:start=input`. The first value is the default.
"""

OPTIONS: dict[str, dict[str, tuple[str | int, ...]]] = {
    "rrn": {"start": ("state", "input")},  # D70
    "rmi": {"ending": ("unbounded", "plain")},  # D71
    "cmsa": {"pool": (2, 1), "activation": ("relu", "none")},  # D72
    "brinet": {"over": ("attended", "receiving")},  # D73
    "step": {"rounds": (5, 3, 1)},  # D80
    "kwa": {"keys": ("hard", "soft")},  # D82
    "dmn": {"recurrence": ("words", "cells")},  # D84
    "lscm": {"tree": ("rules", "chain", "all")},  # D81
}
