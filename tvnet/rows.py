"""What each row of Tables 1 and 2 and each control changes in the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tvnet.settings import Settings

ROWS = {
    "Baseline": {"model": {"enrichment": False, "high_resolution": "none"}},
    "Baseline+RES": {"model": {"enrichment": True, "high_resolution": "none"}},
    "Baseline+RES+Cct": {"model": {"enrichment": True, "high_resolution": "cct"}},
    "Baseline+RES+AMF": {"model": {"enrichment": True, "high_resolution": "amf"}},
}
# Rows that the paper does not print and that do not ship.
FURTHER_ROWS = {"Baseline+AMF": {"model": {"enrichment": False, "high_resolution": "amf"}}}
BEST = "Baseline+RES+AMF"
# The other systems of Table 2, in the same world and loop for as many steps (D43, D44).
_ALONE = {"enrichment": False, "high_resolution": "none"}
RIVALS = {
    "LSTM-CNN": {"model": _ALONE | {"method": "lstm-cnn"}},
    "RMI": {"model": _ALONE | {"method": "rmi"}},
    "DMN": {"model": _ALONE | {"method": "dmn"}},
    "KWA": {"model": _ALONE | {"method": "kwa"}},
    "RRN": {"model": _ALONE | {"method": "rrn"}},
    "MAttNet": {"model": _ALONE | {"method": "mattnet"}},
    "CMSA": {"model": _ALONE | {"method": "cmsa"}},
    "STEP": {"model": _ALONE | {"method": "step"}},
    "BRINet": {"model": _ALONE | {"method": "brinet"}},
    "CMPC": {
        "model": _ALONE | {"method": "cmpc", "rank": 5, "tanh": True, "exchange_rounds": 2},
    },
    "LSCM": {"model": _ALONE | {"method": "lscm", "rank": 5, "tanh": True}},
}
# Chooses among true masks: no row to compare with methods that have to find them (D87).
ORACLES = {"MAttNet, true objects": {"model": _ALONE | {"method": "mattnet-oracle"}}}
# What the data gives away by itself: the Baseline without words, and without an image.
CONTROLS = {
    f"{part}-blind": ROWS["Baseline"] | {"training": {"ablate_input": part}}
    for part in ("language", "image")
}
# What is run with every seed, in the order of the tables.
TABLE1 = {name: RIVALS[name] for name in ("LSTM-CNN", "CMPC")} | ROWS | FURTHER_ROWS
PRINTED = (*ROWS, "CMPC")  # those that the paper's own Table 1 has
TABLE2 = RIVALS | {BEST: ROWS[BEST]}
EVERY = TABLE1 | TABLE2 | ORACLES | CONTROLS  # what can be run by name


def on_data_set(settings: Settings, name: str) -> Settings:
    """The settings on another data set and the splits that it has: ReferIt has no val."""
    train, held_out = ("trainval", "test") if name == "referit" else ("train", "val")
    data = replace(settings.data, dataset=name, train_split=train, eval_split=held_out)
    return replace(settings, data=data)


def refuse_overruled(settings: Settings, names: Iterable[str], row: str) -> None:
    """ValueError where one of the names, as "model.rank", was set to what the row then changes.

    Of methods `row_settings` says so itself, as a row's own options may stand in one.
    """
    for name in names:
        part, _, key = name.partition(".")
        given, own = getattr(getattr(settings, part), key), EVERY[row].get(part, {})
        if key in own and key != "method" and own[key] != given:
            raise ValueError(
                f"{name} is {given!r}, and row '{row}' sets it to {own[key]!r}: drop it, or choose "
                f"another row of {', '.join(EVERY)}."
            )


def row_settings(settings: Settings, row: str) -> Settings:
    """The settings of a row of Table 1 or 2, or of a control.

    A method with options of its own ("rrn:start=input") stays what it is. Raises ValueError where
    there is no such row, or where the settings name another row's method.
    """
    if row not in EVERY:
        raise ValueError(f"There is no row '{row}': choose from {', '.join(EVERY)}.")
    own = EVERY[row]["model"].get("method", "tvnet")
    asked = settings.model.method
    if asked.partition(":")[0] not in ("tvnet", own):
        raise ValueError(
            f"Row '{row}' runs {own}, and model.method is '{asked}': drop one of them."
        )
    changes = {part: replace(getattr(settings, part), **new) for part, new in EVERY[row].items()}
    chosen = replace(settings, **changes)
    if asked == "tvnet":
        return chosen
    return replace(chosen, model=replace(chosen.model, method=asked))
