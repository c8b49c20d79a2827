"""A loopback server that serves files right, or wrong in the ways that real servers do."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><title>503</title><p>Please come back later.</p></html>"


class FaultServer(ThreadingHTTPServer):
    """`files` maps a path to its bytes, `faults` a path to the faults of its next requests.

    A fault is a name, or ("cut", n): the connection ends after n bytes of the file, or ("head",
    code, headers) of another answer. What has no fault left is served right. `delay` slows every
    64 KiB down, in seconds.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults, self.asked, self.delay, self.sent = {}, {}, [], 0.0, 0
        self.etags, self.later = {}, {}  # `later` is what a path holds once its mark has changed

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.close_connection = True
        content = self.server.files.get(self.path)
        self.server.asked.append((self.path, self.headers.get("Range")))
        waiting = self.server.faults.get(self.path)
        fault = waiting.pop(0) if waiting else None
        try:
            if content is None:
                self._head(404, {"Content-Length": 0})
            elif fault in ("503", "429"):
                self._head(int(fault), {"Content-Length": len(PAGE), "Retry-After": "7"})
                self.wfile.write(PAGE)
            elif fault and fault[0] == "head":
                self._head(*fault[1:])
                self.wfile.write(PAGE)
            elif fault == "html":
                self._head(200, {"Content-Length": len(PAGE), "Content-Type": "text/html"})
                self.wfile.write(PAGE)
            elif fault == "416":
                self._head(416, {"Content-Length": 0})
            elif fault == "redirect":
                self._head(302, {"Content-Length": 0, "Location": self.path})
            elif fault == "no answer":
                self.connection.close()
            else:
                self._file(content, fault)
        except OSError:  # the reader is gone
            pass

    def _file(self, content, fault):
        etag = self.server.etags.setdefault(self.path, '"1"')
        if fault == "etag changed":
            etag = self.server.etags[self.path] = '"2"'
            content = self.server.later.get(self.path, content)
        start, asked = 0, self.headers.get("Range")
        fresh = self.headers.get("If-Range") in (None, etag)
        if asked and fresh and fault not in ("range ignored", "no etag"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self._head(416, {"Content-Length": 0})
        body, length = content[start:], len(content) - start
        kind = "application/zip"
        if fault == "flipped":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1 :]
        elif fault == "page of the right length":
            body = (PAGE * (length // len(PAGE) + 1))[:length]
        elif fault == "shorter":  # and says so: another file
            body, length = body[:-5], length - 5
        elif fault == "longer":
            body, length = body + b"12345", length + 5
        elif fault == "length too long":
            length += 1000
        elif fault == "length too short":
            length -= 1000
        headers = {"Content-Length": length, "Content-Type": kind, "ETag": etag}
        if fault == "no etag":
            del headers["ETag"]
        elif fault == "no length":
            del headers["Content-Length"]
        elif fault == "gzip":
            headers["Content-Encoding"] = "gzip"
        if start and fault != "range misplaced":
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        elif start:
            body = body[7:] + bytes(7)
            headers["Content-Range"] = f"bytes {start + 7}-{len(content) - 1}/{len(content)}"
        self._head(206 if start else 200, headers)
        if isinstance(fault, tuple):
            body = body[: max(0, fault[1] - start)]
        for at in range(0, len(body), 1 << 16):
            if self.server.delay:
                time.sleep(self.server.delay)
            self.wfile.write(body[at : at + (1 << 16)])
            self.server.sent += len(body[at : at + (1 << 16)])

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.send_header("Connection", "close")
        self.end_headers()


@contextmanager
def running():
    server = FaultServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
