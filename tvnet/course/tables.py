"""Our Table 1 beside the paper's: means and spreads over seeds, and which directions hold."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

from tvnet.course.paper import load
from tvnet.evaluation.metrics import THRESHOLDS, figures
from tvnet.evaluation.statistics import LEVEL, holm, p_value

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


def paper_table() -> dict:
    """Table 1 as printed: {"columns": [...], "all": {row: [...]}, "small": {...}}."""
    return load("paper_tables")["table1"]


def paper_difference(step: tuple[str, str], size: str, column: str) -> float:
    """What the second row of the paper's Table 1 has more than the first."""
    rows, k = paper_table()[size], COLUMNS.index(column)
    return round(rows[step[1]][k] - rows[step[0]][k], 2)


def by_seed(results: list[dict], size: str, evaluator: str) -> dict[str, dict[int, dict]]:
    """{row: {seed: {column: per cent}}} of one size bin and evaluator."""
    found: dict[str, dict[int, dict]] = {}
    for result in results:
        count = result["metrics"][evaluator][size]
        found.setdefault(result["row"], {})[result["seed"]] = figures(count)
    return found


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (NaN for one value)."""
    return mean(values), stdev(values) if len(values) > 1 else float("nan")


def cell(values: list[float]) -> str:
    """ "mean ± sd", or the one value."""
    return f"{values[0]:.1f}" if len(values) == 1 else "{:.1f} ± {:.1f}".format(*spread(values))


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


def cost_cells(costs: dict[str, dict], row: str) -> list[str]:
    """A row's parameters, arithmetic, and the time of its step over the Baseline's."""
    if row not in costs:  # a control is a Baseline
        return ["", "", ""]
    found, step = costs[row], costs[row]["step"] / costs["Baseline"]["step"]
    return [f"{found['parameters'] / 1e6:.2f}", f"{found['GFLOP']:.3f}", f"x {step:.2f}"]


def table3_markdown(tests: list[dict], evaluator: str = "clean") -> str:
    """Overall IoU of small referents (Table 3), a row a method, a column a split."""
    splits = list(dict.fromkeys(run["split"] for run in tests))
    rows = []
    found = {
        split: by_seed([run for run in tests if run["split"] == split], "small", evaluator)
        for split in splits
    }
    for row in dict.fromkeys(run["row"] for run in tests):
        columns = (found[split][row].values() for split in splits)
        rows.append([row, *(cell([seed["overall_iou"] for seed in seeds]) for seeds in columns)])
    return table(["row", *splits], rows)


def refined_markdown(results: list[dict], refined: list[dict], evaluator: str = "clean") -> str:
    """Each refined run with its difference to the unrefined one: the gain of DenseCRF."""
    rows = []
    for size in SIZES:
        before, after = by_seed(results, size, evaluator), by_seed(refined, size, evaluator)
        for row, seeds in after.items():
            for seed, values in seeds.items():
                plain = before[row.removesuffix("+DCRF")][seed]
                cells = [f"{values[c]:.1f} ({values[c] - plain[c]:+.1f})" for c in COLUMNS]
                rows.append([size, row, str(seed), *cells])
    return table(["size", "row", "seed", *HEADINGS.values()], rows)


@dataclass(frozen=True)
class Direction:
    """One step of Table 1 in one column: the paper's difference, ours per seed, and a verdict.

    p: of a paired t-test over the seeds, taken alone. corrected: the same among all that are made.
    """

    size: str
    step: tuple[str, str]
    column: str
    paper: float
    ours: tuple[float, ...]
    p: float
    corrected: float

    @property
    def verdict(self) -> str:
        """ "holds" or "opposite" if the corrected p is below LEVEL; else "undecided"."""
        if self.corrected >= LEVEL:
            return "undecided"
        return "holds" if mean(self.ours) * self.paper > 0 else "opposite"


def directions(
    results: list[dict],
    columns: tuple[str, ...] = ("prec_0.5", "prec_0.9", "overall_iou"),
    evaluator: str = "clean",
) -> list[Direction]:
    """Every step of Table 1, paired by seed: same data order, same budget.

    All columns are tested and corrected for, so that a verdict does not depend on what is shown.
    """
    keys, ours = [], []
    for size in SIZES:
        rows = by_seed(results, size, evaluator)
        for before, after in STEPS:
            seeds = sorted(rows.get(before, {}).keys() & rows.get(after, {}).keys())
            for column in COLUMNS if seeds else ():
                keys.append((size, (before, after), column))
                ours.append([rows[after][s][column] - rows[before][s][column] for s in seeds])
    p = [p_value(differences) for differences in ours]
    found = []
    for (size, step, column), mine, alone, corrected in zip(keys, ours, p, holm(p), strict=True):
        printed = paper_difference(step, size, column)
        found.append(Direction(size, step, column, printed, tuple(mine), alone, corrected))
    return [d for d in found if d.column in columns]


def claim_verdict(claim: dict, results: list[dict]) -> str:
    """A claim's written verdict, or the one counted from the part of Table 1 that it names."""
    if "verdict" in claim:
        return claim["verdict"]
    if "small" in claim:
        every, small = (by_seed(results, size, "clean") for size in SIZES)
        lower = [
            small[row][seed][claim["small"]] < values[claim["small"]]
            for row in every.keys() & paper_table()["all"].keys()
            for seed, values in every[row].items()
        ]
        counted = f"{HEADINGS[claim['small']]} is lower in {sum(lower)} of {len(lower)} runs"
        return f"on MiniRef, small against all: {counted}"
    found = [d for d in directions(results, claim["columns"]) if list(d.step) == claim["step"]]
    if not found:
        return "not measured yet"
    verdicts = [f"{HEADINGS[d.column]} of {d.size}: {d.verdict}" for d in found]
    return f"on MiniRef, {len(found[0].ours)} seeds: " + ", ".join(verdicts)


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
