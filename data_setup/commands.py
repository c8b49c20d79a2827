"""plan, fetch, verify, status, clean: what the command line does, one function each."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from data_setup.convert import annotations, glove, referit, validate
from data_setup.convert.audit import audit_pictures
from data_setup.convert.validate import Findings
from data_setup.fetch import parts
from data_setup.fetch.download import download
from data_setup.fetch.progress import Progress, megabytes
from data_setup.fetch.sources import (
    ContentError,
    DataSet,
    DiskError,
    NetworkError,
    SetupError,
    Source,
)
from data_setup.files import is_there, sha256_of
from data_setup.index import Index, read_index
from data_setup.statistics import write_statistics

RESERVE = 0.05  # of what is loaded, kept free on top
TRUST = (
    "nobody publishes its hash, so the first use is trusted",
    "its hash is stated by one public place",
    "its hash is stated by two or more public places",
)


def sources_of(sets: Iterable[DataSet], root: Path) -> list[Source]:
    """The files of some sets, each once; pictures that lie unpacked in the root need no archive."""
    found = {}
    for chosen in sets:
        for source in chosen.sources:
            unpacked = chosen.unpacked and source is chosen.sources[-1]
            if not (unpacked and (root / chosen.unpacked).is_dir()):
                found[source.name] = source
    return list(found.values())


def missing(sets: Iterable[DataSet], root: Path) -> list[Source]:
    """The files that are not there; IntegrityError when one is there and wrong."""
    return [source for source in sources_of(sets, root) if not is_there(source, root)]


def plan(sets: list[DataSet], root: Path) -> None:
    """Print bytes, disk, sources and licences. Loads nothing and asks nothing."""
    load, unknown = 0, 0
    for source in sources_of(sets, root):
        size = source.size or source.about
        there = source.path(root).is_file()
        load += 0 if there else (size or 0) - min(size or 0, parts.waiting(source.path(root)))
        unknown += size is None and not there
        state = "is there" if there else "to load"
        shown = megabytes(size) if size else "size unknown"
        print(f"{source.folder}/{source.name}: {shown}, {state}; {TRUST[source.stated_by]}")
        print(f"  licence: {source.licence}")
        for url in source.urls:
            print(f"  from: {url}")
    more = f", and {unknown} files of unknown size" if unknown else ""
    print(f"To load: {megabytes(load)}{more}.")
    print(f"Disk needed: {megabytes(load * (1 + RESERVE))}; free: {megabytes(_free(root))}.")


def custom_sets(root: Path, registered: Iterable[str]) -> list[str]:
    """The data sets of a root that no registry names: those that `own` has made."""
    return sorted({path.stem for path in (root / "index").glob("*.json")} - set(registered))


def fetch(sets: list[DataSet], root: Path, offline: bool = False) -> None:
    """Bring a root into the state that the sets ask for; what is there already is left alone.

    May be stopped at any point and started again. Raises SetupError.
    """
    lacking = missing(sets, root)
    if lacking and offline:
        raise NetworkError("\n".join(source.by_hand(root) for source in lacking))
    _check_disk(lacking, root)
    for source in lacking:
        target = source.path(root)
        print(f"{source.name}: licence: {source.licence}", flush=True)
        with Progress(source.name, source.size or source.about) as progress:
            download(source, target, progress)
    for chosen in sorted(sets, key=lambda chosen: chosen.kind == "glove"):  # its words come last
        if chosen.kind in ("refer", "lists"):
            _make_index(chosen, root)
        elif chosen.kind == "glove":
            _make_rows(chosen, root)
        print(f"{chosen.name} is ready in {root}.", flush=True)
    parts.clean(root)


def _make_index(chosen: DataSet, root: Path) -> None:
    index = read_index(root, chosen.name)
    if index is None or index.made_from != annotations.inputs(chosen, root):
        make = annotations.from_archive if chosen.kind == "refer" else referit.from_tar
        index = make(chosen, root)
        glove.forget_rows(root)
        write_statistics(root, index)  # before the index, which says that all is done
        index.write(root)


def _make_rows(chosen: DataSet, root: Path) -> None:
    names = sorted(path.stem for path in (root / "index").glob("*.json"))
    words = glove.words_of(index for name in names if (index := read_index(root, name)))
    if not words:
        raise SetupError(
            f"There are no sentences in {root} whose words could be kept: fetch a data set first."
        )
    glove.write_rows(root, chosen.sources[0].path(root), words)


def verify(sets: list[DataSet], own: list[str], root: Path) -> None:
    """Hash every file again, count every split again, open the header of every picture.

    `own` names custom data sets; their pictures are hashed one by one. Continues after a
    failure; at the end raises the first one with the sentences of all.
    """
    failures: list[SetupError] = []
    for source in sources_of(sets, root):
        try:
            with Progress(source.name, source.size) as progress:
                if not is_there(source, root, deep=True, report=progress):
                    raise ContentError(f"{source.path(root)} is missing: fetch it.")
            print(f"{source.folder}/{source.name}: its hash is right.", flush=True)
        except SetupError as error:
            failures.append(error)
    checks = [(_verify_index, chosen) for chosen in sets if chosen.kind in ("refer", "lists")]
    for check, chosen in [*checks, *((_verify_custom, name) for name in own)]:
        try:
            check(chosen, root)
        except SetupError as error:
            failures.append(error)
    if failures:
        raise type(failures[0])("\n".join(str(error) for error in failures))


def _verify_index(chosen: DataSet, root: Path) -> None:
    index = read_index(root, chosen.name)
    if index is None:
        raise ContentError(f"{root} holds no index of {chosen.name}: fetch it.")
    findings = Findings()
    if index.made_from != annotations.inputs(chosen, root):
        findings.problem("index", chosen.name, "was made from other files: fetch it again")
    validate.compare(validate.counts(index.referents), chosen.counts, "index", findings)
    audit_pictures(root, index, findings)
    annotations.refuse(chosen.name, findings)
    _tell_counts(index)


def _tell_counts(index: Index) -> None:
    found = validate.counts(index.referents)
    listed = "; ".join(f"{split} {n[0]}/{n[1]}/{n[2]}" for split, n in found.items())
    print(f"{index.name}: referents/images/expressions {listed}; {len(index.pictures)} pictures.")


def _custom_index(name: str, root: Path) -> Index:
    index = read_index(root, name)
    if index is None:
        raise ContentError(f"The index of {name} in {root} has another format: run `own` again.")
    return index


def _verify_custom(name: str, root: Path) -> None:
    index = _custom_index(name, root)
    findings = Findings()
    audit_pictures(root, index, findings)
    found_already = {problem["record"] for problem in findings.problems}
    for image_id, file, _, _ in index.pictures:
        record = f"image {image_id} ('{file}')"
        path = f"{index.pictures_in[0]}/{file}"
        if record not in found_already and sha256_of(root / path) != index.made_from.get(path):
            findings.problem(name, record, "is not the file that `own` has copied: run it again")
    annotations.refuse(name, findings)
    _tell_counts(index)


def status(sets: list[DataSet], own: list[str], root: Path) -> None:
    """Print what is there of each set, without hashing anything again."""
    for name in own:
        index = _custom_index(name, root)
        place = root / index.pictures_in[0]
        there = sum((place / picture[1]).is_file() for picture in index.pictures)
        print(f"{name}: your own, {there} of {len(index.pictures)} pictures there, index made")
    for chosen in sets:
        listed = []
        for source in sources_of([chosen], root):
            target = source.path(root)
            begun = parts.waiting(target)
            state = "there" if target.is_file() else "missing"
            if state == "missing" and begun:
                state = f"begun, {megabytes(begun)}"
            listed.append(f"{source.name} {state}")
        if chosen.kind in ("refer", "lists"):
            made = read_index(root, chosen.name) is not None
            listed.append("index made" if made else "index missing")
        print(f"{chosen.name}: {', '.join(listed)}")


def clean(root: Path) -> None:
    """Remove what interrupted runs have left; finished files stay."""
    print(f"Removed {parts.clean(root)} leftovers in {root}.")


def _free(root: Path) -> int:
    there = next(path for path in (root, *root.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _check_disk(lacking: list[Source], root: Path) -> None:
    due = sum(
        max(0, (source.size or source.about or 0) - parts.waiting(source.path(root)))
        for source in lacking
    )
    needed, free = int(due * (1 + RESERVE)), _free(root)
    if needed > free:
        raise DiskError(
            f"{megabytes(needed)} are needed in {root}, but {megabytes(free)} are free: make room "
            "or choose another --root."
        )
