"""Our tables beside the paper's: means and spreads over seeds."""

from __future__ import annotations

from statistics import mean, stdev

from tvnet.course.paper import load
from tvnet.evaluation.metrics import THRESHOLDS, figures

SIZES = ("all", "small")
HEADINGS = {f"prec_{x}": f"Prec@{x}" for x in THRESHOLDS} | {"overall_iou": "overall IoU"}
COLUMNS = tuple(HEADINGS)
STEPS = (
    ("Baseline", "Baseline+RES"),
    ("Baseline+RES", "Baseline+RES+Cct"),
    ("Baseline+RES+Cct", "Baseline+RES+AMF"),
    ("Baseline", "Baseline+RES+AMF"),
    ("CMPC", "Baseline+RES+AMF"),
)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown of a table."""
    return "\n".join("| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rows))


def folded(title: str, text: str) -> str:
    """Markdown that a reader unfolds: for lists in which one looks something up."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def paper_table() -> dict:
    """Table 1 as printed: {"columns": [...], "all": {row: [...]}, "small": {...}}."""
    return load("paper_tables")["table1"]


def by_seed(results: list[dict], size: str, evaluator: str) -> dict[str, dict[int, dict]]:
    """{row: {seed: {column: per cent}}} of one size bin and evaluator."""
    found: dict[str, dict[int, dict]] = {}
    for result in results:
        count = result["metrics"][evaluator][size]
        found.setdefault(result["row"], {})[result["seed"]] = figures(count)
    return found


def cell(values: list[float]) -> str:
    """ "mean ± sd" with the sample's standard deviation, or the one value."""
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{deviation}"


def markdown(
    results: list[dict],
    evaluator: str = "clean",
    with_paper: bool = True,
    costs: dict[str, dict] | None = None,
) -> str:
    """The table as Markdown: ours as mean +- sd over seeds, the paper's row under each.

    With `costs` (ablation.row_costs) three columns follow: what the row needs without the backbone.
    """
    paper = paper_table()
    head = ["size", "row", "from", "seeds", *HEADINGS.values()]
    head += ["M parameters", "GFLOP", "step"] if costs else []
    rows = []
    for size in SIZES:
        ours = by_seed(results, size, evaluator)
        for row in ours:
            seeds = ours[row].values()
            cells = [cell([seed[column] for seed in seeds]) for column in COLUMNS]
            cells += cost_cells(costs, row) if costs else []
            rows.append([size, row, "ours", str(len(seeds)), *cells])
            if with_paper and row in paper[size]:
                cells = [f"{value:.2f}" for value in paper[size][row]]
                cells += ["", "", ""] if costs else []
                rows.append([size, row, "paper", "1", *cells])
    return table(head, rows)


def short_markdown(results: list[dict], costs: dict[str, dict]) -> str:
    """Table 1 on one screen: the columns that the notebook compares, and a forward pass's work."""
    shown = [("all", c) for c in ("prec_0.5", "prec_0.8", "prec_0.9", "overall_iou")]
    shown += [("small", c) for c in ("prec_0.5", "overall_iou")]
    ours = {size: by_seed(results, size, "clean") for size in SIZES}
    head = [HEADINGS[column] + ", small" * (size == "small") for size, column in shown]
    rows = []
    for row in ours["all"]:
        cells = [cell([seed[c] for seed in ours[size][row].values()]) for size, c in shown]
        rows.append([row, str(len(ours["all"][row])), *cells, cost_cells(costs, row)[1]])
    return table(["row", "seeds", *head, "GFLOP"], rows)


def cost_cells(costs: dict[str, dict], row: str) -> list[str]:
    """A row's parameters, arithmetic, and the time of its step over the Baseline's."""
    if row not in costs:  # a control is a Baseline
        return ["", "", ""]
    found, step = costs[row], costs[row]["step"] / costs["Baseline"]["step"]
    return [f"{found['parameters'] / 1e6:.2f}", f"{found['GFLOP']:.3f}", f"x {step:.2f}"]


def overall_iou(tests: list[dict], size: str = "all") -> dict[str, dict[str, list[float]]]:
    """{row: {"unc+ val": per cent of every seed}}."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in tests:
        value = figures(run["metrics"]["clean"][size])["overall_iou"]
        splits = found.setdefault(run["row"], {})
        splits.setdefault(f"{run['dataset']} {run['split']}", []).append(value)
    return found


def table3_markdown(tests: list[dict]) -> str:
    """Overall IoU of small referents (Table 3), a row a method, a column a split that was run."""
    found = overall_iou(tests, "small")
    run = {split for columns in found.values() for split in columns}
    splits = [split for split in load("paper_tables")["table3"]["rows"] if split in run]
    rows = [
        [row, *(cell(columns[split]) if split in columns else "" for split in splits)]
        for row, columns in found.items()
    ]
    return table(["row", *splits], rows)


def refined_markdown(results: list[dict], refined: list[dict]) -> str:
    """Each refined run with its difference to the unrefined one: the gain of DenseCRF."""
    rows = []
    for size in SIZES:
        before, after = by_seed(results, size, "clean"), by_seed(refined, size, "clean")
        for row, seeds in after.items():
            for seed, values in seeds.items():
                plain = before[row.removesuffix("+DCRF")][seed]
                cells = [f"{values[c]:.1f} ({values[c] - plain[c]:+.1f})" for c in COLUMNS]
                rows.append([size, row, str(seed), *cells])
    return table(["size", "row", "seed", *HEADINGS.values()], rows)


def summary(results: list[dict], **more: object) -> dict:
    """What is published of an ablation: integer counters, settings, seconds, provenance.

    `more`, by name: costs, refined rows, other splits.
    """
    kept = ("row", "seed", "parameters", "seconds", "metrics")
    first = next((result for result in results if result["row"] == "Baseline"), results[0])
    return {
        "profile": first["settings"]["profile"],
        "dataset": first["settings"]["data"]["dataset"],
        "split": first["settings"]["data"]["eval_split"],
        "training": first["settings"]["training"] | {"ablate_input": "see row"},
        "world": first["data"],
        "backbone": first["backbone"],
        "unknown words": first["unknown words"],
        "runs": [{name: result[name] for name in kept} for result in results],
        **more,
        "provenance": first["provenance"],
    }
