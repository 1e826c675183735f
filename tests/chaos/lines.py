"""HTTP as the load needs it: requests signed in advance, and lines that carry one at a time.

Written out here, for a client library costs ten times as much as everything else the load does.
"""

import asyncio
import base64
import hmac
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

_length: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search
_closes: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE).search


class Request(NamedTuple):
    """A callback as it goes over the wire, and the SHA-256 of its body."""

    sent: bytes
    body_sha256: str


def prepare(source: str, body: bytes, secret: str) -> Request:
    """Sign a callback as its vendor does."""
    token = f"/{secret}" if source == "quickfile" else ""
    head = f"POST /hooks/{source}/{source}-1{token} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    head += "content-type: application/json\r\n"
    if source == "duett":
        head += f"authorization: {secret}\r\n"
    elif not token:
        proof = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
        head += f"x-vwd-signature-v1: {proof}\r\n"
    return Request(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body, sha256(body).hexdigest())


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: bytes
    closes: bool


def answer_of(data: bytes) -> Answer | None:
    """Read an answer; None while it is not complete."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    length = _length(head)
    if length is None or len(body) < int(length[1]):
        return None
    return Answer(int(head[9:12]), body, _closes(head) is not None)


class Line(asyncio.Protocol):
    """One connection to a door, one request at a time; made anew when it ends."""

    def __init__(self, door: str, over: "Callable[[Line, Request, Answer | str], None]") -> None:
        self.door: Final = door
        self.transport: asyncio.Transport | None = None
        self.request: Request | None = None
        self.since_s = 0.0
        self.gone: Final = asyncio.get_running_loop().create_future()
        self._over: Final = over
        self._data = b""

    def send(self, request: Request, now_s: float) -> None:
        """Send a request; only on a line that is open and has none."""
        assert self.transport is not None
        assert self.request is None
        self.request, self.since_s = request, now_s
        self.transport.write(request.sent)

    def abort(self) -> None:
        """Give the answer up."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self.transport = transport  # type: ignore[assignment]  # TCP is one

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._data = self._data + data if self._data else data
        if (answer := answer_of(self._data)) is not None and self.transport is not None:
            self._data = b""
            if answer.closes:
                self.transport.close()
                self.transport = None
            self._done(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits for an answer."""
        self.transport, self._data = None, b""
        self._done(type(exc).__name__ if exc else "closed")
        if not self.gone.done():
            self.gone.set_result(None)

    def _done(self, outcome: Answer | str) -> None:
        request, self.request = self.request, None
        if request is not None:
            self._over(self, request, outcome)
