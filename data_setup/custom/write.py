"""A folder of pictures, masks and sentences -> a data set that everything else accepts."""

import hashlib
import json
import re
from pathlib import Path
from random import Random

from tqdm import tqdm

from data_setup.contact import COLUMNS, ROWS, samples, write_contact_sheet
from data_setup.convert.annotations import refuse
from data_setup.convert.glove import forget_rows
from data_setup.convert.validate import Findings
from data_setup.custom.join import Joined, content
from data_setup.custom.regions import Annotations
from data_setup.custom.sheet import data_sheet, markdown
from data_setup.custom.splits import copies, divided, leaks
from data_setup.custom.table import EVALUATE, TRAIN, Row, read_rows
from data_setup.fetch.sources import SetupError, read_registry
from data_setup.files import sha256_of, write_whole
from data_setup.index import Index, index_path
from data_setup.statistics import write_statistics


def write_custom(folder: Path, root: Path, name: str, turn: bool = False, seed: int = 0) -> str:
    """Make the set `name` of a root from `folder`, and its data sheet; the lines that say so.

    The folder holds pictures with sentences.csv or sentences.json, or an annotation tool's export
    (formats.py) that says the sentences itself; data_setup/README.md shows each. Where no row names
    a split, pictures are divided by `seed`, copies of one together. With `turn`, pictures that an
    EXIF flag turns are kept as turned copies, and masks are taken as drawn on those. Raises
    SetupError, or ContentError that lists every bad row; the root has the set as a whole or not.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9+_-]{0,30}", name) or name in read_registry():
        raise SetupError(f"'{name}' cannot be the name of your data set: choose another --name.")
    if not folder.is_dir():
        raise SetupError(f"There is no folder {folder}: name the one that holds your pictures.")
    findings = Findings()
    annotations = Annotations(folder, root)
    rows = read_rows(folder, annotations.sentences(findings), findings)
    joined = Joined(annotations, turn, findings)
    _join(joined, rows, name)
    refused = root / "reports" / f"{name}.refused.json"
    if findings.problems:
        write_whole(refused, json.dumps(findings.problems, indent=1).encode())
        refuse(name, findings, f" {refused} lists all of them.")
    tables = {row.file for row in rows}
    source = tables.copy().pop() if len(tables) == 1 else folder.name
    groups, leaking, drawn = _settle(joined, seed, source)
    tables |= annotations.used.keys()
    place, made = f"images/{name}", {file: sha256_of(folder / file) for file in sorted(tables)}
    parts = (joined.pictures, joined.referents, joined.masks)
    pictures, referents, masks = (list(part.values()) for part in parts)
    index = Index(name, made, [place], pictures, [[1, "object"]], referents, masks)
    sheet = data_sheet(index, joined, groups, leaking, drawn)
    # names that are no UTF-8, as old archives leave them, are escaped
    page = markdown(sheet).encode("utf-8", "backslashreplace")
    index_path(root, name).unlink(missing_ok=True)  # no set until it is whole again
    for kept, (file, turned) in joined.kept.items():
        copy = content(folder, file, turned)
        write_whole(root / place / kept, copy)
        made[f"{place}/{kept}"] = hashlib.sha256(copy).hexdigest()
    forget_rows(root)
    write_statistics(root, index)
    reports = root / "reports"
    write_whole(reports / f"{name}.json", json.dumps(sheet, indent=1).encode())
    write_whole(reports / f"{name}.md", page)
    write_contact(root, index, joined.remarked)
    index.write(root)
    refused.unlink(missing_ok=True)
    refuse(name, findings, f" {reports / name}.md lists all of them.")  # prints the remarks
    return "\n".join(
        [
            f"{name} is ready in {root}: {len(referents)} referents.",
            *_lines(sheet),
            f"Read {reports / name}.md, and look at {name}.png beside it: it shows the masks as "
            "understood.",
        ]
    )


def _join(joined: Joined, rows: list[Row], name: str) -> None:
    """Add every row; what cannot be used is a problem, once for the sentences of one region."""
    problems = joined.findings.problems
    for row in tqdm(rows, desc=name, unit=" sentences", disable=None):
        try:
            joined.add(row)
        except ValueError as error:
            problem = {"file": row.file, "record": row.place, "reason": str(error)}
            if problems[-1:] != [problem]:
                problems.append(problem)


def _settle(joined: Joined, seed: int, file: str) -> tuple[list[list[str]], list[dict], int | None]:
    """Groups of copies, what leaks between splits, and the seed where the splits came from it."""
    files, findings = list(joined.pictures), joined.findings
    groups = [[files[k] for k in group] for group in copies(joined.thumbnails)]
    referents = list(joined.referents.values())
    drawn = None if all(referent[4] for referent in referents) else seed
    if drawn is not None:
        hashes = {name: sha256_of(joined.annotations.folder / name) for name in files}
        chosen = divided([[hashes[name] for name in group] for group in groups], seed)
        split_of = {f: split for group, split in zip(groups, chosen, strict=True) for f in group}
        for referent in referents:
            referent[4] = split_of[files[referent[2] - 1]]
        findings.remark(file, "it", f"names no split, so seed {seed} divides the pictures")
    leaking = leaks(groups, ((files[referent[2] - 1], referent[4]) for referent in referents))
    for leak in leaking:
        same = " = ".join(f"'{name}'" for name in leak["pictures"])
        reason = f"is in the splits {' and '.join(leak['splits'])}"
        findings.remark(file, f"picture {same}", reason)
    for split, use in ((TRAIN, "trains on"), (EVALUATE, "evaluates on")):
        if split not in {referent[4] for referent in referents}:
            reason = f"has no row; `DataSettings` {use} it unless another is named"
            findings.remark(file, f"split '{split}'", reason)
    return groups, leaking, drawn


def write_contact(root: Path, index: Index, remarked: dict[int, str]) -> None:
    """reports/NAME.png of a data root: 24 referents, those whose mask is `remarked` on first."""
    rows = list(index.referents)
    Random(0).shuffle(rows)
    rows = sorted(rows, key=lambda row: row[1] not in remarked)[: ROWS * COLUMNS]
    title = f"{index.name}: {len(rows)} of {len(index.referents)} referents"
    title += ", masks with a remark first" if remarked else ""
    columns = (rows[k::COLUMNS] for k in range(COLUMNS))  # read from left to right
    write_contact_sheet(
        root / "reports" / f"{index.name}.png",
        ((title * (k == 0), samples(root, index, c, remarked)) for k, c in enumerate(columns)),
        tint=0.5,  # so that swapped masks are seen
    )


def _lines(sheet: dict) -> list[str]:
    """A line for each split: its counts, and the share of its words that `train` lacks."""
    lines = []
    for split, found in sheet["splits"].items():
        line = f"  {split}: {found['referents']} referents, {found['images']} pictures, "
        line += f"{found['expressions']} sentences"
        if split != TRAIN and TRAIN in sheet["splits"]:
            line += f"; {found['words_unknown_to_train']:.1%} of its words are not in "
            line += f"{TRAIN} and become <unk>"
        lines.append(line)
    return lines
