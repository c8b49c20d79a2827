"""Make the step again at which a run stopped because a number was not finite.

    python -m tvnet.experiment.replay --data data/miniref --row Baseline+RES+AMF --seed 0

Takes the options of the run (tvnet.experiment.one_run). Tells the part of the network where the
first such number appears: in the weights, on the way forward, or on the way back.
"""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor, nn

from tvnet.data import refer
from tvnet.data.dataset import ReferDataset
from tvnet.devices import device_of
from tvnet.experiment.ablation import TRUNK, row_settings, run_folder, trunk_of
from tvnet.experiment.features import CachedFeatures, LiveFeatures
from tvnet.experiment.one_run import command, row_parser
from tvnet.experiment.order import batches
from tvnet.experiment.prepare import prepare
from tvnet.experiment.results import read_json
from tvnet.experiment.snapshots import Snapshots
from tvnet.experiment.training import learner, logits_of, loss_of
from tvnet.settings import Settings, as_dict, changed, settings


def replay(
    settings: Settings,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    seed: int,
    folder: Path,
    device: str = "cpu",
) -> dict:
    """{"step", "sentences", "loss", "where"} of the step in failed.json, made again from its state.

    Raises FileNotFoundError when no step failed there, ValueError when settings, data or the
    snapshot are not those of the failed step.
    """
    path = Path(folder) / "failed.json"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}: no step of that run has failed.")
    failed = read_json(path, {"step": int}, "make the run again")
    identity = {"settings": as_dict(settings), "seed": seed, "data": dataset.data.fingerprint}
    model, learning, optimiser = learner(settings, dataset, features, None, device)
    step = Snapshots(Path(folder) / "snapshots", identity).restore(learning, optimiser)
    if step != failed["step"]:
        raise ValueError(f"The state before step {failed['step']} is gone from {folder}.")
    budget = settings.training
    batch = next(batches(dataset, budget.batch, seed, step, budget.grouped)).to(device)
    where = [f"weight {name}" for name, p in model.named_parameters() if not p.isfinite().all()]
    for name, part in model.named_modules():
        part.register_forward_hook(_noting(f"forward {name or 'network'}", where))
    loss = loss_of(logits_of(model, features, batch), batch.mask)
    loss.backward()
    where += [
        f"gradient {name}"
        for name, p in model.named_parameters()
        if p.grad is not None and not p.grad.isfinite().all()
    ]
    return {
        "step": step,
        "sentences": batch.sent_id.tolist(),
        "loss": str(loss.item()),
        "where": where[0] if where else "nowhere: it is finite this time",
    }


def _noting(name: str, where: list[str]):
    def hook(part: nn.Module, given: tuple, result: object) -> None:
        tensors = result if isinstance(result, tuple | list) else [result]
        if not all(t.isfinite().all() for t in tensors if isinstance(t, Tensor)):
            where.append(name)

    return hook


@command
def main(arguments: list[str] | None = None) -> None:
    options = row_parser(__doc__).parse_args(arguments)
    profile = changed(settings(options.profile), options.set)
    data, seed = refer.read(options.data, profile.data.dataset).fingerprint, options.seed
    row, folder = options.row, run_folder(profile, options.row, seed, options.out, data)
    trunk = trunk_of(run_folder(profile, TRUNK, seed, options.out, data))
    if not (folder / "failed.json").is_file() and (trunk / "failed.json").is_file():
        row, folder = TRUNK, trunk  # it failed before the row's own first step
    chosen, device = row_settings(profile, row), str(device_of(options.device))
    ready = prepare(chosen, options.data, options.out)
    dataset = ready.dataset(chosen, chosen.data.train_split)
    for name, value in replay(chosen, dataset, ready.features, seed, folder, device).items():
        print(f"{name:10} {value}")


if __name__ == "__main__":
    sys.exit(main())
