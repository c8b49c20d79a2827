"""Show a run of notebook 09 to readers: its counters, its pictures, and the README's table.

    python notebooks/publish.py --out out

copies out/table1.json to notebooks/results/ and the figures to notebooks/figures/, then rewrites
the README between its `table1` marks. A test holds README and file together.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from tvnet.course.tables import markdown

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
RESULTS = HERE / "results" / "table1.json"
FIGURES = ("table1.png", "fig5.png")


def readme_block(summary: dict) -> str:
    """The README's section between its marks, a pure function of the published counters."""
    seeds = len({run["seed"] for run in summary["runs"]})
    minutes = sum(sum(run["seconds"].values()) for run in summary["runs"]) / 60
    origin = summary["provenance"]
    return (
        f"\nMeasured on MiniRef {summary['dataset']} {summary['split']}, profile "
        f"`{summary['profile']}`, {seeds} seeds, evaluator `clean`, mean ± sd in per cent; "
        f"{minutes:.0f} minutes of runs, two at a time on a shared CPU, commit {origin['commit']}, torch "
        f"{origin['versions']['torch']}; the backbone is {summary['backbone']}. "
        "The paper's own figures and every verdict stand in notebook 09.\n\n"
        + markdown(summary["runs"], with_paper=False, costs=summary["costs"])
        + "\n\n"
        "![Ours beside the paper's](notebooks/figures/table1.png)\n\n"
        "![Random referents of val: image, CMPC, Baseline, +RES, full model, truth]"
        "(notebooks/figures/fig5.png)\n"
    )


def with_block(readme: str, block: str) -> str:
    """The README's text with what stands between its marks replaced."""
    start, end = "<!-- table1 -->", "<!-- /table1 -->"
    head, rest = readme.split(start)
    return head + start + "\n" + block + "\n" + end + rest.split(end)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="where notebook 09 wrote"
    )
    out = parser.parse_args().out
    RESULTS.parent.mkdir(exist_ok=True)
    shutil.copy(out / "table1.json", RESULTS)
    for name in FIGURES:
        shutil.copy(out / name, HERE / "figures" / name)
    summary = json.loads(RESULTS.read_text())
    README.write_text(with_block(README.read_text(), readme_block(summary)))
    print(f"README.md now shows {RESULTS.relative_to(HERE.parent)}.")


if __name__ == "__main__":
    main()
