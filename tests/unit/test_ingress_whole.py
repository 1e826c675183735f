"""The short way of whole requests by itself: no socket, no Kafka, no application."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from connector.errors import NotAuthentic
from connector.runtime.answers import Answer, accepted, refusal
from connector.runtime.head import path_of, paths_of
from connector.runtime.ingress_counts import Counts
from connector.runtime.receipts import Receipt
from connector.runtime.settings import IngressSettings
from connector.runtime.whole import Reply, Whole, door

BODY = b'{"event":1}'
YES = accepted(Receipt("0" * 26, 1, 0), close=False)
DATE = [(b"date", b"Sat, 21 Nov 2026 11:50:15 GMT")]


def request(body: bytes = BODY, *headers: str, version: str = "1.1", path: str = "/hooks/duett/d1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: t", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Line:
    """Stands where a socket would: keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = self.paused = self.ended = False

    def write(self, part: bytes) -> None:
        assert not self.closed
        self.written.append(part)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 4711) if name in {"peername", "sockname"} else None


class Rig:
    """One connection, what came whole on it, and what uvicorn's application was given instead."""

    def __init__(self, **limits: Any) -> None:
        self.whole: list[tuple[bytes, list[tuple[bytes, bytes]], bytes, str, Reply]] = []
        self.bodies: list[bytes] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.counts = Counts()
        settings = IngressSettings(**limits)
        made = door(settings, self.counts, lambda *request: self.whole.append(request))
        config = uvicorn.Config(
            self.app, http=made, ws="none", lifespan="off", interface="asgi3", log_config=None
        )
        config.load()
        self.state = ServerState()
        self.state.default_headers = DATE
        self.protocol: Whole = made(config=config, server_state=self.state, app_state={})
        self.line = Line()
        self.protocol.connection_made(self.line)  # type: ignore[arg-type]  # enough of a transport

    async def app(self, _scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        self.bodies.append(body)
        await self.go_on.wait()
        await send(YES.start)
        await send(YES.body)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.protocol.data_received(part)

    def reply(self, answer: Answer = YES) -> None:
        """Answer the last request that came whole."""
        self.whole[-1][-1](answer)

    async def rest(self) -> None:
        """Let the tasks of uvicorn's way do what they can."""
        for _ in range(20):
            await asyncio.sleep(0)


def play(story: Callable[[Rig], Coroutine[Any, Any, None]], **limits: Any) -> None:
    async def scene() -> None:
        rig = Rig(**limits)
        await story(rig)
        rig.protocol.connection_lost(None)

    asyncio.run(scene())


def test_a_request_that_came_whole_is_taken_at_once_and_answered_in_one_write() -> None:
    async def story(rig: Rig) -> None:
        rig.send(request(BODY, "X-Odd: \xe6"))
        ((path, headers, body, sender, _),) = rig.whole

        assert path == b"/hooks/duett/d1"
        assert headers[1] == (b"content-length", b"11")
        assert [name for name, _ in headers] == [b"host", b"content-length", b"x-odd"]
        assert (body, sender) == (BODY, "192.0.2.1")
        assert rig.line.written == []
        rig.reply()
        assert rig.line.written == [
            b"HTTP/1.1 202 Accepted\r\ndate: Sat, 21 Nov 2026 11:50:15 GMT\r\n"
            b"content-type: application/json\r\ncontent-length: 51\r\n\r\n" + YES.said
        ]
        assert (rig.state.total_requests, rig.line.closed, rig.bodies) == (1, False, [])

    play(story)


def test_one_request_after_the_other_goes_the_short_way() -> None:
    async def story(rig: Rig) -> None:
        for number in range(3):
            rig.send(request(b"%d" % number))
            rig.reply()

        assert [body for _, _, body, _, _ in rig.whole] == [b"0", b"1", b"2"]
        assert len(rig.line.written) == rig.state.total_requests == 3

    play(story)


@pytest.mark.parametrize(
    "sent",
    [
        [request()[:-4], request()[-4:]],
        [request().split(b"\r\n\r\n")[0] + b"\r\n\r\n", BODY],
        [request(path="/hooks/duett/d1?x=1")],
        [request(BODY, "Expect: 100-continue")],
        [request().replace(b"POST", b"PUT")],
    ],
)
def test_what_is_unusual_goes_to_uvicorn_with_its_whole_body(sent: list[bytes]) -> None:
    async def story(rig: Rig) -> None:
        for part in sent:
            rig.send(part)
            await rig.rest()

        assert (rig.whole, rig.bodies) == ([], [BODY])
        assert rig.line.written[-1].startswith(b"HTTP/1.1 202 ")

    play(story)


def test_a_request_behind_an_unanswered_one_waits_for_its_turn() -> None:
    async def story(rig: Rig) -> None:
        rig.send(request(b"first") + request(b"second"))
        await rig.rest()

        assert (len(rig.whole), rig.bodies, rig.line.paused) == (1, [], True)
        rig.reply()
        await rig.rest()
        assert (rig.bodies, rig.line.paused) == ([b"second"], False)
        assert len(rig.line.written) == 2

    play(story)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (request(BODY, "Connection: close"), YES),
        (request(BODY, "Connection: keep-alive", version="1.0"), YES),
        (request(), refusal(NotAuthentic, close=True)),
    ],
)
def test_an_answer_that_ends_the_connection_says_so_and_closes(sent: bytes, answer: Answer) -> None:
    async def story(rig: Rig) -> None:
        rig.send(sent)
        rig.reply(answer)

        (written,) = rig.line.written
        assert b"connection: close\r\n" in written
        assert rig.line.closed
        assert rig.protocol.timeout_keep_alive_task is None

    play(story)


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    async def story(rig: Rig) -> None:
        rig.send(request())
        rig.line.closed = True
        rig.protocol.connection_lost(None)
        rig.reply()

        assert rig.line.written == []
        assert rig.state.total_requests == 0

    play(story)


def test_a_request_that_comes_while_the_connection_closes_is_not_taken() -> None:
    async def story(rig: Rig) -> None:
        rig.line.closed = True
        rig.send(request())

        assert rig.whole == []

    play(story)


def test_nothing_is_written_behind_the_end_of_our_side() -> None:
    async def story(rig: Rig) -> None:
        rig.send(request(), b"\x16\x03\x01 no HTTP\r\n\r\n")
        (refused,) = rig.line.written
        rig.reply()
        rig.send(request())

        assert refused.startswith(b"HTTP/1.1 400 ")
        assert rig.line.ended
        assert (rig.line.written, len(rig.whole)) == ([refused], 1)

    play(story)


def test_a_connection_has_one_timer_for_all_its_idle_times() -> None:
    async def story(rig: Rig) -> None:
        rig.send(request())
        assert rig.protocol.timeout_keep_alive_task is None
        rig.reply()
        timer = rig.protocol.timeout_keep_alive_task
        rig.send(request())
        rig.protocol.timeout_keep_alive_handler()

        assert not rig.line.closed  # it is being answered
        rig.reply()
        rig.protocol.timeout_keep_alive_handler()
        assert not rig.line.closed  # it was idle for no time yet
        assert timer is not None
        assert rig.protocol.timeout_keep_alive_task is not timer
        rig.protocol._idle_since -= 75  # noqa: SLF001  nobody waits so long
        rig.protocol.timeout_keep_alive_handler()
        assert rig.line.closed

    play(story)


def test_a_deadline_runs_only_while_a_request_is_incomplete() -> None:
    async def story(rig: Rig) -> None:
        protocol, sent = rig.protocol, request()

        assert protocol.deadline is not None
        rig.send(sent)
        assert protocol.deadline is None
        rig.reply()
        rig.send(sent[:10])
        assert protocol.deadline is not None
        rig.send(sent[10:-1])
        assert protocol.deadline is not None
        rig.send(sent[-1:])
        assert protocol.deadline is None

    play(story)


def test_the_headers_of_every_answer_follow_uvicorns() -> None:
    async def story(rig: Rig) -> None:
        for date in (b"one", b"one", b"two"):
            rig.state.default_headers = [(b"date", date)]
            rig.send(request())
            rig.reply()

            assert b"\r\ndate: %b\r\n" % date in rig.line.written[-1]

    play(story)


@pytest.mark.parametrize(
    "limits",
    [{"max_headers": 8}, {"max_header_bytes": 1024}],
)
def test_a_head_over_its_limits_never_gets_as_far(limits: dict[str, int]) -> None:
    async def story(rig: Rig) -> None:
        rig.send(request(BODY, *[f"X-{number}: {'x' * 200}" for number in range(8)]))

        assert rig.whole == []
        assert rig.line.written[0].startswith(b"HTTP/1.1 431 ")

    play(story, **limits)


def test_the_paths_of_the_endpoints_are_read_as_any_path() -> None:
    known = paths_of([("duett", "d1"), ("duett", "a%41"), ("visma-net", "x/y"), ("quickfile", "\u2028")])

    assert known[b"/hooks/duett/d1"] == ("duett", "d1", "")
    assert all(path_of(raw) == told for raw, told in known.items())
