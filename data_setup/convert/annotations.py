"""Annotations as they are published -> the typed index, once."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

from data_setup.convert import validate
from data_setup.convert.members import read_member, table
from data_setup.convert.unpickle import referents as unpickled
from data_setup.convert.validate import Findings
from data_setup.fetch.sources import ContentError, DataSet
from data_setup.files import recorded, sha256_of, write_whole
from data_setup.index import Index

VERSION = 2  # raise it when the same archives give another index


def from_archive(chosen: DataSet, root: Path) -> Index:
    """The index of a set whose annotations lie in an archive of the `refer` format.

    Raises ContentError, with the report's path, when a record or a count is wrong.
    """
    archive = chosen.sources[0].path(root)
    contents = {name: read_member(archive, name, most) for name, most in chosen.members.items()}
    findings = Findings()
    index = refer_index(chosen.name, contents, findings, chosen.joins)
    return finished(index, chosen, root, list(contents)[1], findings)


def finished(index: Index, chosen: DataSet, root: Path, file: str, findings: Findings) -> Index:
    """An index with its pictures found, its splits counted and its findings reported."""
    index = located(index, chosen, root, findings)
    validate.audit_pictures(root, index, findings)
    validate.compare(validate.counts(index.referents), chosen.counts, file, findings)
    report(root, chosen.name, findings)
    return replace(index, made_from=inputs(chosen, root))


def inputs(chosen: DataSet, root: Path) -> dict[str, str]:
    """What an index of this set would be made from: file -> sha256, and our own version of it."""
    found = {"conversion": str(VERSION)}
    for source in chosen.sources:
        path = source.path(root)
        if path.is_file():
            found[f"{source.folder}/{source.name}"] = recorded(path) or sha256_of(path)
    return found


def refer_index(
    name: str, contents: dict[str, bytes], findings: Findings, joins: dict[str, str] | None = None
) -> Index:
    """Join instances.json and refs(*).p, in this order; what does not fit goes into the findings.

    Raises ContentError naming the file that cannot be read at all.
    """
    (file, instances), (refs_file, pickle) = contents.items()
    found = json_object(instances, file)
    try:
        read = unpickled(pickle)
    except ValueError as error:
        raise ContentError(f"{refs_file} of {name} cannot be read: {error}.") from error
    for record, reason in read["problems"]:
        findings.problem(refs_file, f"referent {record}", reason)
    rows = [[*r[:4], (joins or {}).get(r[4], r[4]), r[5]] for r in read["refs"]]
    pictures = validate.pictures(found.get("images"), file, findings)
    names = validate.categories(found.get("categories"), file, findings)
    wanted = {row[1] for row in rows}
    masks = validate.annotations(found.get("annotations"), wanted, pictures, file, findings)
    validate.referents(rows, pictures, names, masks, refs_file, findings)
    kept = {ann_id: masks[ann_id] for _, ann_id, *_ in rows if ann_id in masks}
    runs = [[i, int(a.get("iscrowd") == 1), a["segmentation"]] for i, a in kept.items()]
    categories = list(map(list, names.items()))
    return Index(name, {}, [], list(pictures.values()), categories, rows, runs)


def json_object(content: bytes, file: str) -> dict:
    """The object in a JSON file. Raises ContentError."""
    try:
        found = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        return found
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{file} is damaged: {error}.") from error


def located(index: Index, chosen: DataSet, root: Path, findings: Findings) -> Index:
    """The index with the places of its pictures, and the names they have there.

    Every referred picture that is missing is a problem, all at once; another one is left out.
    """
    source = chosen.sources[1]
    archive, unpacked = source.path(root), root / (chosen.unpacked or "nowhere")
    places = [chosen.unpacked] if chosen.unpacked else []
    places.append("/".join(filter(None, (f"{source.folder}/{source.name}", chosen.inside))))
    if unpacked.is_dir():
        names = [path.name for path in unpacked.iterdir()]
    else:
        prefix = f"{chosen.inside}/" if chosen.inside else ""
        names = [n.removeprefix(prefix) for n in table(archive) if n.startswith(prefix)]
    ending: dict[str, list[str]] = {}
    for name in names:
        ending.setdefault(PurePosixPath(name).name, []).append(name)
    wanted = {row[2] for row in index.referents}
    found = []
    for image_id, name, width, height in index.pictures:
        there = ending.get(PurePosixPath(name).name, [])
        there = [n for n in there if f"/{n}".endswith(f"/{name}") or f"/{name}".endswith(f"/{n}")]
        if len(there) > 1:  # SAIAPR has pictures of the segmented regions under the same names
            there = [n for n in there if PurePosixPath(n).parent.name == "images"]
        if len(there) == 1:
            found.append([image_id, there[0], width, height])
        else:
            note = findings.problem if image_id in wanted else findings.remark
            why = "is there more than once" if there else "is missing"
            note(archive.name, f"image {image_id} ('{name}')", why)
    return replace(index, pictures_in=places, pictures=found)


def report(root: Path, name: str, findings: Findings) -> None:
    """Write every finding to reports/NAME.json, then refuse when one is a problem."""
    path = root / "reports" / f"{name}.json"
    content = {"problems": findings.problems, "remarks": findings.remarks}
    write_whole(path, json.dumps(content, indent=1).encode())
    refuse(name, findings, f" {path} lists all of them.")


def refuse(name: str, findings: Findings, more: str = "") -> None:
    """ContentError with the first problems; where there is none, the remarks are printed."""
    problems, remarks = len(findings.problems), len(findings.remarks)
    if problems:
        raise ContentError(
            f"{name} has {problems} records that are wrong.{more}\n{findings.summary()}"
        )
    if remarks:
        print(f"{name} is taken with {remarks} remarks.{more}\n{findings.remark_summary()}")
