"""The limits an ASGI callable never sees: it is called only after the head.

A subclass of uvicorn's httptools protocol with a cap on connections, deadlines for head and body, a limit for
the head, and a close that lets the sender read its answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final, cast

from connector.runtime.answers import RETRY_AFTER_S, raw
from connector.runtime.ingress_counts import NO_SOURCE, Counts
from connector.runtime.settings import IngressSettings
from connector.runtime.whole import Take, Whole

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


class _Refused(Exception):
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


class Door(Whole):
    """One connection. Made by uvicorn, so settings and counts are attributes of a subclass: see `door`."""

    limits: ClassVar[IngressSettings]
    counts: ClassVar[Counts]

    _raw: asyncio.Transport
    _wire: _Wire
    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    """Between the end of one request and the end of the next one's head."""
    _begun = False
    """Whether a byte of that head came."""
    _fed = 0
    """Bytes of reads that began in this head."""
    _chunk = 0
    _refusal = _NO_HTTP
    _discarded = 0
    lingering = False

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self._begun or not self._in_head or super().busy

    @property
    def unread(self) -> bool:
        """Whether the sender may still be sending a request."""
        return self.cycle is None or not self._in_head or self._begun

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's base says the narrower type too
        """Let a connection in, or say that there are too many."""
        super().connection_made(transport)
        self._raw = transport
        self._wire = _Wire(self, transport)
        self.transport = cast("asyncio.Transport", self._wire)
        if len(self.connections) > self.limits.max_connections:
            self.counts.unacked["connections"] += 1
            self.counts.requests[NO_SOURCE, "503"] += 1
            transport.write(_FULL)
            if len(self.connections) > self.limits.max_connections + SPARE:
                transport.close()
            else:
                self.linger()
            return
        self._deadline = self.loop.call_later(self.limits.head_timeout_s, self._late, "head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self._met()
        self.forget_idling()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; afterwards a deadline runs wherever a request is incomplete."""
        if self.lingering:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self._raw.abort()
            return
        self._chunk = len(data)
        if self._in_head:
            self._fed += len(data)
        super().data_received(data)
        if self.lingering or self._raw.is_closing():
            return
        if not self._in_head:
            self._go_on()
        elif self._begun or self._fed:
            if self._fed > self.limits.max_header_bytes:
                self._refusal = _LONG_HEAD
                self.send_400_response("")
            elif self._deadline is None:
                self._deadline = self.loop.call_later(self.limits.head_timeout_s, self._late, "head")

    def _go_on(self) -> None:
        """Wait for the rest of a body."""
        if self.awaiting:
            self.hand_over()
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.body_timeout_s, self._late, "body")

    def on_message_begin(self) -> None:
        """Note that a head began."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a head over the limits, then let uvicorn call the application."""
        limits = self.limits
        if len(self.headers) > limits.max_headers or (
            max(self._fed, self._chunk) > limits.max_header_bytes
            and len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            > limits.max_header_bytes
        ):
            self._refusal = _LONG_HEAD
            raise _Refused
        if self.parser.should_upgrade():  # httptools 0.9 then drops the body, and its proof fails
            self._refusal = _UPGRADE
            raise _Refused
        if self._deadline is not None:
            self._met()
        self._in_head = self._begun = False
        self._fed = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        if self._deadline is not None:
            self._met()
        self._in_head = True
        super().on_message_complete()

    def put(self, answer: bytes) -> None:
        """Write a whole answer past the wire that would gather its parts."""
        if not self._wire.is_closing():
            self._raw.write(answer)

    def on_response_complete(self) -> None:
        """Send the answer, and go on."""
        self._wire.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's words are not ours
        """Say in JSON why nobody will look at this request, and close."""
        if self.lingering or self._raw.is_closing():
            return
        self.counts.requests[NO_SOURCE, self._refusal[9:12].decode()] += 1
        self._raw.write(self._refusal)
        self._met()
        self.linger()

    def linger(self) -> None:
        """Close our side, and soon the rest: a close with unread bytes resets, and the answer is lost."""
        self.lingering = True
        self._met()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # nothing may be written behind the end
            self.cycle.message_event.set()
        self.forget_idling()
        if self._raw.can_write_eof():
            self._raw.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.call_later(LINGER_S, self._raw.abort)

    def _late(self, part: str) -> None:
        self._deadline = None
        if not self._raw.is_closing():
            self.counts.late[part] += 1
            self._raw.close()

    def _met(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def door(limits: IngressSettings, counts: Counts, take: Take) -> type[Door]:
    """Make the protocol class of one ingress; `take` gets what came whole."""
    members: dict[str, Any] = {"limits": limits, "counts": counts, "take": staticmethod(take)}
    return type("Door", (Door,), members)
