"""Small systems of Table 2 and one picture with two equal objects, for their tests."""

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import torch

from tests.tiny_parts import wakened
from tvnet.model.backbone import DeepLab
from tvnet.model.method import METHODS, build
from tvnet.rows import RIVALS, row_settings
from tvnet.settings import settings
from tvnet.training.loop import ablate_input, loss_of

SMOKE = settings("smoke")
SMALL = replace(
    SMOKE,
    data=replace(SMOKE.data, size=64),
    backbone=replace(SMOKE.backbone, width=8),
    model=replace(SMOKE.model, d_words=12, d_s=16, d_m=16),
)


def module_of(row):
    """The module of a row's system, and the class of its trace."""
    path, name = METHODS[RIVALS[row]["model"]["method"]]
    module = import_module(path)
    return module, getattr(module, name + "Trace")


def inputs(batch, size, backbone=SMOKE.backbone):
    maps = DeepLab(backbone).freeze()(torch.randint(0, 256, (batch, 3, size, size)).byte())
    lengths = torch.randint(1, 6, (batch,))
    lengths[0] = 5
    return maps, None, torch.randint(4, 10, (batch, 5)), lengths


def small(row, options="", **changes):
    """A small system in float64, all weights drawn; options are written as ":start=input"."""
    chosen = row_settings(SMALL, row)
    model = replace(chosen.model, method=chosen.model.method + options, **changes)
    return wakened(build(replace(chosen, model=model), 30))


def traced(row, model, maps, words, lengths, **more):
    """The trace of one pass; maps in float64."""
    trace = module_of(row)[1]()
    maps = {name: V.double() for name, V in maps.items()}
    model(maps, None, words, lengths, trace=trace, **more)
    return trace


def two_equal_objects():
    """Maps of one picture, twice, with the same object left and right; two sentences that differ in
    their second word; the mask of the left one, that of the right one."""
    maps, masks = {}, torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    masks[0, :, 16:48, 8:24] = masks[1, :, 16:48, 40:56] = True
    for name, d in SMALL.backbone.channels.items():
        stride = 4 if name == "V2" else 8
        ground, thing = torch.rand(2, d, 1, 1).unbind()
        there = masks.any(0)[:, ::stride, ::stride]
        maps[name] = torch.where(there, thing, ground).expand(2, -1, -1, -1)
    return maps, torch.tensor([[4, 5, 6], [4, 7, 6]]), torch.tensor([3, 3]), masks


TOLD_APART = 0.6  # one mask for both sentences reaches at most 0.5 in one of the two


def learn(row, steps, control="none"):
    """The IoU with its mask of each of the two sentences, after training on these two alone; ends
    as soon as they are TOLD_APART."""
    maps, words, lengths, masks = two_equal_objects()
    model = build(row_settings(SMALL, row), 30)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = SimpleNamespace(words=words, lengths=lengths)
    maps, words, lengths = ablate_input(batch, maps, control)
    for _ in range(steps):
        loss = loss_of(logits := model(maps, None, words, lengths), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found = logits > 0
        iou = (found & masks).sum((1, 2, 3)) / (found | masks).sum((1, 2, 3))
        if iou.min() > TOLD_APART:
            break
    return iou.tolist()


def size_at_the_papers(row):
    """How many numbers it learns at the paper's size and with words of 1000 numbers, as prior
    code has; those of the embedding and the LSTM do not count."""
    chosen = row_settings(settings("paper"), row)
    with torch.device("meta"):
        model = build(replace(chosen, model=replace(chosen.model, d_words=1000)), 100)
    return model.count_parameters() - sum(p.numel() for p in model.expression.parameters())
