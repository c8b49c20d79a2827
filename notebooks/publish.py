"""Show runs of notebooks 09 and 12 to readers: their counters, pictures, and the README's tables.

    python notebooks/publish.py --out out

copies what was counted to notebooks/results/ and the figures to notebooks/figures/, for whichever
of the two has run there, then rewrites the README between its `table1` and `table2` marks. A test
holds README and files together.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from tvnet.course import contrasts
from tvnet.course.table2 import reached_markdown
from tvnet.course.tables import short_markdown
from tvnet.evaluation.sentences import Sentences

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
RESULTS = HERE / "results"
COUNTED = ("table1.json", "table1_sentences.npz", "table1_slices.safetensors")
FURTHER = "table3_*.npz"  # a data set each, where notebook 09 was asked for further ones
FIGURES = ("contrasts.png", "fig5.png")
COUNTED2 = ("table2.json", "table2_sentences.npz")  # what notebook 12 writes


def minutes(summary: dict) -> float:
    """What all runs of a table took, one after another."""
    return sum(sum(run["seconds"].values()) for run in summary["runs"]) / 60


def readme_block(summary: dict, sentences: Sentences) -> str:
    """The README's section between its marks, a pure function of the published counters."""
    origin = summary["provenance"]
    pictures = len(set(sentences.image_id.tolist()))
    return (
        f"\nMeasured on MiniRef {summary['dataset']} {summary['split']} ({len(sentences.sent_id):,} "
        f"sentences of {pictures} pictures), profile `{summary['profile']}`, evaluator `clean`, per "
        f"cent, mean ± sd over the seeds; GFLOP are those of a forward pass without the backbone. {minutes(summary):.0f} "
        f"minutes of runs, two at a time on a shared CPU, commit {origin['commit']}, torch "
        f"{origin['versions']['torch']}; the backbone is {summary['backbone']}.\n\n"
        + short_markdown(summary["runs"], summary["costs"])
        + "\n\nFour contrasts were chosen before the runs. Each difference is measured on the same "
        "sentences and stands with its 95 % interval over pictures and, where there are several, "
        "seeds; p is corrected for the number of lines:\n\n"
        + contrasts.markdown(contrasts.fixed(sentences))
        + "\n\n"
        "![Every step of Table 1: ours with its interval, the paper's as a mark](notebooks/figures/contrasts.png)\n\n"
        "![Random referents of val: the image, the masks of several rows, the truth]"
        "(notebooks/figures/fig5.png)\n"
    )


def readme_block2(summary: dict) -> str:
    """The same for Table 2."""
    seeds = len({run["seed"] for run in summary["runs"]})
    steps = summary["training"]["steps"]
    return (
        f"\nMeasured like Table 1, {steps:,} steps each, {seeds} seed{'s' * (seeds > 1)}, {minutes(summary):.0f} minutes of runs. "
        "The loss is that of the last eighth of the training.\n\n"
        + reached_markdown(summary)
        + "\n"
    )


def with_block(readme: str, name: str, block: str) -> str:
    """The README's text with what stands between two marks replaced."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, rest = readme.split(start)
    return head + start + "\n" + block + "\n" + end + rest.split(end)[1]


def shown(readme: str) -> str:
    """The README's text with all that is published."""
    first, second = (
        json.loads((RESULTS / names[0]).read_text())
        for names in (COUNTED, COUNTED2)
    )
    sentences = Sentences.load(RESULTS / COUNTED[1])
    readme = with_block(readme, "table1", readme_block(first, sentences))
    return with_block(readme, "table2", readme_block2(second))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out"),
        help="where the notebooks wrote",
    )
    out = parser.parse_args(arguments).out
    sets = [
        names
        for names in (COUNTED, COUNTED2)
        if all((out / name).is_file() for name in names)
    ]
    if not sets:
        print(
            f"{out} holds neither {COUNTED[0]} nor {COUNTED2[0]}: run notebook 09 or 12 first.",
            file=sys.stderr,
        )
        return 2
    for names in sets:
        for name in names:
            shutil.copy(out / name, RESULTS / name)
    if COUNTED in sets:
        for path in out.glob(FURTHER):
            shutil.copy(path, RESULTS)
        for name in FIGURES:
            shutil.copy(out / name, HERE / "figures" / name)
    README.write_text(shown(README.read_text()))
    copied = ", ".join(names[0] for names in sets)
    print(
        f"{RESULTS.relative_to(HERE.parent)} now holds {copied}, and README.md shows it."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
