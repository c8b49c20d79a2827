"""One row of Table 1 or 2 with one seed, alone or on several devices.

    python -m tvnet.training --data data/miniref --row Baseline+RES+AMF --seed 0
    torchrun --nproc-per-node 2 -m tvnet.training --data data/miniref
    python -m tvnet.training --set training.steps=6000 training.batch=4
    python -m tvnet.training --row RRN --set model.method=rrn:start=input

The same command again resumes the run where it stopped; a finished run is shown. --set changes any
number of tvnet/settings.py; such a run has its own folder. Several machines share one --out folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors import SafetensorError

from tvnet import process_group
from tvnet.data import refer
from tvnet.devices import device_of, one_thread, own_device
from tvnet.evaluation.ablation import read_result, run
from tvnet.evaluation.metrics import figures
from tvnet.model.method import options_of
from tvnet.retrieval.build import build
from tvnet.rows import BEST, EVERY, refuse_overruled, row_settings
from tvnet.settings import settings
from tvnet.settings_checks import changed
from tvnet.training.loop import share_equally
from tvnet.training.setup import prepare


def train_and_measure(options: argparse.Namespace) -> None:
    """Everything from stage one to the run's figures, which the main process prints."""
    profile = changed(settings(options.profile), options.set)
    chosen = row_settings(profile, options.row)
    refuse_overruled(profile, (change.partition("=")[0] for change in options.set), options.row)
    share_equally(chosen.training.batch, process_group.launched())  # before the long work
    options_of(chosen.model.method)
    if process_group.launched() > 1 and chosen.model.amf_norm == "batch":
        raise ValueError(
            "amf_norm is 'batch', whose statistics would differ between processes: choose 'group' "
            "or 'instance', or use one process."
        )
    if chosen.model.enrichment:  # stage one, by all processes together
        data = refer.read(options.data, chosen.data.dataset)
        device = own_device(str(device_of(options.device)))
        build(chosen, data, options.out, device=device)
    with process_group.join(device_of(options.device)) as device:
        if process_group.is_main_process():  # the caches, which all of them read, are made by one
            prepare(chosen, options.data, options.out)
        process_group.barrier()
        where = options.data, options.out, str(device)
        folder = run(profile, options.row, options.seed, *where)
        if process_group.is_main_process():
            print(folder, figures(read_result(folder)["metrics"]["clean"]["all"]), sep="\n")


def main(arguments: list[str] | None = None) -> int:
    """One thread, as an ablation's runs have, so that the same run ends in the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--set", nargs="+", default=[], metavar="part.name=value")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--row", default=BEST, help=", ".join(EVERY))
    options = parser.parse_args(arguments)
    one_thread()
    try:
        train_and_measure(options)
    except (ValueError, OSError, SafetensorError, FloatingPointError, MemoryError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
