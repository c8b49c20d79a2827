"""What the enrichment of a trained model does: where it looks, what it adds, what that changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tvnet.data.dataset import Batch, collate
from tvnet.data.images import placement
from tvnet.data.records import ReferData
from tvnet.devices import device_of
from tvnet.evaluation.trained import load_run, use_control
from tvnet.model.method import Method
from tvnet.model.trace import LEVELS, Trace
from tvnet.settings import Settings
from tvnet.training.features import valid_cells
from tvnet.training.setup import Prepared

BATCH = 16


@dataclass(frozen=True)
class Level:
    """Means over the sentences of a split, at the cells that hold picture."""

    entropy: float  # of A's rows, over that of a row which looks at all cells alike
    gate: float  # mean of the gate
    added: float  # |gate V_sim'| over |V|
    constant: float  # share of the added energy that is the same at every cell
    specific: float  # |added - added with a random image| over |added|


@dataclass(frozen=True)
class Inside:
    """One trained model. What changes is counted between the retrieved and a random image."""

    levels: dict[int, Level]
    changed: float  # share of the picture's pixels whose logit changes its sign
    of_masks: float  # the same over the pixels that either mask marks


def entropy(A: Tensor, own: Tensor, seen: Tensor) -> Tensor:
    """(B,): mean entropy of the rows of A (B, hw, hw), 1 where all cells are looked at alike.

    own, seen (B, hw) bool: the cells that ask, and those that may be looked at.
    """
    rows = torch.special.entr(A).sum(-1) / seen.sum(1, keepdim=True).log()
    return (rows * own).sum(1) / own.sum(1)


def constant_share(added: Tensor, own: Tensor) -> Tensor:
    """(B,): of the energy of added (B, d, hw) at the cells own (B, hw), that of its mean."""
    added = added * own[:, None]
    energy = added.square().sum((1, 2))
    return added.sum(2).square().sum(1) / own.sum(1) / energy


def ratio(a: Tensor, b: Tensor, own: Tensor) -> Tensor:
    """(B,): |a| / |b| of maps (B, d, hw) at the cells own (B, hw)."""
    a, b = ((x * own[:, None]).flatten(1).norm(dim=1) for x in (a, b))
    return a / b


def sign_changes(a: Tensor, b: Tensor, picture: Tensor) -> Tensor:
    """(B, 3): how many pixels of the picture change their sign between two logits (B, S, S), how
    many are positive in either, and how many there are."""
    a, b = ((x > 0) & picture for x in (a, b))
    return torch.stack([x.sum((1, 2)) for x in (a ^ b, a | b, picture)], 1)


def level_of(true: Trace, random: Trace, level: int, own: Tensor, seen: Tensor) -> Tensor:
    """(B, 5): the fields of `Level` of each sentence."""
    added, other = (
        (trace.gate[level] * trace.V_sim_prime[level]).flatten(2) for trace in (true, random)
    )
    V = true.V_prime[level].flatten(2) - added
    gate = true.gate[level].flatten(2).mean(1)
    columns = (
        entropy(true.A[level], own, seen),
        (gate * own).sum(1) / own.sum(1),
        ratio(added, V, own),
        constant_share(added, own),
        ratio(added - other, added, own),
    )
    return torch.stack(columns, 1)


@torch.no_grad()
def inside(
    settings: Settings, row: str, seed: int, data_dir: Path, out_dir: Path, device: str = "cpu"
) -> Inside:
    """Of a trained row, over the evaluation split, with the retrieved and with random images.

    Raises ValueError for a row without RES, FileNotFoundError without the control's neighbours.
    """
    model, ready = load_run(settings, row, seed, data_dir, out_dir)
    chosen, split, device = model.settings, settings.data.eval_split, device_of(device)
    if not chosen.model.enrichment:
        raise ValueError(f"Row '{row}' has no enrichment to look into: choose a row with RES.")
    model.to(device)
    ready.features.backbone.to(device)
    true = ready.dataset(chosen, split)
    use_control(ready, "random", chosen, out_dir)
    random = ready.dataset(chosen, split)
    levels, counts = [], []
    for start in range(0, len(true), BATCH):
        some = range(start, min(start + BATCH, len(true)))
        batch = collate([true.inputs(i) for i in some]).to(device)
        other = collate([random.inputs(i) for i in some]).to(device)
        (first, seen), (second, _) = (_traced(model, ready, b) for b in (batch, other))
        own, picture = _picture(ready.data, batch, chosen.data.size)
        levels.append(torch.stack([level_of(first, second, n, own, seen) for n in LEVELS], 1))
        counts.append(sign_changes(first.logits[:, 0], second.logits[:, 0], picture))
    means = torch.cat(levels).mean(0).tolist()
    changed, marked, pixels = torch.cat(counts).double().T
    return Inside(
        {n: Level(*mean) for n, mean in zip(LEVELS, means, strict=True)},
        float((changed / pixels).mean()),
        float(changed.sum() / marked.sum().clamp_min(1)),
    )


def _traced(model: Method, ready: Prepared, batch: Batch) -> tuple[Trace, Tensor]:
    """The trace of a batch, and the cells (B, hw) of the other image that may be looked at."""
    trace = Trace()
    V_in, V_sim, valid = ready.features(batch)
    model(V_in, V_sim, batch.words, batch.lengths, valid, trace=trace)
    masked = model.settings.model.mask_padding  # D6
    return trace, (valid if masked else torch.ones_like(valid)).flatten(1)


def _picture(data: ReferData, batch: Batch, size: int) -> tuple[Tensor, Tensor]:
    """The cells (B, hw) and the pixels (B, S, S) of the padded squares that hold picture."""
    ids = batch.image_id.tolist()
    pixels = np.zeros((len(ids), size, size), dtype=bool)
    for square, image_id in zip(pixels, ids, strict=True):
        picture = data.pictures[image_id]
        square[placement(picture.height, picture.width, size).inner] = True
    cells = np.stack([valid_cells(data, image_id, size) for image_id in ids])
    own, inner = (torch.from_numpy(a).to(batch.image_id.device) for a in (cells, pixels))
    return own.flatten(1), inner
