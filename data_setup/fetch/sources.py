"""The registry: what there is to fetch, from where, how large it is and how it is known."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

import yaml

REGISTRY = Path(__file__).with_name("sources.yaml")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where it is built: ten times as fast
KINDS = ("refer", "lists", "files", "glove")


class SetupError(Exception):
    """One sentence for the reader, and the exit code of the command line."""

    code = 2

    def __str__(self) -> str:
        """Printable: it may hold what a server, an archive or a file's name says."""
        text = super().__str__()
        shown = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        return "".join(shown)


class DiskError(SetupError):
    code = 3


class NetworkError(SetupError):
    code = 4


class IntegrityError(SetupError):
    code = 5


class ContentError(SetupError):
    code = 6


@dataclass(frozen=True)
class Source:
    """One file of the registry. `sha256` is None where the first download is trusted."""

    name: str
    folder: str
    size: int | None
    sha256: str | None
    urls: tuple[str, ...]
    licence: str
    about: int | None = None  # bytes to plan with where the size is unknown
    stated_by: int = 0

    def path(self, root: Path) -> Path:
        return root / self.folder / self.name

    def by_hand(self, root: Path) -> str:
        """What to place where, for a machine that fetches nothing."""
        size = f"{self.size} bytes" if self.size else "size unknown"
        where = self.urls[0] if self.urls else "no public address"
        return (
            f"{self.path(root)} is missing. Place it there by hand: {where} ({size}, sha256 "
            f"{self.sha256 or 'not published'})."
        )


@dataclass(frozen=True)
class DataSet:
    """What one name of the command line stands for."""

    name: str
    kind: str  # one of KINDS
    sources: tuple[Source, ...]  # annotations first, then pictures
    members: dict[str, int] = field(default_factory=dict)  # most bytes of instances, referents
    joins: dict[str, str] = field(default_factory=dict)  # splits that go under another name
    counts: dict[str, list[int]] | None = None  # split -> referents, images, expressions
    inside: str | None = None  # the pictures' folder inside their archive
    unpacked: str | None = None  # the folder that is accepted in the archive's place


def read_registry(path: Path = REGISTRY) -> dict[str, DataSet]:
    """Every set by its name. Raises SetupError naming the entry that is wrong."""
    try:
        return dict(_sets(path.read_text("utf-8")))
    except FileNotFoundError:
        raise SetupError(f"There is no registry at {path}: name one that exists.") from None
    except (KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError) as error:
        raise SetupError(f"The registry {path} is damaged ({error}): mend it.") from error


@cache  # a command asks for it several times
def _sets(text: str) -> dict[str, DataSet]:
    found = yaml.load(text, LOADER)
    files = {key: _source(key, entry) for key, entry in found["files"].items()}
    places = found.get("pictures") or {}
    return {name: _set(name, e, files, places) for name, e in found["sets"].items()}


def _source(key: str, entry: dict) -> Source:
    fields = {k: tuple(v) if k == "urls" else v for k, v in entry.items()}
    source = Source(**fields)
    if source.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", source.sha256):
        raise ValueError(f"the sha256 of {key} is no hash")
    for url in source.urls:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{key} has the address {url}, which is neither https nor http")
        if url.startswith("http://") and source.sha256 is None:
            raise ValueError(f"{key} has a plain http address and no sha256 that would check it")
    for part in (*PurePosixPath(source.folder).parts, *PurePosixPath(source.name).parts):
        if part in ("..", "/"):
            raise ValueError(f"{key} would lie outside the data root")
    return source


def _set(name: str, entry: dict, files: dict[str, Source], places: dict[str, dict]) -> DataSet:
    if entry["kind"] not in KINDS:
        raise ValueError(f"{name} is of the unknown kind {entry['kind']}")
    keys = entry.get("files") or [entry["annotations"], entry["pictures"]]
    more = {k: entry[k] for k in ("members", "joins", "counts") if entry.get(k)}
    more |= places.get(entry.get("pictures")) or {}
    return DataSet(name, entry["kind"], tuple(files[key] for key in keys), **more)
