"""What `make app` adds to Voila, so that no message can stop its server.

Not in tvnet, which would bring torch into the server: only its kernels need that.
"""

from __future__ import annotations

from jupyter_server.services.kernels.connection.channels import (
    ZMQChannelsWebsocketConnection,
)
from tornado.web import HTTPError

PROTOCOL = "v1.kernel.websocket.jupyter.org"
WORD = 8  # bytes of each number at the start of a message


class Connection(ZMQChannelsWebsocketConnection):
    """A browser's line to a kernel, for whole messages of `PROTOCOL` only.

    The first number of a message says how many follow, and it is believed: by jupyter_server
    2.21 in what arrives, by Voila 0.5.13 in what it sends, even where a client speaks the older
    protocol, in which those bytes mean something else. Both then read on without end.
    """

    async def prepare(self) -> None:
        """Refuse a client of another protocol with status 400, before the socket opens."""
        asked = self.websocket_handler.request.headers.get(
            "Sec-WebSocket-Protocol", ""
        )
        if PROTOCOL not in [name.strip() for name in asked.split(",")]:
            raise HTTPError(
                400,
                f"This app speaks {PROTOCOL} only: name it as subprotocol.",
            )
        await super().prepare()

    def handle_incoming_message(self, incoming_msg: bytes | str) -> None:
        """Close the socket where a message names more numbers than it holds."""
        whole = isinstance(incoming_msg, bytes)
        if whole:
            numbers = int.from_bytes(incoming_msg[:WORD], "little")
            whole = WORD * (1 + numbers) <= len(incoming_msg)
        if whole:
            super().handle_incoming_message(incoming_msg)
        else:
            self.websocket_handler.close(
                1007, f"This is no message of {PROTOCOL}."
            )
