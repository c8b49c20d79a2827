"""One training step at the paper's size on a GPU: eager, as a CUDA graph, compiled.

    python tests/benchmarks/bench_gpu.py --record notebooks/cached/gpu_step.json

The frozen backbone sees both pictures in every step, as on a GPU it does. The physical limit is the
step's arithmetic at the rate of one large matrix product. Without a GPU this fails, since a skip
would look like a pass; `--device cpu --profile smoke` tries everything but the graph, for the sake
of this file.
"""

import argparse
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from full_step import step
from timing import say
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from tvnet.files import write_json
from tvnet.provenance import provenance
from tvnet.settings import PROFILES, Settings, settings

MANY, SIDE = 32, 8192
EAGER, COMPILED = f"eager bfloat16, batch {MANY}", f"compiled bfloat16, batch {MANY}"


def graph(run: Callable) -> Callable:
    """The same step, launched as one CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is made once must be there before the capture
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        run()
    return captured.replay


def seconds(run: Callable) -> float:
    """Median seconds of a call; the timer waits for the device."""
    return Timer("run()", globals={"run": run}).blocked_autorange(min_run_time=2).median


def ways(profile: Settings, device: str) -> dict[str, tuple[int, Callable]]:
    """{name: (sentences in a step, what makes the step)}."""
    found = {
        "eager float32, batch 1": (1, lambda: step(profile, 1, "float32", device)),
        "eager bfloat16, batch 1": (1, lambda: step(profile, 1, "bfloat16", device)),
        EAGER: (MANY, lambda: step(profile, MANY, "bfloat16", device)),
        COMPILED: (MANY, lambda: step(profile, MANY, "bfloat16", device, compiled=True)),
    }
    if device == "cuda":
        found["graph bfloat16, batch 1"] = 1, lambda: graph(step(profile, 1, "bfloat16", device))
    return found


def limit_of(profile: Settings, device: str) -> float:
    """Sentences a second if all arithmetic ran at the rate of one large matrix product."""
    with FlopCounterMode(display=False) as counter:
        step(profile, 1, "bfloat16", device)()
    a = torch.randn(SIDE, SIDE, device=device, dtype=torch.bfloat16)
    return 2 * SIDE**3 / seconds(lambda: a @ a) / counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--profile", default="paper", choices=PROFILES)
    parser.add_argument("--record", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("Nothing was measured: this machine has no CUDA device.")
    profile = settings(options.profile)
    limit, found = limit_of(profile, options.device), {}
    for name, (size, make) in ways(profile, options.device).items():
        found[name] = size / seconds(make())
        print(f"{name:32}{found[name]:9.1f} sentences/s, {found[name] / limit:.2f} of the limit")
    output, best = f"limit {limit:.0f} sentences/s", max(found[EAGER], found[COMPILED])
    say(f"batch {MANY}, the better way", best, 530, output, unit="/s")
    say(f"batch {MANY} / eager float32, batch 1", best / found["eager float32, batch 1"], 8, output)
    if options.device == "cuda":
        ratio = found["graph bfloat16, batch 1"] / found["eager bfloat16, batch 1"]
        say("batch 1, bfloat16: graph / eager", ratio, 2.3, output)
    if options.record:
        about = {"date": date.today().isoformat(), "profile": options.profile, "limit": limit}
        write_json(options.record, about | {"sentences/s": found, **provenance(options.device)})


if __name__ == "__main__":
    main()
