"""Hostile archives: each is refused as a whole, and nothing is ever written."""

import gzip
import io
import re
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest

from data_setup.convert.members import read_member, table, tar_members
from data_setup.fetch.sources import ContentError
from tests.data_setup.fetch.mirror import tarred, zipped

MOST = 1_000_000
GOOD = [("refcoco/instances.json", b"{}" * 500), ("refcoco/refs(unc).p", b"(lp0\n." * 500)]
NAMES = [
    "../a", "a/../../b", "/etc/a", "..", "a/..", "a\\b", "C:a", "C:/a", "\\\\host\\a", "a//b",
    "./a", "a/./b", "refcoco/./instances.json", "//a", "a:stream",
]  # fmt: skip


def with_info(change, content=b"x" * 300):
    info = zipfile.ZipInfo("refcoco/odd")
    change(info)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, good in GOOD:
            archive.writestr(name, good)
        archive.writestr(info, content)
    return out.getvalue()


def renamed(content, old, new):
    """An archive with a name replaced, in the table and before the member."""
    assert content.count(old) == 2
    return content.replace(old, new)


def unicode_path():
    """A field that gives a member another name, which newer versions of Python follow."""
    field = b"\x01" + struct.pack("<I", zlib.crc32(b"refcoco/odd")) + b"refcoco/other"
    field = struct.pack("<HH", 0x7075, len(field)) + field
    return with_info(lambda i: setattr(i, "extra", field))


def overlapping(count=50):
    """Many entries of the table that point to one and the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, good in GOOD:
            archive.writestr(name, good)
        archive.writestr("m0", b"0" * 100_000)
        first = archive.infolist()[-1]
        for k in range(1, count):
            other = zipfile.ZipInfo(f"m{k}")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
    return out.getvalue()


def patched(at, format_, value):
    """The good archive with a field of the first table entry overwritten."""
    content = bytearray(zipped(GOOD, zipfile.ZIP_DEFLATED))
    entry = content.find(b"PK\x01\x02")
    struct.pack_into(format_, content, entry + at, value)
    return bytes(content)


def doubled():
    content = zipped([("refcoco/instances.json", b"{}"), ("refcoco/instances.jsoN", b"[]")])
    return content.replace(b"instances.jsoN", b"instances.json")


def linked(kind):
    return with_info(lambda i: setattr(i, "external_attr", (kind | 0o777) << 16))


ZIPS = {f"name {name}": zipped([*GOOD, (name, b"x")]) for name in NAMES}
ZIPS |= {
    "bomb": zipped([*GOOD, ("refcoco/bomb", b"\0" * 30_000_000)], zipfile.ZIP_DEFLATED),
    "overlap": overlapping(),
    "double": doubled(),
    "NUL cuts another name to the due one": renamed(
        zipped([("refcoco/instances.jsonXhidden", b"[]")]), b"jsonXh", b"json\0h"
    ),
    "escape in a name": renamed(zipped(GOOD), b"refs(unc).p", b"refs(\x1b[2).p"),
    "link": linked(stat.S_IFLNK),
    "device": linked(stat.S_IFCHR),
    "fifo": linked(stat.S_IFIFO),
    "socket": linked(stat.S_IFSOCK),
    "bzip2": with_info(lambda i: setattr(i, "compress_type", zipfile.ZIP_BZIP2)),
    "lzma": with_info(lambda i: setattr(i, "compress_type", zipfile.ZIP_LZMA)),
    "encrypted": patched(8, "<H", 1),
    "method 99": patched(10, "<H", 99),
    "checksum": patched(16, "<I", 12345),
    "packed size": patched(20, "<I", 10),
    "packed size huge": patched(20, "<I", 2**31),
    "size smaller": patched(24, "<I", 10),
    "size larger": patched(24, "<I", 100_000),
    "size huge": patched(24, "<I", 2**31),
    "offset": patched(42, "<I", 7),
    "offset beyond": patched(42, "<I", 2**31),
    "empty": b"",
    "html": b"<!DOCTYPE html><html></html>" * 50,
    "cut": zipped(GOOD)[:-30],
    "cut in half": zipped(GOOD)[:700],
    "no such member": zipped([("refcoco+/instances.json", b"{}")]),
    "too large": zipped([("refcoco/instances.json", b"{}" * MOST)]),
    "member is a folder": zipped([("refcoco/instances.json/", b"")]),
    "gzip": zlib.compress(b"{}" * 999),
}


@pytest.mark.parametrize("case", ZIPS)
def test_hostile_zips_are_refused(tmp_path, case):
    path = tmp_path / "a.zip"
    path.write_bytes(ZIPS[case])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ContentError, match=r"a\.zip"):
        read_member(path, "refcoco/instances.json", MOST)
    assert sorted(tmp_path.rglob("*")) == before


def test_honest_zips_are_read(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        (tmp_path / "a.zip").write_bytes(zipped(GOOD, method))
        for name, content in GOOD:
            assert read_member(tmp_path / "a.zip", name, MOST) == content
        assert set(table(tmp_path / "a.zip")) == {name for name, _ in GOOD}


def entry(change, content=b"{}"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("referit/a.json")
        info.size = len(content or b"")
        change(info)
        archive.addfile(info, content and io.BytesIO(content))
    return out.getvalue()


def kinds(kind):
    def change(info):
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    return entry(change)


def long_name(form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("a" * (1 << 17)))
    return out.getvalue()


def tarred_plain(members):
    return gzip.decompress(tarred(members))


def damaged(at):
    content = bytearray(tarred_plain([("a.json", b"{}"), ("b.json", b"{}")]))
    content[at] ^= 1
    return bytes(content)


def many_headers(count):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for k in range(count):
            info = tarfile.TarInfo(f"{k}.json")
            info.pax_headers = {"comment": "x" * 60_000}
            archive.addfile(info)
    return out.getvalue()


TARS = {
    f"name {name}": tarred([(name, b"x")]) for name in ("../a", "/a", "a/../../b", "a\\b", "..")
}
TARS |= {
    "symlink": kinds(tarfile.SYMTYPE),
    "hard link": kinds(tarfile.LNKTYPE),
    "character device": kinds(tarfile.CHRTYPE),
    "block device": kinds(tarfile.BLKTYPE),
    "fifo": kinds(tarfile.FIFOTYPE),
    "too large": tarred([("a.json", b"1" * (MOST + 1))]),
    "too much": tarred([(f"{k}.json", b"1" * 900_000) for k in range(4)]),
    "cut": tarred([("a.json", b"1" * 900_000)])[:-500],
    "a bit of a checksum": damaged(512 + 512 + 20),
    "no end": tarred_plain([("a.json", b"{}")])[:1024],
    "cut before a member": tarred_plain([("a.json", b"{}"), ("b.json", b"{}")])[:1300],
    "records beyond the total": many_headers(60),
    "size -1": entry(lambda info: setattr(info, "size", -1), None),
    "escape in a name": tarred([("a\x1b[2J.json", b"{}")]),
    "no tar": b"<html>" * 1000,
    "long GNU header": long_name(tarfile.GNU_FORMAT),
    "long pax header": long_name(tarfile.PAX_FORMAT),
}


@pytest.mark.parametrize("case", TARS)
def test_hostile_tars_are_refused(tmp_path, case):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(TARS[case])
    special = re.search("link|device|fifo", case)
    words = "is no plain file" if special else "header has" if "header" in case else ""
    with pytest.raises(ContentError, match=rf"a\.tar\.gz is refused: .*{words}"):
        list(tar_members(path, MOST, 3 * MOST))
    assert list(tmp_path.iterdir()) == [path]


def test_long_headers_do_not_pile_up(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(many_headers(300))
    tracemalloc.start()
    assert len(list(tar_members(path, MOST, 300 * MOST))) == 300
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_there_are_forty_hostile_archives():
    assert len(ZIPS) + len(TARS) >= 40
