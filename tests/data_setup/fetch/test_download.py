"""Whatever a server does, the final name holds the right bytes or nothing."""

import errno
import hashlib
import os
import random
import subprocess
import time
import urllib.request

import pytest

from data_setup.commands import Progress
from data_setup.fetch import download as module
from data_setup.fetch import parts
from data_setup.fetch.download import download
from data_setup.fetch.sources import DiskError, IntegrityError, NetworkError, Source
from data_setup.files import is_there, recorded
from tests.data_setup.fetch.fault_server import running

CONTENT = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def shared():
    with running() as server:
        yield server


@pytest.fixture
def server(shared):
    shared.files.clear(), shared.faults.clear(), shared.asked.clear(), shared.etags.clear()
    shared.later.clear()
    shared.files["/a.zip"] = CONTENT
    shared.files["/mirror/a.zip"] = CONTENT
    return shared


@pytest.fixture
def waits():
    return []


def source(server, *paths, **fields):
    fields = {"size": len(CONTENT), "sha256": DIGEST} | fields
    urls = tuple(server.url + path for path in paths or ("/a.zip",))
    return Source("a.zip", "archives", urls=urls, licence="", **fields)


def strays(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_arrives_with_its_hash_beside_it(server, tmp_path):
    heard = []
    download(source(server), tmp_path / "archives" / "a.zip", heard.append)
    assert (tmp_path / "archives" / "a.zip").read_bytes() == CONTENT
    sidecar = tmp_path / "archives" / "a.zip.sha256"
    assert sidecar.read_text() == f"{DIGEST}  a.zip\n"
    done = subprocess.run(["sha256sum", "-c", sidecar.name], cwd=sidecar.parent, check=False)
    assert done.returncode == 0
    assert heard[0] == 0 and heard[-1] == len(CONTENT) and heard == sorted(heard)
    assert strays(tmp_path / "archives") == []


RECOVERS = [
    [("cut", 70_000)],
    [("cut", 0)],
    ["no answer"],
    ["503"],
    ["429"],
    ["redirect"],
    [("cut", 70_000), "range ignored"],
    [("cut", 70_000), "etag changed"],
    [("cut", 70_000), "range misplaced"],
    [("cut", 70_000), "416"],
    [("cut", 70_000), "flipped"],  # the resumed file is wrong, the whole one is right
    [("cut", 70_000), ("cut", 200_000), ("cut", 290_000)],
]


@pytest.mark.parametrize("faults", RECOVERS, ids=str)
def test_what_breaks_off_goes_on(server, tmp_path, waits, faults):
    server.faults["/a.zip"] = list(faults)
    download(source(server), tmp_path / "a.zip", sleep=waits.append)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert strays(tmp_path) == [] and server.faults["/a.zip"] == []
    if faults[0] in ("503", "429"):
        assert waits == [7.0]  # as the server asked


REFUSED = {
    "html": "web page: '<!DOCTYPE html>",
    "page of the right length": "has the sha256 .* but .* is due",
    "flipped": "has the sha256 .* but .* is due",
    "shorter": "it has 299995 bytes, but 300000 are due",
    "longer": "it has 300005 bytes, but 300000 are due",
    "length too long": "it has 301000 bytes, but 300000 are due",
    "length too short": "it has 299000 bytes, but 300000 are due",
    "gzip": "packs what it sends",
}


NONSENSE = {
    "length": (200, {"Content-Length": "abc"}),
    "length of another script": (200, {"Content-Length": "\N{SUPERSCRIPT TWO}"}),
    "length of 5,000 digits": (200, {"Content-Length": "9" * 5000}),
    "range of 5,000 digits": (206, {"Content-Range": "bytes 0-9/" + "9" * 5000}),
    "address": (302, {"Location": "http://[::1"}),
    "name of a host": (
        302,
        {"Location": f"http://{'a' * 70}.\N{LATIN SMALL LETTER E WITH ACUTE}/"},
    ),
    "chunk": (200, {"Transfer-Encoding": "chunked"}),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_an_answer_that_makes_no_sense_leads_to_the_next_mirror(server, tmp_path, waits, case):
    server.faults["/a.zip"] = [("head", *NONSENSE[case])] * 10
    with pytest.raises((IntegrityError, NetworkError), match="a.zip cannot be fetched"):
        download(source(server), tmp_path / "a.zip", sleep=waits.append)
    download(source(server, "/a.zip", "/mirror/a.zip"), tmp_path / "a.zip", sleep=waits.append)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_wait_that_is_no_number_is_not_asked_for(server, tmp_path, waits):
    odd = ("head", 503, {"Retry-After": "\N{SUPERSCRIPT TWO}", "Content-Length": 0})
    server.faults["/a.zip"] = [odd]
    download(source(server), tmp_path / "a.zip", sleep=waits.append)
    assert waits == [1.0]


def test_a_page_is_a_page_however_its_kind_is_written(server, tmp_path, waits):
    server.faults["/a.zip"] = [
        ("head", 200, {"Content-Type": "Text/HTML", "Content-Length": 76})
    ] * 5
    with pytest.raises(NetworkError, match="it answers with a web page: '<!DOCTYPE html>"):
        download(source(server, size=None, sha256=None), tmp_path / "a.zip", sleep=waits.append)


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_wrong_is_refused_and_the_next_mirror_tried(server, tmp_path, waits, fault):
    server.faults["/a.zip"] = [fault] * 10
    with pytest.raises((IntegrityError, NetworkError), match=REFUSED[fault]) as error:
        download(source(server), tmp_path / "a.zip", sleep=waits.append)
    assert isinstance(error.value, NetworkError) == (fault in ("html", "gzip"))
    assert not (tmp_path / "a.zip").exists() and recorded(tmp_path / "a.zip") is None
    server.faults["/a.zip"] = [fault] * 10
    download(source(server, "/a.zip", "/mirror/a.zip"), tmp_path / "a.zip", sleep=waits.append)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert strays(tmp_path) == []


def test_every_mirrors_reason_is_told(server, tmp_path, waits):
    server.faults["/mirror/a.zip"] = ["503"] * 10
    with pytest.raises(NetworkError) as error:
        download(source(server, "/gone", "/mirror/a.zip"), tmp_path / "a.zip", sleep=waits.append)
    output = str(error.value)
    assert f"{server.url}/gone: it answers 404" in output
    assert f"{server.url}/mirror/a.zip: it broke off 5 times (it answers 503)" in output
    with pytest.raises(NetworkError, match="it has no public address.*place it by hand"):
        download(Source("a.zip", "archives", 1, DIGEST, (), ""), tmp_path / "a.zip")


def test_a_later_process_goes_on_where_an_earlier_one_stopped(server, tmp_path):
    server.faults["/a.zip"] = [("cut", 131_072), "503", "503", "503", "503", "503"]
    with pytest.raises(NetworkError):
        download(source(server), tmp_path / "a.zip", sleep=lambda _: None)
    assert parts.waiting(tmp_path / "a.zip") == 131_072
    server.asked.clear()
    download(source(server), tmp_path / "a.zip")
    assert server.asked == [("/a.zip", "bytes=131072-")]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_kill_after_the_last_byte_loads_nothing_again(server, tmp_path):
    part = tmp_path / ".a.zip.part~free~0~0~00000000"
    part.mkdir()
    (part / "data").write_bytes(CONTENT)
    (part / "from").write_text(f'["{server.url}/a.zip", "\\"1\\""]')
    download(source(server), tmp_path / "a.zip")
    assert server.asked == [] and (tmp_path / "a.zip").read_bytes() == CONTENT
    (tmp_path / "a.zip").rename(tmp_path / "aside")
    part.mkdir()
    (part / "data").write_bytes(CONTENT[::-1])
    download(source(server), tmp_path / "a.zip", sleep=lambda _: None)
    assert server.asked == [("/a.zip", None)] and (tmp_path / "a.zip").read_bytes() == CONTENT


def test_another_address_starts_anew(server, tmp_path):
    server.faults["/a.zip"] = [("cut", 131_072)] + ["no answer"] * 9
    both = source(server, "/a.zip", "/mirror/a.zip")
    download(both, tmp_path / "a.zip", sleep=lambda _: None)
    assert ("/mirror/a.zip", None) in server.asked
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_first_use_is_trusted_once(server, tmp_path):
    unknown = source(server, size=None, sha256=None)
    download(unknown, tmp_path / "a.zip")
    assert recorded(tmp_path / "a.zip") == DIGEST
    (tmp_path / "a.zip").unlink()
    server.files["/a.zip"] = b"other" * 1000
    with pytest.raises(IntegrityError, match=r"first use: delete .*a.zip.sha256 to trust it anew"):
        download(unknown, tmp_path / "a.zip", sleep=lambda _: None)
    assert not (tmp_path / "a.zip").exists()


def test_a_first_use_never_joins_two_versions(server, tmp_path):
    """No hash would notice: only the server's mark and the range's place can."""
    unknown = source(server, size=None, sha256=None)
    server.later["/a.zip"] = CONTENT[::-1]
    server.faults["/a.zip"] = [("cut", 70_000), "etag changed"]
    download(unknown, tmp_path / "a.zip", sleep=lambda _: None)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]
    server.faults["/a.zip"] = [("cut", 70_000), "range misplaced"]
    download(unknown, tmp_path / "b.zip", sleep=lambda _: None)
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


def test_a_first_use_without_a_length_is_refused(server, tmp_path):
    """Where neither hash nor length is known, a cut could not be told from the end."""
    server.faults["/a.zip"] = ["no length"] * 9
    with pytest.raises(NetworkError, match="gives no length"):
        download(source(server, size=None, sha256=None), tmp_path / "a.zip")
    server.faults["/a.zip"] = ["no length"]
    download(source(server, size=None), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_redirect_from_https_to_http_is_refused():
    handler = module._NoDowngrade()
    request = urllib.request.Request("https://a.example/a.zip")
    with pytest.raises(module._RefusedError, match="redirects to http://a.example/b, .* not https"):
        handler.redirect_request(request, None, 302, "", {}, "http://a.example/b")
    assert handler.redirect_request(request, None, 302, "", {}, "https://b.example/b")


def test_a_part_of_a_living_process_is_left_alone(server, tmp_path):
    ours = tmp_path / f".a.zip.part~{parts._us()}~00000000"
    far = tmp_path / ".a.zip.part~elsewhere~1~1~00000000"
    reborn = tmp_path / f".a.zip.part~{parts.HOST}~{os.getpid()}~1~00000000"
    dead = tmp_path / f".a.zip.part~{parts.HOST}~999999999~1~00000000"
    for part in (ours, far, reborn, dead):
        part.mkdir()
        (part / "data").write_bytes(CONTENT[:10])
    download(source(server), tmp_path / "a.zip")
    assert parts.clean(tmp_path) == 1  # reborn and dead were anyone's: one was taken over
    assert sorted(strays(tmp_path)) == sorted([ours.name, far.name])
    os.utime(far / "data", (0, 0))
    os.utime(far, (0, 0))
    assert parts.clean(tmp_path) == 1


def test_a_full_disk_is_said_and_what_is_there_is_kept(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DiskError, match="The disk is full at .* make room and run the same again"):
        download(source(server), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists() and parts.waiting(tmp_path / "a.zip") == len(CONTENT)


def test_a_file_placed_by_hand_is_hashed_like_any_other(server, tmp_path):
    known = source(server)
    path = known.path(tmp_path)
    assert not is_there(known, tmp_path)
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert is_there(known, tmp_path) and recorded(path) == DIGEST
    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, (2e9, 2e9))  # newer than its hash
    with pytest.raises(IntegrityError, match=f"but {DIGEST} is due: remove it and fetch it again"):
        is_there(known, tmp_path)
    os.utime(tmp_path / "archives" / "a.zip.sha256", (3e9, 3e9))
    assert is_there(known, tmp_path)  # the quick look trusts a hash that is newer,
    with pytest.raises(IntegrityError):
        is_there(known, tmp_path, deep=True)  # verify does not
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(IntegrityError, match="has 299999 bytes, but 300000 are due"):
        is_there(known, tmp_path)


def test_an_older_file_that_is_moved_over_one_of_first_use_is_noticed(server, tmp_path):
    known = source(server, size=None, sha256=None)
    path = known.path(tmp_path)
    download(known, path)
    hashed = []
    assert is_there(known, tmp_path, report=hashed.append) and not hashed  # it has just arrived
    first, other = tmp_path / "first", tmp_path / "other"
    os.replace(path, first)
    other.write_bytes(CONTENT[:-1] + b"?")
    os.utime(other, (1, 1))
    time.sleep(0.05)  # the clock of a file system has steps
    os.replace(other, path)
    with pytest.raises(IntegrityError, match=f"{DIGEST} is due .first use: delete .*sha256 to"):
        is_there(known, tmp_path)
    os.replace(first, path)
    assert is_there(known, tmp_path, report=hashed.append) and hashed.pop()
    assert is_there(known, tmp_path, report=hashed.append) and not hashed  # once is enough


def test_progress_is_told_in_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr("data_setup.commands.EVERY", 0.0)
    for name, total in (("a.zip", 100_000_000), ("b.zip", None)):
        with Progress(name, total) as progress:
            progress(40_000_000)
            assert progress.initial == 40_000_000  # resumed: the rate counts from here
            progress(70_000_000)
    a, b = (line for line in capsys.readouterr().err.splitlines() if "70.0M" in line)
    assert "a.zip: 70.0M of 100M, " in a and a.endswith("00:00 left")
    assert "b.zip: 70.0M of ?, " in b and "left" not in b


def test_every_cut_at_a_64_kib_border(server, tmp_path):
    """And one byte around it: after each the file is right, and no byte is asked for twice."""
    cuts = [n + d for n in range(0, len(CONTENT), 1 << 16) for d in (-1, 0, 1) if n + d >= 0]
    for cut in cuts:
        server.faults["/a.zip"] = [("cut", cut)]
        target = tmp_path / f"{cut}.zip"
        download(source(server), target, sleep=lambda _: None)
        assert target.read_bytes() == CONTENT
    resumed = [asked for _, asked in server.asked if asked]
    assert resumed == [f"bytes={cut}-" for cut in cuts if cut]
