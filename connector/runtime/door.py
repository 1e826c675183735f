"""The limits an ASGI callable never sees: it is called only after the head.

A subclass of uvicorn's httptools protocol with a cap on connections, deadlines for head and body, a limit for
the head, and a close that lets the sender read its answer. What happens to every request stands in
`connector.runtime.whole`, its only subclass.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connector.runtime.answers import RETRY_AFTER_S, raw
from connector.runtime.ingress_counts import NO_SOURCE, Counts
from connector.runtime.settings import IngressSettings

LINGER_S: Final = 1.0
"""How long a sender that is still sending may take to read why it was refused."""
LINGER_BYTES: Final = 4_194_304
SPARE: Final = 100
"""Connections over the cap that may linger over their 503; further ones are closed at once."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FULL: Final = raw(
    b"503 Service Unavailable",
    b"not_durable",
    b"too many connections: send the same bytes again after %d s" % RETRY_AFTER_S,
    b"retry-after: %d" % RETRY_AFTER_S,
)
_LONG_HEAD: Final = raw(
    b"431 Request Header Fields Too Large", b"head_too_long", b"send fewer or shorter headers"
)
_UPGRADE: Final = raw(b"400 Bad Request", b"bad_request", b"send plain HTTP/1.1, without Upgrade")
_NO_HTTP: Final = raw(b"400 Bad Request", b"bad_request", b"this is not HTTP/1.1")


class Refused(Exception):
    """Raised inside a callback of the parser, which then gives the connection up."""


class _Wire:
    """The transport as uvicorn sees it: an answer is one write, and closing waits for who still sends."""

    __slots__ = ("_door", "_parts", "_transport")

    def __init__(self, door: Door, transport: asyncio.Transport) -> None:
        self._door = door
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        """Keep head and body of an answer together; two writes are two packets and two system calls."""
        self._parts.append(part)
        if part == _CONTINUE:
            self.flush()

    def flush(self) -> None:
        """Send what was kept, unless nobody is there any more: uvicorn does not ask when pipelined."""
        if self._parts:
            if not self.is_closing():
                self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def is_closing(self) -> bool:
        return self._door.lingering or self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        if self.is_closing():
            return
        if self._door.unread:
            self._door.linger()
        else:
            self._transport.close()


class Door(HttpToolsProtocol):
    """One connection. Made by uvicorn, so settings and counts are attributes of a subclass."""

    limits: ClassVar[IngressSettings]
    counts: ClassVar[Counts]

    raw: asyncio.Transport
    wire: _Wire
    """Stands before `raw` where uvicorn writes."""
    sender = ""
    """Address of the other side."""
    deadline: asyncio.TimerHandle | None = None
    in_head = True
    """Between the end of one request and the end of the next one's head."""
    begun = False
    """Whether a byte of that head came."""
    fed = 0
    """Bytes of reads that began in this head."""
    chunk = 0
    """Bytes of the last read."""
    lingering = False
    """Whether our side is closed, and the sender may read its answer."""
    _refusal = _NO_HTTP
    _discarded = 0

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self.begun or not self.in_head or not self.cycle.response_complete

    @property
    def unread(self) -> bool:
        """Whether the sender may still be sending a request."""
        return self.cycle is None or not self.in_head or self.begun

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's base says the narrower type too
        """Let a connection in, or say that there are too many."""
        super().connection_made(transport)
        self.raw = transport
        self.wire = _Wire(self, transport)
        self.transport = cast("asyncio.Transport", self.wire)
        self.sender = self.client[0] if self.client else ""
        if len(self.connections) > self.limits.max_connections:
            self.counts.unacked["connections"] += 1
            self.counts.requests[NO_SOURCE, "503"] += 1
            transport.write(_FULL)
            if len(self.connections) > self.limits.max_connections + SPARE:
                transport.close()
            else:
                self.linger()
            return
        self.expect("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self.met()
        self.forget_idling()
        super().connection_lost(exc)

    def discard(self, data: bytes) -> None:
        """Take what still comes while the sender may read its answer."""
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.raw.abort()

    def expect(self, part: str) -> None:
        """Start the deadline of a head or a body, unless one runs."""
        if self.deadline is None:
            limits = self.limits
            seconds = limits.head_timeout_s if part == "head" else limits.body_timeout_s
            self.deadline = self.loop.call_later(seconds, self._late, part)

    def met(self) -> None:
        """Stop the deadline."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _late(self, part: str) -> None:
        self.deadline = None
        if not self.raw.is_closing():
            self.counts.late[part] += 1
            self.raw.close()

    def check_head(self) -> None:
        """Look at a complete head.

        Raises:
            Refused: It is over the limits.
        """
        limits = self.limits
        if len(self.headers) > limits.max_headers or (
            max(self.fed, self.chunk) > limits.max_header_bytes
            and len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            > limits.max_header_bytes
        ):
            self._refusal = _LONG_HEAD
            raise Refused
        if self.parser.should_upgrade():  # httptools 0.9 then drops the body, and its proof fails
            self._refusal = _UPGRADE
            raise Refused

    def wait_for_head(self) -> None:
        """Wait for the rest of a head that is not too long already."""
        if self.fed > self.limits.max_header_bytes:
            self._refusal = _LONG_HEAD
            self.send_400_response("")
        else:
            self.expect("head")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's words are not ours
        """Say in JSON why nobody will look at this request, and close."""
        if self.lingering or self.raw.is_closing():
            return
        self.counts.requests[NO_SOURCE, self._refusal[9:12].decode()] += 1
        self.raw.write(self._refusal)
        self.met()
        self.linger()

    def linger(self) -> None:
        """Close our side, and soon the rest: a close with unread bytes resets, and the answer is lost."""
        self.lingering = True
        self.met()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # nothing may be written behind the end
            self.cycle.message_event.set()
        self.forget_idling()
        if self.raw.can_write_eof():
            self.raw.write_eof()
        self.flow.resume_reading()
        self.deadline = self.loop.call_later(LINGER_S, self.raw.abort)

    def forget_idling(self) -> None:
        """Stop the timer, which would keep a closed connection in memory."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
