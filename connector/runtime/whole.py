"""Requests that came in one piece: answered without a task, an event or a scope of their own.

Nearly every callback fits into one read. For those uvicorn's request cycle is only cost: a task, two turns of
the loop, four messages. What comes in pieces, pipelined, or in any unusual way goes on to uvicorn as before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connector.runtime.answers import Answer

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

    def __init__(self, protocol: Whole, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def reply(self, answer: Answer) -> None:
        """Write the answer, unless nobody is there any more."""
        if not self.disconnected:
            self.response_complete = True
            self._protocol.answered(answer, close=answer.close or not self.keep_alive)


class Whole(HttpToolsProtocol):
    """uvicorn's protocol with a shorter way for whole requests, and one timer per idle connection."""

    take: ClassVar[Take]

    awaiting = False
    """Whether a head is complete that uvicorn does not know of: its body is still being parsed."""
    _body = b""
    _idle_since = 0.0

    def on_message_begin(self) -> None:
        """Begin with what every request needs; uvicorn's scope only where uvicorn goes on."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Wait for the body where nothing speaks against the short way."""
        url, cycle = self.url, self.cycle
        self._body = b""
        self.awaiting = (
            (cycle is None or cycle.response_complete)
            and self.parser.get_method() == b"POST"
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
        """Take the request, which came whole."""
        if not self.awaiting:
            super().on_message_complete()
            return
        self.awaiting = False
        if self.transport.is_closing():
            return
        parser = self.parser
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        visit = _Visit(self, keep_alive=keep_alive)
        self.cycle = visit  # type: ignore[assignment]  # it has what uvicorn asks of one
        type(self).take(
            self.url, self.headers, self._body, self.client[0] if self.client else "", visit.reply
        )

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
        """Write an answer in one go, then close or expect the next request."""
        defaults = _lines(tuple(self.server_state.default_headers))
        self.put(answer.wire(defaults, close=close))
        if close:
            self.transport.close()
        self.on_response_complete()

    def put(self, answer: bytes) -> None:
        """Write a whole answer."""
        self.transport.write(answer)

    def on_response_complete(self) -> None:
        """Go on with the next request, or begin to be idle."""
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

    def forget_idling(self) -> None:
        """Stop the timer, which would keep a closed connection in memory."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

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

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered."""
        return not self.cycle.response_complete


@lru_cache(maxsize=4)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write uvicorn's headers of every answer, which change once a second."""
    return b"".join(b"%b: %b\r\n" % one for one in headers)


_EARLY_S: Final = 0.01
"""How much too early a timer may be."""
