"""What is said of each claim of the paper (claims.yaml): written, or counted from our results."""

from __future__ import annotations

from tvnet.course.contrasts import NAMES, Contrast, every, interval
from tvnet.course.paper import load
from tvnet.course.table2 import NAME_OF, REFINED, ROW_OF, Published, against_tv_net
from tvnet.course.tables import HEADINGS, SIZES, STEPS, by_seed, overall_iou, paper_table
from tvnet.evaluation.sentences import Sentences
from tvnet.rows import BEST

UNKNOWN = "not measured yet"


def claim_verdict(
    claim: dict, runs: list[dict], sentences: Sentences, table2: Published | None = None
) -> str:
    """A claim's verdict: the one that is written, or what the published runs say by its rule.

    runs, sentences: Table 1's. table2 is asked only where a claim needs it.
    """
    if "verdict" in claim:
        return claim["verdict"]
    if "small" in claim:
        return _of_small(claim["small"], runs)
    if "step" in claim:
        return _of_step(tuple(claim["step"]), tuple(claim["columns"]), sentences)
    if "counted" in claim:
        return _of_count(*claim["counted"])
    if "ahead_of" in claim:
        return _of_rivals(claim["ahead_of"], table2)
    return _of_refined(table2)


def _of_small(measure: str, runs: list[dict]) -> str:
    everywhere, small = (by_seed(runs, size, "clean") for size in SIZES)
    lower = [
        small[row][seed][measure] < values[measure]
        for row in everywhere.keys() & paper_table()["all"].keys()
        for seed, values in everywhere[row].items()
    ]
    counted = f"{HEADINGS[measure]} is lower in {sum(lower)} of {len(lower)} runs"
    return f"on MiniRef, small against all: {counted}"


def _of_step(step: tuple[str, str], columns: tuple[str, ...], sentences: Sentences) -> str:
    found = every(sentences, STEPS if step in STEPS else (step,), columns)
    found = [c for c in found if c.step == step]
    if not found:
        return UNKNOWN
    verdicts = [f"{NAMES[c.measure]} of {c.size}: {c.verdict} ({interval(c.ours)})" for c in found]
    return f"on MiniRef, {_seeds(found[0])}: " + ", ".join(verdicts)


def _of_count(system: str, module: str) -> str:
    """How often a module of a system runs in one pass here, as the grid has it."""
    (found,) = (s for s in load("systems") if s["method"] == system)
    levels = len(found["levels"])
    return f"in {system} as it is built here: {levels} levels, {found['counted'][module]} steps"


def _of_rivals(names: list[str], table2: Published) -> str:
    """TV-Net against each of these systems; an empty list names all."""
    column = f"{table2.about['dataset']} {table2.about['split']}"
    rivals = [ROW_OF[name] for name in names or ROW_OF if name != "TV-Net"]
    found = {c.step[0]: c for c in against_tv_net(table2.sentences, column)}
    found = {row: found[row] for row in rivals if row in found}
    if not found:
        return UNKNOWN
    parts: dict[str, list[str]] = {}
    for row, c in found.items():
        word = c.verdict.split(" than ")[0]  # of "smaller than X", X differs from rival to rival
        parts.setdefault(word, []).append(f"{NAME_OF[row]} ({interval(c.ours)})")
    said = "; ".join(f"{word}: {', '.join(listed)}" for word, listed in parts.items())
    missing = [NAME_OF[row] for row in rivals if row not in found]
    left = f"; not run yet: {', '.join(missing)}" if missing else ""
    return f"on MiniRef {column}, {_seeds(next(iter(found.values())))}: {said}{left}"


def _of_refined(table2: Published) -> str:
    """TV-Net as it is against every rival after DenseCRF, on each split that both have."""
    ours = overall_iou(table2.tests).get(BEST, {})
    above = total = 0
    for row, splits in overall_iou(table2.refined).items():
        if row.removesuffix(REFINED) == BEST:
            continue
        for split in splits.keys() & ours.keys():
            total += 1
            above += sum(ours[split]) / len(ours[split]) > sum(splits[split]) / len(splits[split])
    if not total:
        return UNKNOWN
    return f"on MiniRef: above {above} of {total} rows with it, each on the same split"


def _seeds(c: Contrast) -> str:
    return f"{c.ours.seeds} seed{'s' * (c.ours.seeds > 1)}"
