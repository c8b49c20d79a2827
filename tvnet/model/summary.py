"""The cost of the model by part: parameters and arithmetic.

    python -m tvnet.model.summary --profile paper

Runs one forward pass with random weights and counts operations.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tvnet.model.backbone import DeepLab
from tvnet.model.expression import Expression
from tvnet.model.method import build
from tvnet.settings import PROFILES, Settings, settings

WORDS = 12112  # the vocabulary that prior code shares among UNC, UNC+ and G-Ref


@dataclass(frozen=True)
class Cost:
    """One part of the model, for one pair of pictures and one sentence."""

    parameters: int
    flop: int  # forward; a multiplication and an addition count as two


class CostCounter:
    """Adds up the arithmetic of the part that is running."""

    def __init__(self, parts: dict[str, nn.Module]):
        self.flop, self.running = Counter(), ""
        self.flop_counter = FlopCounterMode(display=False)
        for name, part in parts.items():
            # A container is never called itself; what it holds is.
            held = part.children() if isinstance(part, nn.ModuleDict | nn.ModuleList) else [part]
            for module in held:
                module.register_forward_pre_hook(lambda *_, name=name: self.enter(name))
                module.register_forward_hook(lambda *_: self.enter("rest"))

    def enter(self, name: str) -> None:
        total = self.flop_counter.get_total_flops()
        self.flop[self.running] += total - sum(self.flop.values())
        self.running = name


def costs(profile: Settings, words: int = WORDS) -> dict[str, Cost]:
    """{part: Cost}: the siamese backbone, then TV-Net's parts in the order of Fig. 2."""
    size, n_words = profile.data.size, profile.data.max_words
    backbone = DeepLab(profile.backbone).freeze(profile.backbone.train_from)
    model = build(profile, words)
    parts = {"backbone": backbone} | {n: p for n, p in model.named_children() if p is not None}
    counter = CostCounter(parts)
    with torch.no_grad(), counter.flop_counter:
        both = backbone(torch.zeros(2, 3, size, size, dtype=torch.uint8))
        V_in = {name: V[:1] for name, V in both.items()}
        V_sim = {name: V[1:] for name, V in both.items()} if profile.model.enrichment else None
        model(V_in, V_sim, torch.ones(1, n_words).long(), torch.tensor([n_words]))
        counter.enter("")
    if isinstance(model.expression, Expression):
        # torch does not count its own LSTM: four gates, each of [word; state].
        lstm = 2 * n_words * 4 * profile.model.d_s * (profile.model.d_words + profile.model.d_s)
        counter.flop["expression"] += lstm
    return {
        name: Cost(sum(p.numel() for p in part.parameters()), counter.flop[name])
        for name, part in parts.items()
    }


def table(found: dict[str, Cost]) -> str:
    """The costs as lines, the sums last."""
    head = [cost for name, cost in found.items() if name != "backbone"]
    rows = {name: [cost] for name, cost in found.items()}
    rows |= {"head alone": head, "total": list(found.values())}
    lines = [f"{'part':<17}{'parameters, M':>15}{'GFLOP forward':>15}"]
    for name, many in rows.items():
        parameters, flop = sum(c.parameters for c in many), sum(c.flop for c in many)
        lines.append(f"{name:<17}{parameters / 1e6:>15.2f}{flop / 1e9:>15.1f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="paper", help=", ".join(PROFILES))
    try:
        profile = settings(parser.parse_args(arguments).profile)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(costs(profile)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
