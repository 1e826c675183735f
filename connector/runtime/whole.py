"""Requests that came in one piece: answered without a task, an event or a scope of their own.

Nearly every callback fits into one read. For those uvicorn's request cycle is only cost: a task, two turns of
the loop, four messages. What comes in pieces, pipelined, or in any unusual way goes on to uvicorn as before.
Everything that happens to each request stands here, in one place; the limits are in `connector.runtime.door`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import httptools

from connector.runtime.answers import Answer
from connector.runtime.door import Door
from connector.runtime.ingress_counts import Counts
from connector.runtime.settings import IngressSettings

Reply = Callable[[Answer], None]
Take = Callable[[bytes, "list[tuple[bytes, bytes]]", bytes, str, Reply], None]
"""Path, headers, body, the sender's address, and where the answer goes; called in the loop's thread."""


class _Nobody:
    """Where uvicorn would wake the task of a request that has none."""

    def set(self) -> None:
        """Wake nobody."""


class _Visit:
    """One whole request until its answer; stands where uvicorn keeps its request cycle."""

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")

    message_event: ClassVar[_Nobody] = _Nobody()

    def __init__(self, protocol: Whole, keep_alive: bool) -> None:  # noqa: FBT001  made for every request
        self._protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def reply(self, answer: Answer) -> None:
        """Write the answer, unless nobody is there any more."""
        if not self.disconnected:
            self.response_complete = True
            self._protocol.answered(answer, close=answer.close or not self.keep_alive)


class Whole(Door):
    """The door with a shorter way for whole requests, and one timer per idle connection."""

    take: ClassVar[Take]

    awaiting = False
    """Whether a head is complete that uvicorn does not know of: its body is still being parsed."""
    _body = b""
    _idle_since = 0.0

    def data_received(self, data: bytes) -> None:
        """Parse what came; afterwards a deadline runs wherever a request is incomplete."""
        if self.lingering:
            self.discard(data)
            return
        self.chunk = len(data)
        if self.in_head:
            self.fed += len(data)
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # one raised in the callbacks, too
            self.send_400_response("")
            return
        if self.in_head and not self.begun and not self.fed:
            return
        if self.lingering or self.raw.is_closing():
            return
        if self.in_head:
            self.wait_for_head()
        else:
            if self.awaiting:
                self.hand_over()
            self.expect("body")

    def on_message_begin(self) -> None:
        """Begin with what every request needs; uvicorn's scope only where uvicorn goes on."""
        self.begun = True
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Check the head; wait for the body where nothing speaks against the short way."""
        limits, parser = self.limits, self.parser
        if (
            len(self.headers) > limits.max_headers
            or max(self.fed, self.chunk) > limits.max_header_bytes
            or parser.should_upgrade()
        ):
            self.check_head()
        if self.deadline is not None:
            self.met()
        self.in_head = self.begun = False
        self.fed = 0
        self._body = b""
        url, cycle = self.url, self.cycle
        self.awaiting = (
            (cycle is None or cycle.response_complete)
            and parser.get_method() == b"POST"
            and url[:1] == b"/"
            and b"?" not in url
            and b"#" not in url
            and url.isascii()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )
        if not self.awaiting:
            self.hand_over()

    def on_body(self, body: bytes) -> None:
        """Keep the body together."""
        if self.awaiting:
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the request if it came whole, and expect the next head."""
        if self.deadline is not None:
            self.met()
        self.in_head = True
        if not self.awaiting:
            super().on_message_complete()
            return
        self.awaiting = False
        if self.lingering or self.raw.is_closing():
            return
        parser = self.parser
        visit = _Visit(self, parser.should_keep_alive() and parser.get_http_version() != "1.0")
        self.cycle = visit  # type: ignore[assignment]  # it has what uvicorn asks of one
        type(self).take(self.url, self.headers, self._body, self.sender, visit.reply)

    def hand_over(self) -> None:
        """Let uvicorn go on with a request whose head is complete."""
        url, headers, expects, body = self.url, self.headers, self.expect_100_continue, self._body
        self.awaiting, self._body = False, b""
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers = self.scope["headers"] = headers
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def answered(self, answer: Answer, *, close: bool) -> None:
        """Write an answer in one go, then close or expect the next request.

        Reading was not paused: uvicorn does that for a request in pieces or behind another one.
        """
        state, raw = self.server_state, self.raw
        closing = self.lingering or raw.is_closing()
        if not closing:
            raw.write(answer.wire(_lines(state.default_headers), close=close))
        if close:
            self.transport.close()
        if close or closing or self.pipeline:
            self.on_response_complete()
            return
        state.total_requests += 1
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """Send what uvicorn wrote; go on with the next request, or begin to be idle."""
        self.wire.flush()
        if self.pipeline or self.transport.is_closing():
            self.forget_idling()
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)

    def _watch(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Let the timer run: it looks by itself whether the connection was idle."""

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for long enough; look again where it was not."""
        self.timeout_keep_alive_task = None
        if self.busy or self.transport.is_closing():
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > _EARLY_S:
            self._watch(left_s)
        else:
            super().timeout_keep_alive_handler()


def door(limits: IngressSettings, counts: Counts, take: Take) -> type[Whole]:
    """Make the protocol class of one ingress; `take` gets what came whole."""
    members: dict[str, Any] = {"limits": limits, "counts": counts, "take": staticmethod(take)}
    return type("Door", (Whole,), members)


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Write uvicorn's headers of every answer; it makes a new list once a second."""
    global _written  # noqa: PLW0603  one pair for the process, as the headers are
    known, lines = _written
    if known is not headers:
        lines = b"".join(b"%b: %b\r\n" % one for one in headers)
        _written = headers, lines
    return lines


_written: tuple[list[tuple[bytes, bytes]], bytes] = [], b""
_EARLY_S: Final = 0.01
"""How much too early a timer may be."""
