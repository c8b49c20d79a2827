"""Checks of annotations before anything decodes them: every odd record with id and reason."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

MAX_SIDE = 20_000  # pixels
MOST_TOLD = 20  # problems in a message; the report holds all


@dataclass
class Findings:
    """`problems` make a data set unusable; `remarks` are kept as they are, and said."""

    problems: list[dict] = field(default_factory=list)
    remarks: list[dict] = field(default_factory=list)

    def problem(self, file: str, record: Any, reason: str) -> None:
        self.problems.append({"file": file, "record": record, "reason": reason})

    def remark(self, file: str, record: Any, reason: str) -> None:
        self.remarks.append({"file": file, "record": record, "reason": reason})

    def told(self) -> str:
        """The first problems in one line each."""
        lines = [f"  {p['file']}: {p['record']} {p['reason']}" for p in self.problems[:MOST_TOLD]]
        more = len(self.problems) - len(lines)
        return "\n".join(lines + [f"  and {more} more"] * (more > 0))


def pictures(entries: Any, file: str, findings: Findings) -> dict[int, list]:
    """id -> [id, file_name, width, height] of the usable entries of `images`."""
    found: dict[int, list] = {}
    for key, entry in _by_id(entries, "image", file, findings).items():
        name, width, height = (entry.get(k) for k in ("file_name", "width", "height"))
        if not isinstance(name, str) or not is_plain(name):
            findings.problem(file, f"image {key}", f"has the file name {name!r:.60}")
        elif not all(type(side) is int and 1 <= side <= MAX_SIDE for side in (width, height)):
            findings.problem(file, f"image {key}", f"is {width!r:.20}x{height!r:.20} pixels")
        else:
            found[key] = [key, name, width, height]
    return found


def is_plain(name: str) -> bool:
    """Whether a name stays inside its folder on every platform."""
    parts = PurePosixPath(name).parts
    return (
        name.isprintable()
        and bool(parts)
        and not name.startswith("/")
        and not any(part in ("..", ".") for part in parts)
        and not set('\\:*?"<>|') & set(name)
    )


def categories(entries: Any, file: str, findings: Findings) -> dict[int, str]:
    """id -> name of the usable entries of `categories`."""
    found = {}
    for key, entry in _by_id(entries, "category", file, findings).items():
        if isinstance(entry.get("name"), str):
            found[key] = entry["name"]
        else:
            findings.problem(file, f"category {key}", "has no usable 'name'")
    return found


def annotations(
    entries: Any, wanted: set[int], sizes: dict[int, list], file: str, findings: Findings
) -> dict[int, dict]:
    """id -> annotation of those that something refers to, their segmentations checked.

    What nothing refers to is checked as well, and only remarked upon.
    """
    found = {}
    for key, entry in _by_id(entries, "annotation", file, findings).items():
        tell = findings.problem if key in wanted else findings.remark
        picture = sizes.get(entry.get("image_id")) if type(entry.get("image_id")) is int else None
        if picture is None:
            tell(file, f"annotation {key}", f"lies in no known image ({entry.get('image_id')!r})")
            continue
        reason = fault(entry.get("segmentation"), picture[3], picture[2])
        if reason:
            tell(file, f"annotation {key}", reason)
        elif key in wanted:
            found[key] = entry
            if entry.get("iscrowd") == 1:
                findings.remark(file, f"annotation {key}", "is a crowd and is referred to")
    return found


def _by_id(entries: Any, what: str, file: str, findings: Findings) -> dict[int, dict]:
    if not isinstance(entries, list):
        findings.problem(file, what, "has no list")
        return {}
    found: dict[int, dict] = {}
    for number, entry in enumerate(entries):
        key = entry.get("id") if isinstance(entry, dict) else None
        if type(key) is not int:
            findings.problem(file, f"{what} entry {number}", "has no usable 'id'")
        elif key in found:
            findings.problem(file, f"{what} {key}", "stands twice")
        else:
            found[key] = entry
    return found


def referents(
    rows: list[list],
    sizes: dict[int, list],
    names: dict[int, str],
    masks: dict[int, int],
    file: str,
    findings: Findings,
) -> None:
    """Every id of a referent must resolve; `masks` gives the image of each annotation."""
    for ref_id, ann_id, image_id, category_id, _, sentences in rows:
        name = f"referent {ref_id}"
        if image_id not in sizes:
            findings.problem(file, name, f"points to image {image_id}, which is not there")
        elif ann_id not in masks:
            findings.problem(file, name, f"points to annotation {ann_id}, which is not usable")
        elif masks[ann_id] != image_id:
            where = f"in image {masks[ann_id]}, not {image_id}"
            findings.problem(file, name, f"points to annotation {ann_id} {where}")
        elif category_id not in names:
            findings.problem(file, name, f"points to category {category_id}, which is not there")
        for sent_id, text in sentences:
            if not text.strip():
                findings.remark(file, f"sentence {sent_id}", "is empty and becomes <unk>")


def counts(rows: list[list]) -> dict[str, list[int]]:
    """split -> [referents, images, expressions]."""
    refs, images, texts = Counter(), {}, Counter()
    for _, _, image_id, _, split, sentences in rows:
        refs[split] += 1
        images.setdefault(split, set()).add(image_id)
        texts[split] += len(sentences)
    return {split: [refs[split], len(images[split]), texts[split]] for split in sorted(refs)}


def compare(found: dict, due: dict | None, file: str, findings: Findings) -> None:
    """The second check: what a data set must count where its numbers are published."""
    for split in sorted({*found, *due} if due else ()):
        if found.get(split) != due.get(split):
            findings.problem(
                file,
                f"split {split}",
                f"has {found.get(split)} [referents, images, expressions], not {due.get(split)}",
            )


# ---- segmentations ----


def fault(segmentation: Any, height: int, width: int) -> str:
    """What is wrong with a COCO segmentation of an image of this size, or nothing.

    Stricter than COCO's own library, which trusts its input: it reads beyond its memory.
    """
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    if not parts:
        return "has an empty segmentation"
    for part in parts:
        reason = (
            _runs_fault(part, height, width)
            if isinstance(part, dict)
            else _polygon_fault(part, height, width)
        )
        if reason:
            return reason
    return ""


def _polygon_fault(points: Any, height: int, width: int) -> str:
    if not isinstance(points, list) or not all(type(x) in (int, float) for x in points):
        return f"has a polygon that is no list of numbers ({type(points).__name__})"
    if len(points) < 6 or len(points) % 2:
        return f"has a polygon of {len(points)} numbers, not of three or more x, y pairs"
    if not all(abs(x) < 1e9 and math.isfinite(x) for x in points):
        return "has a polygon with endless coordinates"
    for axis, side in ((points[::2], width), (points[1::2], height)):
        # true polygons reach a little over the border
        if min(axis) < -side or max(axis) > 2 * side:
            return f"has a polygon from {min(axis):g} to {max(axis):g} on a side of {side}"
    return ""


def _runs_fault(part: dict, height: int, width: int) -> str:
    size, runs = part.get("size"), part.get("counts")
    if not isinstance(size, list) or size != [height, width] or bool in map(type, size):
        return f"has run lengths of size {size!r:.40}, not {[height, width]}"
    if isinstance(runs, str):
        runs = unpack(runs)
    if not isinstance(runs, list) or not all(type(n) is int and n >= 0 for n in runs):
        return "has run lengths that are no whole numbers from 0"
    if sum(runs) != height * width:
        return f"has run lengths that sum to {sum(runs):.6g}, not {height * width}"
    return ""


def unpack(text: str) -> list[int] | None:
    """COCO's compressed run lengths as numbers; None when the text is none of them."""
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("utf-8", "replace"):
        code -= 48
        if not 0 <= code < 64 or shift > 30:
            return None
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs if shift == 0 else None
