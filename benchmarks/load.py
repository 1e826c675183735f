"""Sends callbacks over keep-alive connections, the next one after the answer to the last: a closed loop.

Plain sockets and epoll, one request per connection at a time: the load shares its core with the broker.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from benchmarks import callbacks
from benchmarks.program import Failed

CONNECTIONS: Final = 64
STALLED_S: Final = 10.0
_BUFFER: Final = 65_536
_id: Final = re.compile(rb'"id": ?"([^"]+)"')


class Load:
    """64 connections to one server on 127.0.0.1.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._head: Final = (
            f"POST /hooks/duett/{callbacks.ENDPOINT} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {callbacks.SECRET}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {callbacks.BYTES}\r\n\r\n"
        ).encode()
        self._row = callbacks.FIRST_ROW
        self._cold = False
        self._answers: dict[int, bytes] = {}
        self._epoll: Final = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self.acked: list[bytes] = []
        """Every 202 as it came, head and body."""
        self.refused = 0
        """Answers 503 of the warm-up: a cold broker may take longer than the ingress waits for it."""
        for _ in range(CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[one.fileno()] = one
            self._epoll.register(one, select.EPOLLIN)

    def run(self, seconds: float, *, last: bool = False, cold: bool = False) -> None:
        """Keep every connection busy for so long; the `last` time wait for what is open.

        Args:
            seconds: How long.
            last: Send nothing more.
            cold: Only warming up: count a 503 and go on.

        Raises:
            Failed: An answer that is no 202, a closed connection, or none answers.
        """
        self._cold = cold
        end_s = time.monotonic() + seconds
        for number in self._sockets:
            if number not in self._answers:
                self._send(number)
        while time.monotonic() < end_s:
            self._turn(self._send)
        while last and self._answers:
            self._turn(lambda _: None)

    def _turn(self, then: Callable[[int], None]) -> None:
        ready = self._epoll.poll(STALLED_S)
        if not ready:
            raise Failed(f"no answer within {STALLED_S:.0f} s")
        for number, _ in ready:
            answer = self._answers[number] + self._sockets[number].recv(_BUFFER)
            if not answer.endswith(b"}"):
                if not answer:
                    raise Failed("the server closed a connection")
                self._answers[number] = answer
                continue
            del self._answers[number]
            if answer.startswith(b"HTTP/1.1 202"):
                self.acked.append(answer)
            elif self._cold and answer.startswith(b"HTTP/1.1 503"):
                self.refused += 1
            else:
                raise Failed(f"not a 202: {answer[:200]!r}")
            then(number)

    def _send(self, number: int) -> None:
        self._answers[number] = b""
        self._sockets[number].sendall(self._head + callbacks.sent(self._row))
        self._row += 1

    def ids(self) -> list[str]:
        """Give the delivery ids of all answers.

        Raises:
            Failed: A 202 without one.
        """
        found = [_id.search(one) for one in self.acked]
        if not all(found):
            raise Failed("a 202 without a delivery id")
        return [one[1].decode() for one in found if one]

    def close(self) -> None:
        """Close all connections."""
        for one in self._sockets.values():
            with suppress(OSError):
                one.close()
        self._epoll.close()
