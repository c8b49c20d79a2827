"""A laptop-profile training step against the naive one.

    python tests/benchmarks/bench_training.py --data data/miniref-smoke

Naive: one sentence at a time in float32, the backbone on both pictures every time, Adam in a loop,
and the model as one writes it first (1x1 convolutions as convolutions, the score after the last
upsampling), which gives the same logits. Ours: kept maps, batches of eight, fused Adam. The limit
of the first ratio is given by arithmetic: what the naive step computes over what ours does, per
sentence. The targets were set for bfloat16; the laptop profile trains in float32, so that every CPU
can repeat it, and the evening compiles and takes bfloat16: all are measured.
"""

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from timing import FAST, interleaved, say
from torch import nn

from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.model.blocks import Pointwise, upsample
from tvnet.model.head import Head
from tvnet.model.pretrained import load_backbone
from tvnet.model.summary import costs
from tvnet.model.tvnet import TVNet
from tvnet.retrieval.build import build
from tvnet.settings import Settings, settings
from tvnet.training.features import LiveFeatures
from tvnet.training.loop import batches, compiled, logits_of, loss_of, parameter_groups
from tvnet.training.setup import prepare

SENTENCES = 24


class ScoreLast(Head):
    """The head in Fig. 2's own order: all channels come up, then one convolution scores them."""

    def forward(self, M: torch.Tensor) -> torch.Tensor:
        return self.score(upsample(M, 2 * M.shape[-1], self.grid))


def as_written_first(model: TVNet) -> TVNet:
    """The same weights through the operations that one writes down first."""
    for module in model.modules():
        if isinstance(module, Pointwise):
            module.__class__ = nn.Conv2d
    model.head.__class__ = ScoreLast
    return model


def sweep(chosen: Settings, dataset, features, naive: bool = False):
    """A closure that trains on SENTENCES sentences."""
    torch.manual_seed(0)
    model = TVNet(chosen, len(dataset.vocabulary)).to(memory_format=torch.channels_last)
    size = chosen.training.batch
    if naive:
        batch = next(batches(dataset, size, 0))
        logits = logits_of(model, features, batch)
        torch.testing.assert_close(logits_of(as_written_first(model), features, batch), logits)
    groups = parameter_groups(model, features.backbone, chosen.training)
    how = {"foreach": False, "fused": False} if naive else {"fused": True}
    optimiser = torch.optim.Adam(groups, lr=1e-4, **how)
    if chosen.training.compile:
        model = compiled(model)

    def run() -> None:
        for batch in islice(batches(dataset, size, 0), SENTENCES // size):
            loss = loss_of(logits_of(model, features, batch), batch.mask)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return run


class TwoPasses(LiveFeatures):
    """The siamese backbone called once for each branch, as one writes it first."""

    def __call__(self, batch):
        V_in = self.backbone(batch.image)
        V_sim = self.backbone(batch.similar)
        V_sim.pop("V2")
        return V_in, V_sim, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref-smoke"))
    root = parser.parse_args().data
    torch.set_flush_denormal(True)
    laptop = replace(settings("laptop"), miniref_pictures=settings("smoke").miniref_pictures)
    with TemporaryDirectory() as out:
        build(laptop, refer.read(root, "unc+"), Path(out))
        ready = prepare(laptop, root, Path(out))

        def with_training(**changes):
            return replace(laptop, training=replace(laptop.training, **changes))

        kept = ready.dataset(laptop, "train")
        live = ready.dataset(laptop, "train")
        size = laptop.data.size
        live.cache = TrainingCache(ready.data, size, ready.cache.masks, Path(out) / "pixels")
        frozen = load_backbone(laptop.backbone)
        trained_settings = replace(laptop, backbone=replace(laptop.backbone, train_from="res3"))
        both = {}
        low = {"precision": "bfloat16"}
        for name, changes in (("trained", {}), ("trained bfloat16", low)):
            opened = LiveFeatures(load_backbone(trained_settings.backbone), ready.data, size)
            chosen = replace(with_training(**changes), backbone=trained_settings.backbone)
            both[name] = sweep(chosen, live, opened)
        alone = replace(with_training(batch=1), backbone=trained_settings.backbone)
        twice = TwoPasses(load_backbone(trained_settings.backbone), ready.data, size)
        seconds = interleaved(
            {
                "naive": sweep(
                    with_training(batch=1), live, TwoPasses(frozen, ready.data, size), naive=True
                ),
                "ours": sweep(laptop, kept, ready.features),
                "bfloat16": sweep(with_training(**low), kept, ready.features),
                "compiled": sweep(with_training(compile=True, **low), kept, ready.features),
                "naive, trained": sweep(alone, live, twice, naive=True),
                **both,
            },
            rounds=1 if FAST else 3,
        )
    bill = costs(laptop, len(ready.vocabulary))
    head = 3 * sum(cost.flop for name, cost in bill.items() if name != "backbone")
    limit = (head + bill["backbone"].flop) / head
    ratios = (
        ("frozen: naive step / ours, float32 as the profile", "naive", "ours", 4.0),
        ("frozen: naive step / ours in bfloat16", "naive", "bfloat16", 4.0),
        ("frozen: naive step / ours, compiled bfloat16", "naive", "compiled", 4.0),
        ("trained from res3: naive / ours, float32", "naive, trained", "trained", 2.0),
        ("trained from res3: naive / ours, bfloat16", "naive, trained", "trained bfloat16", 2.0),
    )
    for what, slow, fast, target in ratios:
        say(what, seconds[slow] / seconds[fast], target, f"arithmetic, frozen: {limit:.1f}x")


if __name__ == "__main__":
    main()
