"""`make app` under attack, over the network alone: large files, other pictures, odd clients.

Voila stands on loopback with the Makefile's options and a notebook that loads no model.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from functools import cached_property

import pytest
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import _default_max_message_size, websocket_connect

from tests.app_options import ROOT, app_options
from tvnet.course.explorer.pictures import LIMITS

TOKEN = "app-test"
V1 = "v1.kernel.websocket.jupyter.org"
WIDGET = """import ipywidgets
ipywidgets.Image(value=bytes(range(256)))"""
pytestmark = pytest.mark.slow


def get(url, seconds=120):
    """Status and text of a reply; raises OSError where none comes in time."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""


class App:
    """The running server, its page, and sockets to the kernels of that."""

    def __init__(self, folder):
        notebook = json.loads((ROOT / "notebooks" / "templates" / "app.ipynb").read_text())
        notebook["cells"] = [notebook["cells"][0] | {"source": WIDGET}]
        (folder / "app.ipynb").write_text(json.dumps(notebook))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
        for name in ("CONFIG", "DATA", "RUNTIME"):
            env[f"JUPYTER_{name}_DIR"] = str(folder / name)
        env["JUPYTER_PATH"] = str(ROOT / "notebooks" / "templates")
        command = [sys.executable, "-m", "voila", str(folder / "app.ipynb"), *app_options()]
        command += ["--no-browser", f"--port={port}", "--Voila.port_retries=0", f"--token={TOKEN}"]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            assert self.process.poll() is None, self.log.read_text()
            if self.serves():
                return
            time.sleep(0.25)

    def serves(self):
        """Whether it answers at all."""
        try:
            return get(f"{self.url}/voila/static/voila.js", 10)[0] == 200
        except OSError:
            return False

    @cached_property
    def page(self):
        """The page as a reader's browser gets it; its kernel runs on."""
        status, text = get(f"{self.url}/?token={TOKEN}")
        assert status == 200, self.log.read_text()
        return text

    async def connect(self, *protocols):
        """A socket to the kernel of the page."""
        kernel = re.search(r'"kernelId": ?"([\w-]+)"', self.page)[1]
        address = f"ws{self.url[4:]}/api/kernels/{kernel}/channels"
        request = HTTPRequest(f"{address}?session_id={uuid.uuid4().hex}&token={TOKEN}")
        return await websocket_connect(request, subprotocols=protocols or None)

    def stop(self):
        """Kernels notice that their server is gone."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    running = App(tmp_path_factory.mktemp("app"))
    yield running
    running.stop()


def parts(kind, **content):
    """Header, parent, metadata and content of a message."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": "s"}
    header |= {"version": "5.3", "date": "2021-10-20T00:00:00Z"}
    return header, {}, {"version": "1.0.0"}, content


def packed(kind, buffers=(), **content):
    """The same in the protocol of today."""
    texts = [json.dumps(part).encode() for part in parts(kind, **content)]
    return serialize_msg_to_ws_v1([*texts, *buffers], "shell")


async def answers(channel):
    """Whether the kernel still answers over this socket."""
    await channel.write_message(packed("kernel_info_request"), binary=True)
    while (reply := await asyncio.wait_for(channel.read_message(), 60)) is not None:
        if b"kernel_info_reply" in reply:
            return True
    return False


def test_a_file_of_the_size_that_stands_beside_the_button_arrives(app):
    async def run():
        channel = await app.connect(V1)
        file = bytes(LIMITS["the app"] * 10**6)
        sent = packed("comm_msg", [file], comm_id="none", data={"method": "update"})
        await channel.write_message(sent, binary=True)
        assert await answers(channel)
        channel.close()

    asyncio.run(run())


def test_a_reader_is_warned_of_the_limit_in_the_notebook():
    notebook = (ROOT / "notebooks" / "10_explorer.ipynb").read_text()
    assert re.search(r"at most 10 MB .*in JupyterLab and 100 MB in `make app`", notebook)
    assert LIMITS["JupyterLab"] * 10**6 < _default_max_message_size  # which JupyterLab keeps


def test_files_beside_the_notebook_are_nobodys_without_the_token(app):
    for name in ("app.ipynb", "log"):
        assert (name, get(f"{app.url}/voila/files/{name}")[0]) == (name, 403)


def test_a_client_of_the_older_protocol_is_refused(app):
    """Voila would loop over the first message with bytes in it, such as the page's picture."""

    async def run():
        channel = await app.connect()
        control = {"comm_id": "c", "target_name": "jupyter.widget.control"}
        for kind, data in (("comm_open", {}), ("comm_msg", {"method": "request_states"})):
            names = ("header", "parent_header", "metadata", "content")
            named = dict(zip(names, parts(kind, data=data, **control), strict=True))
            await channel.write_message(json.dumps(named | {"channel": "shell"}))
        await asyncio.sleep(5)

    try:
        asyncio.run(run())
    except HTTPClientError as refused:
        assert refused.code == 400
    assert app.serves()


@pytest.mark.parametrize("sent", [b"\xff" * 8, b"\x20" + bytes(7), "a text"])
def test_a_message_that_is_none_closes_its_socket_and_nothing_else(app, sent):
    async def run():
        channel = await app.connect(V1)
        await channel.write_message(sent, binary=isinstance(sent, bytes))
        while await asyncio.wait_for(channel.read_message(), 20) is not None:
            pass
        assert channel.close_code == 1007
        assert await answers(await app.connect(V1))

    asyncio.run(run())
