"""Whether RES makes use of the image that was retrieved: tables for notebooks 09 and 11."""

from __future__ import annotations

import numpy as np

from tvnet.course.contrasts import NAMES, interval
from tvnet.course.paper import published_file
from tvnet.course.tables import table
from tvnet.evaluation.inside_res import Inside
from tvnet.evaluation.metrics import in_bin
from tvnet.evaluation.sentences import Sentences
from tvnet.evaluation.statistics import FEWEST, LEVEL, Row, difference, holm
from tvnet.settings import CONTROLS

FORM = "+.2f"  # of differences
SHOWN = ("prec_0.5", "prec_0.8", "mean_iou", "overall_iou")


def swaps_markdown(sentences: Sentences, row: str) -> str:
    """A trained row under each retrieval control that was measured, and what it gains or loses in
    mean IoU against the retrieved images, on the same seeds."""
    rows = []
    for control in CONTROLS:
        if not sentences.has(f"{row}, {control}"):
            continue
        kept, swapped, images = sentences.pair(row, f"{row}, {control}")
        if not rows:
            rows.append(["retrieved", *_values(kept), "", ""])
        found = difference(kept, swapped, images, "mean_iou")
        rows.append([control, *_values(swapped), interval(found, FORM), f"{found.detectable:.2f}"])
    names = [NAMES[measure] for measure in SHOWN]
    return table(["image", *names, "mean IoU against retrieved", "seen from"], rows)


def slices_markdown(
    sentences: Sentences,
    slices: dict[str, np.ndarray],
    steps: dict[str, tuple[str, str]],
    measures: tuple[str, ...] = ("prec_0.5", "mean_iou"),
) -> str:
    """Differences of `steps`, {heading: (first, second)}, in each slice and in the rest.

    Bold where p stays below 5 % after Holm's correction for all differences of the table. A part
    with fewer than FEWEST pictures is left out.
    """
    parts = {"all": np.ones(len(sentences.sent_id), dtype=bool)}
    for name, inside in slices.items():
        halves = {name: inside, f"not: {name}": ~inside}
        parts |= {n: k for n, k in halves.items() if len(set(sentences.image_id[k])) >= FEWEST}
    keys = [(n, m, h) for n in parts for m in measures for h in steps]
    found = [
        difference(*sentences.only(parts[name]).pair(*steps[heading]), measure)
        for name, measure, heading in keys
    ]
    corrected = dict(zip(keys, holm([d.p for d in found]), strict=True))
    found = dict(zip(keys, found, strict=True))
    rows = []
    for name, keep in parts.items():
        for measure in measures:
            cells = [name, str(keep.sum()), NAMES[measure]]
            for key in ((name, measure, heading) for heading in steps):
                mark = "**" if corrected[key] < LEVEL else ""
                said = interval(found[key], FORM)
                cells += [f"{mark}{said}{mark}", f"{found[key].detectable:.1f}"]
            rows.append(cells)
    columns = [column for heading in steps for column in (heading, "seen from")]
    return table(["part", "sentences", "measure", *columns], rows)


def table3_steps_markdown(steps: dict[str, tuple[str, str]]) -> str:
    """Differences of `steps` in the published runs on each data set that Table 1 does not show,
    small referents and the others apart."""
    measures, tables = ("prec_0.5", "prec_0.8", "overall_iou"), []
    for name in ("unc", "gref", "referit"):
        sentences = Sentences.load(published_file(f"table3_{name}.npz"))
        small = {"small": in_bin(sentences.share, "small")}
        tables += [f"**{name}**", slices_markdown(sentences, small, steps, measures)]
    return "\n\n".join(tables)


def inside_markdown(inside: Inside) -> str:
    """What RES does at each level, and how many pixels another image changes."""
    head = ["level", "entropy of the attention", "gate", "added, of V", "the same at every cell"]
    rows = []
    for n, level in inside.levels.items():
        cells = [str(n), f"{level.entropy:.2f}", f"{level.gate:.2f}"]
        cells += [f"{100 * x:.1f} %" for x in (level.added, level.constant, level.specific)]
        rows.append(cells)
    return table([*head, "changes with the image"], rows) + (
        f"\n\nBetween the retrieved and a random image, {100 * inside.changed:.2f} % of the pixels "
        f"change sides; of those that a mask marks, {100 * inside.of_masks:.1f} %."
    )


def _values(row: Row) -> list[str]:
    return [f"{row.value(measure):.1f}" for measure in SHOWN]
