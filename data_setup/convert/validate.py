"""Checks of annotations, before anything decodes them, and of pictures, with id and reason."""

import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from data_setup.convert.segmentations import area, fault
from data_setup.fetch.sources import ContentError
from data_setup.index import Index
from data_setup.pictures import opened

MAX_SIDE = 20_000  # pixels
CONTROL = ("Cc", "Cs", "Zl", "Zp")  # of Unicode: no text, and half pairs that no file can hold
MAX_ID = 1 << 62  # what later lies in arrays of 64 bits
MOST_SHOWN = 20  # problems in a message; the report holds all


@dataclass
class Findings:
    """`problems` make a data set unusable; `remarks` are kept as they are, and said."""

    problems: list[dict] = field(default_factory=list)
    remarks: list[dict] = field(default_factory=list)

    def problem(self, file: str, record: Any, reason: str) -> None:
        self.problems.append({"file": file, "record": record, "reason": reason})

    def remark(self, file: str, record: Any, reason: str) -> None:
        self.remarks.append({"file": file, "record": record, "reason": reason})

    def summary(self) -> str:
        """The first problems in one line each."""
        lines = [f"  {p['file']}: {p['record']} {p['reason']}" for p in self.problems[:MOST_SHOWN]]
        more = len(self.problems) - len(lines)
        return "\n".join(lines + [f"  and {more} more"] * (more > 0))

    def remark_summary(self) -> str:
        """The first remark of each kind in one line, and how many there are like it."""
        kinds: dict[str, list[dict]] = {}
        for remark in self.remarks:
            kinds.setdefault(re.sub(r"\d+|[(].*[)]", "", remark["reason"]), []).append(remark)
        return "\n".join(
            f"  {first['file']}: {first['record']} {first['reason']}"
            + f" (and {len(more)} more like it)" * bool(more)
            for first, *more in kinds.values()
        )


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
    return (
        name.isprintable()
        and not {"", ".", ".."} & set(name.split("/"))
        and not set('\\:*?"<>|') & set(name)
    )


def categories(entries: Any, file: str, findings: Findings) -> dict[int, str]:
    """id -> name of the usable entries of `categories`."""
    found = {}
    for key, entry in _by_id(entries, "category", file, findings).items():
        if isinstance(entry.get("name"), str) and entry["name"].isprintable():
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
        note = findings.problem if key in wanted else findings.remark
        picture = sizes.get(entry.get("image_id")) if type(entry.get("image_id")) is int else None
        if picture is None:
            note(file, f"annotation {key}", f"lies in no known image ({entry.get('image_id')!r})")
            continue
        height, width = picture[3], picture[2]
        reason = fault(entry.get("segmentation"), height, width)
        if not reason and key in wanted and not area(entry["segmentation"], height, width):
            reason = "has an empty mask: its segmentation covers no pixel"
        if reason:
            note(file, f"annotation {key}", reason)
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
        if type(key) is not int or abs(key) >= MAX_ID:
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
    masks: dict[int, dict],
    file: str,
    findings: Findings,
) -> None:
    """Every id of a referent must resolve; `masks` are the annotations by their ids."""
    for ref_id, ann_id, image_id, category_id, _, sentences in rows:
        name = f"referent {ref_id}"
        if image_id not in sizes:
            findings.problem(file, name, f"points to image {image_id}, which is not there")
        elif ann_id not in masks:
            findings.problem(file, name, f"points to annotation {ann_id}, which is not usable")
        elif masks[ann_id]["image_id"] != image_id:
            where = f"in image {masks[ann_id]['image_id']}, not {image_id}"
            findings.problem(file, name, f"points to annotation {ann_id} {where}")
        elif category_id not in names:
            findings.problem(file, name, f"points to category {category_id}, which is not there")
        elif masks[ann_id].get("category_id") != category_id:
            other = f"{masks[ann_id].get('category_id')!r:.20}"
            findings.remark(file, name, f"has category {category_id}, its annotation {other}")
        clean(sentences, file, findings)


def clean(sentences: list[list], file: str, findings: Findings) -> None:
    """Make [sent_id, text] printable in place: a terminal would obey an escape character."""
    for sentence in sentences:
        sent_id, text = sentence
        odd = {c for c in text if not c.isprintable() and unicodedata.category(c) in CONTROL}
        if odd:
            shown = ", ".join(f"U+{ord(c):04X}" for c in sorted(odd)[:5])
            findings.remark(file, f"sentence {sent_id}", f"holds {shown}, now blank")
            sentence[1] = text = text.translate(dict.fromkeys(map(ord, odd), " "))
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
            counted = f"{found.get(split)} [referents, images, expressions]"
            findings.problem(file, f"split {split}", f"has {counted}, not {due.get(split)}")


def audit_pictures(root: Path, index: Index, findings: Findings) -> None:
    """Open the header of every picture: what is missing, damaged or of another size is a problem.

    Sizes are those of the stored pixels: an EXIF turn is not applied, as masks are not turned.
    """
    stream = _stream(root, index)
    for image_id, name, width, height in index.pictures:
        record = f"image {image_id} ('{name}')"
        try:
            with stream(name) as file, opened(file) as picture:
                if picture.size != (width, height):
                    found = f"{picture.width}x{picture.height}"
                    findings.problem(index.name, record, f"is {found}, not {width}x{height}")
                elif picture.mode[0] in "IF":
                    reason = f"has the mode {picture.mode}, not 8 bits a channel"
                    findings.problem(index.name, record, reason)
        except (FileNotFoundError, KeyError):
            findings.problem(index.name, record, "is missing")
        except ValueError as error:
            findings.problem(index.name, record, str(error))
        except Exception as error:  # damaged archives raise many kinds
            findings.problem(index.name, record, f"cannot be opened ({error!r:.80})")


def _stream(root: Path, index: Index) -> Callable[[str], BinaryIO]:
    """How to reach a picture: in the first folder of `pictures_in` that is there, or in the zip."""
    for place in index.pictures_in:
        if (root / place).is_dir():
            return lambda name: (root / place / name).open("rb")
        before, ending, inside = place.partition(".zip")
        archive = root / (before + ending)
        if ending and archive.is_file():
            zipped = zipfile.ZipFile(archive)
            return lambda name: zipped.open(f"{inside}/{name}".strip("/"))  # noqa: B023
    raise ContentError(f"There are no pictures of {index.name} in {root}.")
