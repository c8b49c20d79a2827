"""Run every benchmark; keep the figures of this kind of machine and write README.md from all kinds.

    python tests/benchmarks/record.py [NAME ...]

A run of all benchmarks, without FAST=1, replaces machines/KIND.json; a part of them only prints.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from timing import FAST

from tvnet.files import write_json, write_text
from tvnet.provenance import provenance

HERE = Path(__file__).resolve().parent
MACHINES = HERE / "machines"
INTRO = """# What was measured, on which machine, beside what is possible

`make bench` measures this machine and writes this page. `FAST=1 make bench` only checks that every
benchmark runs. Every figure is a ratio of times (or of memory), and a larger one is better. The
variants take turns in one process. The limit is the most that the same machine could reach,
measured in the same run. A figure below its target is marked.
"""


def machine() -> dict:
    """The processor, its cores, and the arithmetic that decides how fast bfloat16 is."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return {
        "processor": model[1] if model else "unknown processor",
        "cores": os.cpu_count(),
        "arithmetic": [name for name in wanted if flags and name in flags[1].split()],
    }


def measured(name: str) -> list[dict]:
    """The figures that one benchmark reports. Raises SystemExit when it fails or reports none."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        environment = os.environ | {"TVNET_FIGURES": str(figures)}
        run = subprocess.run([sys.executable, HERE / f"{name}.py"], env=environment)
        if run.returncode or not figures.exists():
            sys.exit(f"{name}.py measured nothing (exit status {run.returncode}).")
        return [json.loads(line) for line in figures.read_text().splitlines()]


def row(name: str, one: dict) -> str:
    """One figure as a line of Markdown."""
    below = "" if one["measured"] >= one["target"] else " (below)"
    measured, target = f"{one['measured']:.2f}{one['unit']}", f"{one['target']:.3g}{one['unit']}"
    return f"| {name[6:]} | {one['what']} | {measured}{below} | {target} | {one['limit']} |"


def page() -> str:
    """README.md from the files of all machines."""
    parts = [INTRO]
    for path in sorted(MACHINES.glob("*.json")):
        found = json.loads(path.read_text())
        about = found["machine"]
        rows = [row(name, one) for name, figures in found["figures"].items() for one in figures]
        arithmetic = ", ".join(about["arithmetic"])
        parts.append(
            f"## {about['processor']}, {about['cores']} cores ({arithmetic})\n\n"
            f"{found['date']}, commit {found['commit']}, torch {found['versions']['torch']}, "
            f"{found['minutes']:.0f} minutes.\n\n"
            "| benchmark | figure | measured | target | limit |\n|---|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def main() -> None:
    every = sorted(path.stem for path in HERE.glob("bench_*.py") if path.stem != "bench_gpu")
    names = sys.argv[1:] or every
    if wrong := set(names) - set(every):
        sys.exit(f"There is no benchmark '{min(wrong)}': choose from {', '.join(every)}.")
    began, figures = time.monotonic(), {}
    for name in names:
        print(f"== {name}", flush=True)
        figures[name] = measured(name)
    minutes = (time.monotonic() - began) / 60
    print(f"{minutes:.1f} minutes")
    if names == every and not FAST:
        here = machine()
        kind = re.sub(r"\W+", "-", f"{here['processor']} {here['cores']} {here['arithmetic'][-1:]}")
        about = {"date": date.today().isoformat(), "minutes": minutes, "machine": here}
        MACHINES.mkdir(exist_ok=True)
        path = MACHINES / f"{kind.strip('-').lower()}.json"
        write_json(path, about | provenance() | {"figures": figures})
        write_text(HERE / "README.md", page())
        print(f"{path} and README.md are written.")


if __name__ == "__main__":
    main()
