"""Downloads that are resumed across processes and get their name only with the right hash."""

import errno
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from data_setup.fetch import parts
from data_setup.fetch.sources import DiskError, IntegrityError, NetworkError, Source
from data_setup.files import accept, date_hash, recorded, sha256_of

BLOCK = 1 << 16
TRIES = 5  # without one new byte, then the next mirror
LONGEST_WAIT = 60.0  # seconds, whatever a server asks for
TIMEOUT = 30.0  # seconds of silence


class _RefusedError(Exception):
    """This mirror serves something else: on to the next. `wrong`: its bytes were not ours."""

    def __init__(self, reason: str, wrong: bool = False):
        super().__init__(" ".join(reason.split()))  # urllib's reasons may have several lines
        self.wrong = wrong


class _BrokenError(Exception):
    """The connection broke or the server is busy: the same mirror again, after `wait` seconds."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, new):
        if request.full_url.startswith("https:") and not new.startswith("https:"):
            raise _RefusedError(f"it redirects to {new}, which is not https")
        return super().redirect_request(request, file, code, message, headers, new)


def download(
    source: Source,
    target: Path,
    report: Callable[[int], object] = lambda count: None,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Fetch a file of the registry from the first mirror that serves it right.

    `report` hears how many bytes are there at each step. Raises NetworkError or IntegrityError with
    the reason of every mirror, DiskError when the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = parts.claim(target)
    refused = []
    try:
        for url in source.urls:
            try:
                _from_mirror(source, url, target, part, report, sleep)
                os.replace(part / "data", target)
                date_hash(target)
                shutil.rmtree(part)
                return
            except _RefusedError as error:
                refused.append((url, error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskError(f"The disk is full at {part}: make room and run the same again.") from error
    finally:
        if part.exists():  # anyone may continue from here
            parts.release(part, target)
    listed = "; ".join(f"{url}: {error}" for url, error in refused) or "it has no public address"
    kind = IntegrityError if any(error.wrong for _, error in refused) else NetworkError
    raise kind(f"{source.name} cannot be fetched ({listed}): try again later, or place it by hand.")


def _from_mirror(source, url, target, part, report, sleep) -> None:
    """Fill part/data from one address and check it; _RefusedError when that cannot be."""
    left = TRIES
    while True:
        before = parts.size(part)
        try:
            resumed = _receive(source, url, target, part, report)
            digest = sha256_of(part / "data")
            try:
                accept(source, target, digest)
                return
            except IntegrityError as error:
                (part / "data").unlink()
                if not resumed:
                    raise _RefusedError(str(error), wrong=True) from error
                raise _BrokenError("the resumed file is wrong") from error
        except (_BrokenError, OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            left = TRIES if parts.size(part) > before else left - 1
            if left <= 0:
                raise _RefusedError(f"it broke off {TRIES} times ({error})") from error
            wait = getattr(error, "wait", None)
            backoff = 0.0 if left == TRIES else 2.0 ** (TRIES - left - 1)
            sleep(min(LONGEST_WAIT, backoff if wait is None else wait))
        except ValueError as error:  # a length or an address that is none
            raise _RefusedError(f"its answer makes no sense ({error!s:.80})") from error


def _receive(source: Source, url: str, target: Path, part: Path, report) -> bool:
    """One request: the rest of part/data, or all of it. Whether it went on from earlier bytes."""
    data, have, validator = part / "data", parts.size(part), _validator(part, url)
    if have and have == source.size:  # killed after the last byte
        return True
    headers = {"User-Agent": "tvnet-data-setup", "Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with _open(urllib.request.Request(url, headers=headers), part) as answer:
        kind = answer.headers.get("Content-Type", "")
        if kind.lower().startswith("text/html"):
            start = answer.read(80).decode("utf-8", "replace")
            raise _RefusedError(f"it answers with a web page: {' '.join(start.split())!r}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise _RefusedError("it packs what it sends")
        total = answer.headers.get("Content-Length")
        total = int(total) if total is not None else None
        if answer.status == 206:
            found = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "").strip()
            )
            if not found or int(found[1]) != have:
                data.unlink(missing_ok=True)  # so that the next request asks for everything
                raise _BrokenError("it sends another range than asked for")
            total = int(found[2])
        else:
            have = 0
        due = source.size or total
        if total is not None and total != due:
            raise _RefusedError(f"it has {total} bytes, but {due} are due", wrong=True)
        if due is None and source.sha256 is None and recorded(target) is None:
            raise _RefusedError("it gives no length, so that a cut could not be noticed")
        with data.open("ab" if have else "wb") as file:
            if not have:
                _remember(part, url, answer.headers)
            resumed = have > 0
            report(have)
            while block := answer.read(BLOCK):
                have += len(block)
                if due is not None and have > due:
                    raise _RefusedError(f"it sends more than the {due} bytes due", wrong=True)
                file.write(block)
                report(have)
            file.flush()
            os.fsync(file.fileno())
    if due is not None and have < due:
        raise _BrokenError(f"it was cut off at {have} of {due} bytes")
    return resumed


def _open(request: urllib.request.Request, part: Path) -> http.client.HTTPResponse:
    try:
        return urllib.request.build_opener(_NoDowngrade).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # our bytes are no start of what it has now
            (part / "data").unlink(missing_ok=True)
            raise _BrokenError("it has fewer bytes than we") from error
        if error.code == 429 or error.code >= 500:
            asked = error.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdecimal() else None
            raise _BrokenError(f"it answers {error.code}", wait) from error
        raise _RefusedError(f"it answers {error.code} {error.reason}") from error


def _remember(part: Path, url: str, headers) -> None:
    """Which version of which address the bytes are of; a weak mark would not do for a range."""
    validator = headers.get("ETag") or headers.get("Last-Modified") or ""
    validator = "" if validator.startswith("W/") else validator
    (part / "from").write_text(json.dumps([url, validator]), "utf-8")


def _validator(part: Path, url: str) -> str:
    try:
        address, validator = json.loads((part / "from").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return validator if address == url else ""
