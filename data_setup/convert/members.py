"""Members of archives, read by their exact names and never unpacked: nothing can be written.

An archive is refused as a whole when its table is not that of an honest one.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from data_setup.convert.validate import is_plain
from data_setup.fetch.sources import ContentError

MOST_MEMBERS = 250_000
RATIO = 1000  # bytes out of one byte in; 1032 is the most that deflate can do, honest JSON does 50
LONGEST_NAME = 1 << 16  # bytes
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def table(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members of a zip by name; ContentError when two overlap, clash, hide or are too many."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_MEMBERS:
                raise ValueError(f"it has {len(infos)} members, more than {MOST_MEMBERS}")
            found: dict[str, zipfile.ZipInfo] = {}
            end, size = 0, path.stat().st_size
            for info in sorted(infos, key=lambda info: info.header_offset):
                _check(info)
                if info.filename in found:
                    raise ValueError(f"it has {info.filename!r:.80} twice")
                if info.header_offset < end or info.header_offset + info.compress_size > size:
                    raise ValueError(f"{info.filename!r:.80} lies over another member")
                end = info.header_offset + 30 + len(info.filename) + info.compress_size
                found[info.filename] = info
            return found
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged table may raise nearly anything
        raise ContentError(f"The archive {path} is refused: {error}.") from error


def _check(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # `filename` may be another: cut at a NUL, or taken from a field
    if name != info.filename:
        raise ValueError(f"{name!r:.80} is read as {info.filename!r:.80}")
    if info.compress_type not in METHODS:
        raise ValueError(f"{name!r:.80} is packed in a way we do not read")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{name!r:.80} is a link or a device")
    if info.file_size > RATIO * max(1, info.compress_size):
        raise ValueError(f"{name!r:.80} would grow from {info.compress_size} to {info.file_size}")
    if not is_plain(name.removesuffix("/")):
        raise ValueError(f"{name!r:.80} is no plain relative name")


def read_member(path: Path, name: str, most: int) -> bytes:
    """One member of a zip by its exact name, of at most so many bytes.

    Raises ContentError when there is none, when it is larger, or when its bytes are damaged.
    """
    info = table(path).get(name)
    if info is None:
        raise ContentError(f"The archive {path} has no member '{name}': it is another archive.")
    if info.file_size > most:
        raise ContentError(
            f"'{name}' in {path} has {info.file_size} bytes, more than the {most} it may have."
        )
    try:
        with zipfile.ZipFile(path) as archive, archive.open(info) as file:
            content = file.read(info.file_size + 1)  # never more than its table says
    except Exception as error:  # zlib, checksums, headers that lie
        raise ContentError(f"'{name}' in {path} is damaged: {error}.") from error
    if len(content) != info.file_size:
        raise ContentError(f"'{name}' in {path} is shorter than its table says.")
    return content


class _Header(tarfile.TarInfo):
    """A tar header. tarfile reads a long name, or any pax record, whole: one may hide gigabytes."""

    @classmethod
    def frombuf(cls, *about) -> Self:
        try:
            header = super().frombuf(*about)
        except tarfile.EOFHeaderError:  # a block of zeros ends a tar
            raise
        except tarfile.HeaderError as error:  # tarfile takes it for the end
            raise ValueError(f"it ends in the middle or a header is damaged ({error})") from error
        if header.size < 0 or not header.isfile() and header.size > LONGEST_NAME:
            raise ValueError(f"its header has {header.size} bytes")
        return header


def tar_members(path: Path, most: int, total: int) -> Iterator[tuple[str, bytes]]:
    """Every plain file of a tar, one after another: at most `most` bytes each and `total` in all,
    headers included.

    Raises ContentError at the first link, device or name that leaves the archive.
    """
    try:
        with tarfile.open(path, "r|*", tarinfo=_Header) as archive:
            for count, entry in enumerate(archive):
                archive.members.clear()  # each holds its headers, which may be long
                if count > MOST_MEMBERS:
                    raise ValueError(f"it has more than {MOST_MEMBERS} members")
                if entry.isdir():
                    continue
                name = entry.name.removeprefix("./")
                if not entry.isreg() or entry.issparse():
                    raise ValueError(f"{entry.name!r:.80} is no plain file")
                if not is_plain(name):
                    raise ValueError(f"{entry.name!r:.80} is no plain relative name")
                if not 0 <= entry.size <= most or entry.offset_data + entry.size > total:
                    raise ValueError(f"{entry.name!r:.80} goes beyond the bytes it may have")
                yield name, archive.extractfile(entry).read(most)
    except (FileNotFoundError, ContentError):
        raise
    except Exception as error:  # gzip, headers, ends in the middle
        raise ContentError(f"The archive {path} is refused: {error}.") from error
