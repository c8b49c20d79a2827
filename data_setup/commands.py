"""plan, fetch, verify, status, clean: what the command line does, one function each."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from data_setup.convert import annotations, glove, referit, validate
from data_setup.convert.validate import Findings
from data_setup.fetch import parts
from data_setup.fetch.download import download
from data_setup.fetch.sources import (
    ContentError,
    DataSet,
    DiskError,
    NetworkError,
    SetupError,
    Source,
)
from data_setup.files import is_there, sha256_of
from data_setup.index import Index, indexed, read_index
from data_setup.statistics import write_statistics
from data_setup.words import pieces

RESERVE = 0.05  # of what is loaded, kept free on top
TRUST = (
    "nobody publishes its hash, so the first use is trusted",
    "its hash is stated by one public place",
    "its hash is stated by two or more public places",
)
EVERY = 10.0  # seconds between two plain lines, and before the first
LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}"


def sources_of(sets: Iterable[DataSet], root: Path) -> list[Source]:
    """The files of some sets, each once; pictures that lie unpacked in the root need no archive."""
    found = {}
    for chosen in sets:
        for source in chosen.sources:
            unpacked = chosen.unpacked and source is chosen.sources[-1]
            if not (unpacked and (root / chosen.unpacked).is_dir()):
                found[source.name] = source
    return list(found.values())


def plan(sets: list[DataSet], root: Path) -> None:
    """Print bytes, disk, sources and licences. Loads nothing and asks nothing."""
    lacking = []
    for source in sources_of(sets, root):
        size = source.size or source.about
        lacking += [source] * (not source.path(root).is_file())
        state = "to load" if source in lacking else "is there"
        shown = megabytes(size) if size else "size unknown"
        print(f"{source.folder}/{source.name}: {shown}, {state}; {TRUST[source.stated_by]}")
        print(f"  licence: {source.licence}")
        for url in source.urls:
            print(f"  from: {url}")
    unknown = sum(not (source.size or source.about) for source in lacking)
    more = f", and {unknown} files of unknown size" if unknown else ""
    load = _to_load(lacking, root)
    print(f"To load: {megabytes(load)}{more}.")
    print(f"Disk needed: {megabytes(load * (1 + RESERVE))}; free: {megabytes(_free(root))}.")


def fetch(sets: list[DataSet], root: Path, offline: bool = False) -> None:
    """Bring a root into the state that the sets ask for; what is there already is left alone.

    May be stopped at any point and started again. Raises SetupError.
    """
    lacking = [source for source in sources_of(sets, root) if not is_there(source, root)]
    if lacking and offline:
        raise NetworkError("\n".join(source.by_hand(root) for source in lacking))
    needed, free = _to_load(lacking, root) * (1 + RESERVE), _free(root)
    if needed > free:
        raise DiskError(
            f"{megabytes(needed)} are needed in {root}, but {megabytes(free)} are free: make room "
            "or choose another --root."
        )
    for source in lacking:
        print(f"{source.name}: licence: {source.licence}", flush=True)
        with Progress(source.name, source.size or source.about) as progress:
            download(source, source.path(root), progress)
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
    indexes = (index for name in indexed(root) if (index := read_index(root, name)))
    texts = (text for index in indexes for row in index.referents for _, text in row[5])
    words = sorted({piece for text in texts for piece in pieces(text)})
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
    checks = [(_verify_file, source) for source in sources_of(sets, root)]
    checks += [(_verify_index, chosen) for chosen in sets if chosen.kind in ("refer", "lists")]
    checks += [(_verify_custom, name) for name in own]
    failures = []
    for check, what in checks:
        try:
            check(what, root)
        except SetupError as error:
            failures.append(error)
    if failures:
        raise type(failures[0])("\n".join(str(error) for error in failures))


def _verify_file(source: Source, root: Path) -> None:
    with Progress(source.name, source.size) as progress:
        if not is_there(source, root, deep=True, report=progress):
            raise ContentError(f"{source.path(root)} is missing: fetch it.")
    print(f"{source.folder}/{source.name}: its hash is right.", flush=True)


def _verify_index(chosen: DataSet, root: Path) -> None:
    index = read_index(root, chosen.name)
    if index is None:
        raise ContentError(f"{root} holds no index of {chosen.name}: fetch it.")
    findings = Findings()
    if index.made_from != annotations.inputs(chosen, root):
        findings.problem("index", chosen.name, "was made from other files: fetch it again")
    validate.compare(validate.counts(index.referents), chosen.counts, "index", findings)
    validate.audit_pictures(root, index, findings)
    _print_counts(index, findings)


def _verify_custom(name: str, root: Path) -> None:
    index, findings = _custom_index(name, root), Findings()
    validate.audit_pictures(root, index, findings)
    found_already = {problem["record"] for problem in findings.problems}
    for image_id, file, _, _ in index.pictures:
        record = f"image {image_id} ('{file}')"
        path = f"{index.pictures_in[0]}/{file}"
        if record not in found_already and sha256_of(root / path) != index.made_from.get(path):
            findings.problem(name, record, "is not the file that `own` has copied: run it again")
    _print_counts(index, findings)


def _print_counts(index: Index, findings: Findings) -> None:
    """The counts of a verified index; ContentError where there are problems."""
    annotations.refuse(index.name, findings)
    found = validate.counts(index.referents)
    listed = "; ".join(f"{split} {n[0]}/{n[1]}/{n[2]}" for split, n in found.items())
    print(f"{index.name}: referents/images/expressions {listed}; {len(index.pictures)} pictures.")


def _custom_index(name: str, root: Path) -> Index:
    index = read_index(root, name)
    if index is None:
        raise ContentError(f"The index of {name} in {root} has another format: run `own` again.")
    return index


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
            begun = parts.waiting(source.path(root))
            missing = f"begun, {megabytes(begun)}" if begun else "missing"
            listed.append(f"{source.name} {'there' if source.path(root).is_file() else missing}")
        if chosen.kind in ("refer", "lists"):
            listed.append("index made" if read_index(root, chosen.name) else "index missing")
        print(f"{chosen.name}: {', '.join(listed)}")


def clean(root: Path) -> None:
    """Remove what interrupted runs have left; finished files stay."""
    print(f"Removed {parts.clean(root)} leftovers in {root}.")


class Progress(tqdm):
    """How far a file is: a bar on a terminal, a plain line now and then elsewhere.

    Call it with the bytes that are there; use it in a `with`.
    """

    def __init__(self, name: str, total: int | None):
        shown = {"desc": name, "total": total, "unit": "B", "unit_scale": True}
        if not sys.stderr.isatty():
            line = LINE + ", {remaining} left" * bool(total) + "\n"
            shown |= {"mininterval": EVERY, "delay": EVERY, "bar_format": line, "leave": False}
        super().__init__(**shown)

    def __call__(self, have: int) -> None:
        if not self.n or have < self.n:  # the rate counts from what an earlier run has left
            self.n = self.initial = self.last_print_n = have
        else:
            self.update(have - self.n)


def megabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _to_load(lacking: list[Source], root: Path) -> int:
    """Bytes of some files that are not there, less those that wait in parts."""
    left = ((s.size or s.about or 0) - parts.waiting(s.path(root)) for s in lacking)
    return sum(max(0, count) for count in left)


def _free(root: Path) -> int:
    there = next(path for path in (root, *root.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
