"""The interface of every method for training, evaluation and checkpoints, and their registry.

All systems of Table 2 are among them (D46).
"""

from importlib import import_module

import torch
from torch import Tensor, nn

from tvnet.model.rivals import OPTIONS
from tvnet.settings import Settings

Maps = dict[str, Tensor]  # {"V2": (B, d_2, S/4, S/4), "V3", "V4", "V5": (B, d_l, S/8, S/8)}

# The class of each name that the settings may give, by its module: each of them imports this one.
METHODS = {
    "tvnet": ("tvnet.model.tvnet", "TVNet"),
    "cmpc": ("tvnet.model.rivals.cmpc", "CMPC"),
    "lstm-cnn": ("tvnet.model.rivals.lstm_cnn", "LSTMCNN"),
    "rrn": ("tvnet.model.rivals.rrn", "RRN"),
    "rmi": ("tvnet.model.rivals.rmi", "RMI"),
    "cmsa": ("tvnet.model.rivals.cmsa", "CMSA"),
    "brinet": ("tvnet.model.rivals.brinet", "BRINet"),
    "step": ("tvnet.model.rivals.step", "STEP"),
    "kwa": ("tvnet.model.rivals.kwa", "KWA"),
    "dmn": ("tvnet.model.rivals.dmn", "DMN"),
    "lscm": ("tvnet.model.rivals.lscm", "LSCM"),
    "mattnet": ("tvnet.model.rivals.mattnet", "MAttNet"),
    "mattnet-oracle": ("tvnet.model.rivals.mattnet", "MAttNetOracle"),
}


class Method(nn.Module):
    """Maps of the frozen backbone and an expression -> mask logits (B, 1, S, S).

    A subclass is made from `Settings` and the vocabulary's size, and is called as TVNet is:
    `model(V_in, V_sim, words, lengths, valid, size, trace)`.
    """

    def __init__(self, settings: Settings):
        super().__init__()
        self.settings = settings

    def take_kinds(self, kinds: list[int]) -> None:
        """Before training, the kind of each word of the vocabulary (data/word_kinds.py)."""

    @torch.no_grad()
    def count_parameters(self) -> int:
        """Trainable numbers, the backbone not among them."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def options_of(method: str) -> tuple[str, dict[str, str | int]]:
    """A method and its own options: "rrn:start=input" -> "rrn", {"start": "input"}.

    Raises ValueError where the method has no such option, or the option no such value.
    """
    name, _, rest = method.partition(":")
    known, chosen = OPTIONS.get(name, {}), {}
    for assignment in rest.split(",") if rest else []:
        option, _, value = assignment.partition("=")
        if option not in known:
            listed = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"{name} has no option {option!r:.40}: {listed}.")
        values = {str(v): v for v in known[option]}
        if value not in values:
            listed = ", ".join(repr(v) for v in known[option])
            raise ValueError(f"{option} of {name} is {value!r:.40}: choose one of {listed}.")
        chosen[option] = values[value]
    return name, chosen


def build(settings: Settings, vocabulary_size: int) -> Method:
    """The untrained model of `settings.model.method`."""
    method, options = options_of(settings.model.method)
    module, name = METHODS[method]
    return getattr(import_module(module), name)(settings, vocabulary_size, **options)
