"""Table 2: the twelve systems beside the paper's rows, their mechanisms, costs and results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from tvnet.course.contrasts import Contrast, contrasts_of
from tvnet.course.paper import load, published, published_file
from tvnet.course.tables import HEADINGS, by_seed, cell, overall_iou, table
from tvnet.data.words import tokenise
from tvnet.evaluation.sentences import Sentences
from tvnet.evaluation.trained import load_run
from tvnet.model.summary import Cost, costs, head
from tvnet.rows import BEST, RIVALS, row_settings
from tvnet.settings import Settings, settings

ROW_OF = {s["method"]: s["row"] for s in load("systems")}  # "TV-Net" and the rivals' own names
NAME_OF = {row: name for name, row in ROW_OF.items()}
REFINED = "+DCRF"
REACHED = ("prec_0.5", "prec_0.8", "overall_iou")
FIRST = "LSTM-CNN"  # the oldest system, and the least that another one should reach


@dataclass(frozen=True)
class Published:
    """What was published of Table 2: counters of every split, refined ones, paired sentences."""

    tests: list[dict]
    refined: list[dict]
    sentences: Sentences
    about: dict  # profile, data set, split, training, provenance


def published_table2() -> Published:
    """What `make publish` wrote of the twelve systems."""
    found = published("table2")
    sentences = Sentences.load(published_file("table2_sentences.npz"))
    return Published(found["tests"], found["refined"], sentences, found)


def rows_of(systems: str) -> list[str]:
    """The rows of systems named as in Table 2, with spaces between: "RRN TV-Net".

    Raises ValueError for a name that is none of the twelve.
    """
    for name in systems.split():
        if name not in ROW_OF:
            raise ValueError(f"There is no system '{name}': choose from {', '.join(ROW_OF)}.")
    return [ROW_OF[name] for name in dict.fromkeys(systems.split())]


def markdown(tests: list[dict], refined: list[dict], with_paper: bool = True) -> str:
    """Overall IoU of whole splits: a system's rows in the paper, then ours over the seeds, and
    refined ones in lines of their own."""
    printed, ours = load("paper_tables")["table2"], overall_iou([*tests, *refined])
    rows = []
    for name, row in ROW_OF.items():
        for r in printed["rows"] if with_paper else ():
            if r["method"] == name:
                values = ["" if v is None else f"{v:.2f}" for v in r["values"]]
                rows.append([name + REFINED * r["crf"], "paper", *values])
        for found in (row, row + REFINED):
            if found in ours:
                cells = [
                    cell(ours[found][c]) if c in ours[found] else "" for c in printed["columns"]
                ]
                rows.append([name + found.removeprefix(row), "ours", *cells])
    return table(["system", "from", *printed["columns"]], rows)


def last_losses(results: list[dict]) -> dict[str, list[float]]:
    """{row: the mean loss of the last eighth of its training, of every seed}."""
    found: dict[str, list[float]] = {}
    for result in results:
        loss = result["loss"]
        last = loss[-max(1, len(loss) // 8) :]
        found.setdefault(result["row"], []).append(sum(last) / len(last))
    return found


def reached_markdown(about: dict) -> str:
    """What each system reads, how well it fits the sentences that it learns from, and what it
    reaches on others; below LSTM-CNN at Prec@0.5 it has a star. about: what notebook 12 writes."""
    reached = {
        row: {name: [seed[name] for seed in seeds.values()] for name in REACHED}
        for row, seeds in by_seed(about["runs"], "all", "clean").items()
    }
    least = mean(reached[FIRST]["prec_0.5"]) if FIRST in reached else 0
    rows = [
        [s["method"] + "*" * (mean(reached[s["row"]]["prec_0.5"]) < least), _levels(s)]
        + [cell(about["losses"][s["row"]])]
        + [cell(values) for values in reached[s["row"]].values()]
        for s in load("systems")
        if s["row"] in reached
    ]
    head = ["system", "reads", "loss, end of training", *(HEADINGS[name] for name in REACHED)]
    return table(head, rows)


def _levels(system: dict) -> str:
    return ", ".join(f"V{n}" for n in system["levels"])


def grid_markdown() -> str:
    """The mechanisms side by side (systems.yaml)."""
    rows = [
        [s["method"], _levels(s), s["meets"], s["often"]] + [s["normalised"], s["again"]]
        for s in load("systems")
    ]
    head = ["reads", "where words meet pixels", "how often", "what is normalised"]
    return table(["system", *head, "is there a second look"], rows)


def paper_costs() -> dict[str, Cost]:
    """{row: parameters and arithmetic of a forward pass} at the paper's size, no backbone."""
    paper = settings("paper")
    return {row: head(costs(row_settings(paper, row))) for row in ROW_OF.values()}


def costs_markdown(own: dict[str, dict], paper: dict[str, Cost], tests: list[dict]) -> str:
    """What each system needs, without the backbone, beside what was reached on unc+ val.

    own: ablation.row_costs of a small profile; tests: runs of any profile.
    """
    reached, rows = overall_iou(tests), []
    for name, row in ROW_OF.items():
        values = reached.get(row, {}).get("unc+ val")
        here, there = own[row], paper[row]
        cells = [f"{here['parameters'] / 1e6:.3f}", f"{here['GFLOP']:.3f}"]
        cells += [f"{1000 * here['step']:.0f}", cell(values) if values else ""]
        cells += [f"{there.parameters / 1e6:.1f}", f"{there.flop / 1e9:.0f}"]
        rows.append([name, *cells])
    columns = ["M parameters", "GFLOP", "ms a step", "overall IoU"]
    return table(["system", *columns, "M parameters, 320 px", "GFLOP, 320 px"], rows)


def against_tv_net(sentences: Sentences, column: str) -> list[Contrast]:
    """TV-Net minus each rival that was run, in overall IoU, corrected for all of them.

    column: that of the paper's Table 2 whose differences stand beside ours, such as "unc+ val".
    """
    steps = tuple((row, BEST) for row in RIVALS)
    found = contrasts_of(sentences, steps, ("all",), ("overall_iou",))
    return [replace(c, paper=printed_gain(c.step[0], column)) for c in found]


def printed_gain(rival: str, column: str) -> float | None:
    """What TV-Net has more than a rival in the paper's Table 2, where both have a value.

    The rival's unrefined row where it is printed, else the refined one.
    """
    printed = load("paper_tables")["table2"]
    if column not in printed["columns"]:
        return None
    at = printed["columns"].index(column)
    rows = sorted(printed["rows"], key=lambda r: r["crf"])
    first = {r["method"]: r["values"][at] for r in reversed(rows)}
    value = first[NAME_OF[rival]]
    return None if value is None else round(first["TV-Net"] - value, 2)


def card(system: str) -> str:
    """A system's idea in one sentence, and its one expression."""
    (s,) = (s for s in load("systems") if s["method"] == system)
    return f"**{system}** ({s['year']}). {s['does']}\n\n$${s['expression']}$$"


@torch.no_grad()
def common_words(
    settings: Settings, seed: int, data_dir: Path, out_dir: Path, count: int = 10
) -> dict[str, np.ndarray]:
    """{word: (4,) mean types} of the most frequent words of the evaluation split, "all" first."""
    model, ready = load_run(settings, "CMPC", seed, data_dir, out_dir)
    dataset = ready.dataset(model.settings, settings.data.eval_split)
    found: dict[str, list[np.ndarray]] = {}
    for sample in dataset.samples:
        ids = torch.tensor([ready.vocabulary.encode(sample.text, settings.data.max_words)])
        h, pad = model.expression(ids, torch.tensor([ids.shape[1]]))
        for word, types in zip(tokenise(sample.text), model.parser(h, pad)[0], strict=False):
            found.setdefault(word, []).append(types.numpy())
    often = sorted(found, key=lambda word: -len(found[word]))[:count]
    everything = [types for many in found.values() for types in many]
    return {"all": np.mean(everything, 0)} | {word: np.mean(found[word], 0) for word in often}
