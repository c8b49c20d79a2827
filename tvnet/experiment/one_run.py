"""One row of Table 1 with one seed, alone or on several devices.

    python -m tvnet.experiment.one_run --data data/miniref --row Baseline+RES+AMF --seed 0
    torchrun --nproc-per-node 2 -m tvnet.experiment.one_run --data data/miniref

The same command again goes on where the run stopped; a finished run is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tvnet.data import refer
from tvnet.experiment import distributed
from tvnet.experiment.ablation import EVERY, row_settings, run
from tvnet.experiment.metrics import figures
from tvnet.experiment.prepare import prepare
from tvnet.experiment.training import device_of
from tvnet.retrieval.build import build
from tvnet.settings import settings


def parser(what: str) -> argparse.ArgumentParser:
    """The options that name a run."""
    parser = argparse.ArgumentParser(description=what.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--row", default="Baseline+RES+AMF", help=", ".join(EVERY))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__).parse_args(arguments)
    try:
        profile = settings(options.profile)
        chosen = row_settings(profile, options.row)
        if chosen.model.enrichment:  # stage one, by all processes together
            build(chosen, refer.read(options.data, chosen.data.dataset), options.out)
        with distributed.join(device_of(options.device)) as device:
            if distributed.leads():  # the caches, which all of them read, are made by one
                prepare(chosen, options.data, options.out)
            distributed.wait()
            where = options.data, options.out, str(device)
            folder = run(profile, options.row, options.seed, *where)
            if distributed.leads():
                result = json.loads((folder / "result.json").read_text())
                print(folder, figures(result["metrics"]["clean"]["all"]), sep="\n")
    except (ValueError, FileNotFoundError, FloatingPointError, MemoryError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
