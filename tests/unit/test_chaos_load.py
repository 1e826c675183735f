"""The load of the chaos program: signed as vendors do, posted until acknowledged, noted in 20 bytes each."""

import asyncio
import json
import os
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from stack import SOURCES, Stack

from tests.chaos.lines import Answer, answer_of, prepare
from tests.chaos.posting import Order, Posting
from tests.chaos.rows import Open, Rows

TOLD = b'{"id": "01A", "accepted": 2, "quarantined": 1}'


@pytest.mark.parametrize("source", SOURCES)
def test_a_callback_is_signed_as_the_stack_signs_it(source: str, tmp_path: Path) -> None:
    stack = Stack("nowhere:1", "x", tmp_path)
    body = b'{"event": "x"}'

    request = prepare(source, body, stack.secrets[f"STACK_{source.upper().replace('-', '_')}_1"])

    url, headers = stack.request(source, body)
    head, _, sent = request.sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == f"POST /{url.split('/', 3)[3]} HTTP/1.1"
    assert headers.items() <= dict(line.split(": ", 1) for line in lines).items()
    assert f"content-length: {len(body)}" in lines
    assert sent == body
    assert request.body_sha256 == sha256(body).hexdigest()


def test_an_answer_is_read_when_all_of_it_is_there() -> None:
    whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\nconnection: close\r\n\r\n" % len(TOLD) + TOLD

    assert all(answer_of(whole[:at]) is None for at in range(len(whole)))
    assert answer_of(whole) == Answer(202, TOLD, closes=True)
    assert answer_of(b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\n{}") == Answer(503, b"{}", closes=False)


class Door:
    """Refuses, hangs up on or takes each callback, in turn, and remembers what it took."""

    def __init__(self) -> None:
        self.turn = 0
        self.taken: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            self.turn += 1
            if self.turn % 5 == 1:
                writer.write(b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\n{}")
            elif self.turn % 5 == 2:
                writer.close()
                return
            else:
                self.taken.append(body)
                told = json.dumps({"id": f"id-{len(self.taken)}", "accepted": 1}).encode()
                close = b"connection: close\r\n" if self.turn % 5 == 3 else b""
                head = b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n%s\r\n" % (len(told), close)
                writer.write(head + told)


def test_what_is_refused_is_sent_again_and_every_202_is_in_the_ledger(tmp_path: Path) -> None:
    ledger = os.open(tmp_path / "ledger", os.O_WRONLY | os.O_CREAT)
    door = Door()

    async def run() -> Posting:
        server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        order = Order(5, 4000.0, 8, {"one": port}, dict.fromkeys(SOURCES, "secret"))
        posting = Posting(order, ledger)

        def tell() -> None:
            posting.write()
            posting.closed = posting.closed or posting.acked > 100

        await posting.run(tell)
        server.close()
        return posting

    posting = asyncio.run(run())
    os.close(ledger)

    assert posting.failure == ""
    assert posting.acked == len(door.taken) >= 2000
    assert posting.refused["503"] > 0
    assert sum(posting.refused.values()) > posting.refused["503"]
    assert max(Counter(door.taken).values()) < 30, "only what the vendors repeat comes twice"
    rows = Rows().read(tmp_path / "ledger")
    assert len(rows) == posting.acked
    left = Open(rows)
    for number, body in enumerate(door.taken, start=1):
        assert not left.found(f"id-{number}", sha256(body).hexdigest())
    assert (left.missing, left.other_bytes, left.unanswered) == (0, 0, 0)


def test_a_callback_that_is_refused_for_good_ends_the_load(tmp_path: Path) -> None:
    ledger = os.open(tmp_path / "ledger", os.O_WRONLY | os.O_CREAT)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 x\r\ncontent-length: 2\r\n\r\n{}")

    async def run() -> Posting:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        order = Order(
            5, 100.0, 1, {"one": server.sockets[0].getsockname()[1]}, dict.fromkeys(SOURCES, "secret")
        )
        posting = Posting(order, ledger)
        await posting.run(lambda: None)
        server.close()
        return posting

    posting = asyncio.run(run())
    os.close(ledger)

    assert posting.failure.startswith("a callback was refused with 401")
