"""The cost of the model by part: parameters and arithmetic.

    python -m tvnet.model.summary --profile paper --row RRN

Follows one forward pass and counts its operations.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from tvnet.model.method import build
from tvnet.model.pretrained import untrained
from tvnet.model.rivals.objects import NEIGHBOURS
from tvnet.rows import BEST, EVERY, row_settings
from tvnet.settings import PROFILES, Settings, settings

WORDS = 12112  # the vocabulary that prior code shares among UNC, UNC+ and G-Ref


@dataclass(frozen=True)
class Cost:
    """One part of the model, for one pair of pictures and one sentence."""

    parameters: int
    flop: int  # forward; a multiplication and an addition count as two


class CostCounter:
    """Adds up the arithmetic of the part that is running; what belongs to none is the "rest"."""

    def __init__(self, parts: dict[str, nn.Module]):
        self.flop, self.running, self.counted = Counter(), ["rest"], 0
        self.flop_counter = FlopCounterMode(display=False)
        for name, part in parts.items():
            for module in part.modules():  # a container is never called itself; what it holds is
                module.register_forward_pre_hook(lambda *_, name=name: self.enter(name))
                module.register_forward_hook(self.leave)

    def enter(self, name: str) -> None:
        self.count()
        self.running.append(name)

    def leave(self, module: nn.Module, given: tuple, _: object) -> None:
        if isinstance(module, nn.LSTM):
            # torch does not count its own LSTM: four gates, each of [word; state].
            d = module.hidden_size
            self.flop[self.running[-1]] += 2 * given[0].shape[1] * 4 * d * (module.input_size + d)
        self.count()
        self.running.pop()

    def count(self) -> None:
        total = self.flop_counter.get_total_flops()
        self.flop[self.running[-1]] += total - self.counted
        self.counted = total


def costs(profile: Settings, words: int = WORDS) -> dict[str, Cost]:
    """{part: Cost}: the siamese backbone, then the method's parts in their order, then the rest.

    Nothing is computed: the tensors have shapes and no numbers.
    """
    size, n_words = profile.data.size, profile.data.max_words
    with FakeTensorMode(), torch.no_grad():
        backbone = untrained(profile.backbone).freeze(profile.backbone.train_from)
        model = build(profile, words)
        parts = {"backbone": backbone} | {n: p for n, p in model.named_children() if p is not None}
        counter = CostCounter(parts)
        with counter.flop_counter:
            both = backbone(torch.zeros(2, 3, size, size, dtype=torch.uint8))
            V_in = {name: V[:1] for name, V in both.items()}
            if profile.model.method == "mattnet-oracle":
                V_in |= candidates(size)
            V_sim = {name: V[1:] for name, V in both.items()} if profile.model.enrichment else None
            model(V_in, V_sim, torch.ones(1, n_words).long(), torch.tensor([n_words]))
            counter.count()
    return {
        name: Cost(sum(p.numel() for p in part.parameters()), counter.flop[name])
        for name, part in (parts | {"rest": nn.Module()}).items()
    }


def head(found: dict[str, Cost]) -> Cost:
    """All parts but the backbone."""
    own = [cost for name, cost in found.items() if name != "backbone"]
    return Cost(sum(cost.parameters for cost in own), sum(cost.flop for cost in own))


def candidates(size: int) -> dict[str, torch.Tensor]:
    """What the oracle chooses from (D87), in a picture with as few objects as it takes."""
    J = NEIGHBOURS + 1
    masks = torch.zeros(1, J, size, size, dtype=torch.bool)
    return {"objects": masks, "categories": torch.zeros(1, J, dtype=torch.long)}


def table(found: dict[str, Cost]) -> str:
    """The costs as lines, the sums last."""
    rows = {name: [cost] for name, cost in found.items()}
    rows |= {"head alone": [head(found)], "total": list(found.values())}
    lines = [f"{'part':<17}{'parameters, M':>15}{'GFLOP forward':>15}"]
    for name, many in rows.items():
        parameters, flop = sum(c.parameters for c in many), sum(c.flop for c in many)
        lines.append(f"{name:<17}{parameters / 1e6:>15.2f}{flop / 1e9:>15.1f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="paper", help=", ".join(PROFILES))
    parser.add_argument("--row", default=BEST, help=", ".join(EVERY))
    options = parser.parse_args(arguments)
    try:
        profile = row_settings(settings(options.profile), options.row)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(costs(profile)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
