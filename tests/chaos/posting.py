"""Posts callbacks from a process of its own: signed in advance, over keep-alive connections, noted in a file.

    python -m tests.chaos.posting LEDGER

The first line of standard input says what to post (`Order`); each further one is the list of doors to use
from now on, or `"close"`: no new callbacks. One JSON line every quarter of a second says how it goes, the
last one with `over`.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
import uvloop

from tests.chaos.lines import Answer, Line, Request, prepare
from tests.chaos.load import Stream
from tests.chaos.rows import pack

AGAIN_S: Final = 0.5
"""A callback that got no 2xx is sent again this much later."""
ANSWER_S: Final = 20.0
RECONNECT_S: Final = 0.25
TELL_S: Final = 0.25
CLOCK_S: Final = 0.01
"""What may be sent is looked up this often, and after every answer."""


class Order(msgspec.Struct):
    """What is to be posted where."""

    seed: int
    rate: float
    """Callbacks per second on the average: what was held up is caught up with."""
    connections: int
    """To each door."""
    doors: dict[str, int]
    """Name -> port."""
    secrets: dict[str, str]
    """Source -> its secret."""


class Posting:
    """All lines to all doors, and the ledger of what was acknowledged."""

    def __init__(self, order: Order, ledger: int) -> None:
        """Take a file descriptor for 20 bytes per acknowledged callback."""
        self.acked = 0
        self.refused: Counter[str] = Counter()
        self.failure = ""
        self._order: Final = order
        self._ledger: Final = ledger
        self._rows: Final = bytearray()
        self._stream: Final = Stream(order.seed)
        self._made: Final[deque[Request]] = deque()
        self._again: Final[deque[tuple[float, Request]]] = deque()
        self._lines: Final[dict[str, list[Line]]] = {name: [] for name in order.doors}
        self._idle: Final[dict[str, list[Line]]] = {name: [] for name in order.doors}
        self._ready: list[str] = list(order.doors)
        self._turn = self._sent = self._busy = 0
        self._begun_s = 0.0
        self.closed = False
        """Whether no new callbacks are made; what is made is still sent."""

    def use(self, doors: list[str]) -> None:
        """Send to these from now on; to all while there is none."""
        self._ready = doors or list(self._order.doors)

    @property
    def over(self) -> bool:
        """Whether every callback that was made is acknowledged."""
        left = self._busy or self._again or self._made or not self.closed
        return not left or bool(self.failure)

    async def run(self, tell: Callable[[], None]) -> None:
        """Post until everything is acknowledged."""
        loop, order = asyncio.get_running_loop(), self._order
        self._begun_s = loop.time()
        tasks = [
            loop.create_task(self._keep(name, port))
            for name, port in order.doors.items()
            for _ in range(order.connections)
        ]
        told_s = 0.0
        while not self.over:
            self._pump()
            now_s = loop.time()
            if now_s - told_s > TELL_S:
                told_s = now_s
                self._expire(now_s)
                tell()
            await asyncio.sleep(CLOCK_S)
        for task in tasks:
            task.cancel()
        tell()

    async def _keep(self, door: str, port: int) -> None:
        """Keep one line to a door open."""
        loop = asyncio.get_running_loop()
        while True:
            line = Line(door, self._answered)
            try:
                await loop.create_connection(lambda line=line: line, "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            self._lines[door].append(line)
            self._idle[door].append(line)
            await line.gone
            self._lines[door].remove(line)

    def _pump(self) -> None:
        """Send what is due, as long as a line is free."""
        now_s = asyncio.get_running_loop().time()
        while self._due(now_s) and (line := self._line()) is not None:
            if self._again and self._again[0][0] <= now_s:
                request = self._again.popleft()[1]
            else:
                request = self._made.popleft()
                self._sent += 1
            self._busy += 1
            line.send(request, now_s)

    def _due(self, now_s: float) -> bool:
        if self._again and self._again[0][0] <= now_s:
            return True
        if self._sent > (now_s - self._begun_s) * self._order.rate:
            return False
        if not self._made and not self.closed:
            secrets = self._order.secrets
            self._made.extend(
                prepare(one.source, one.body, secrets[one.source]) for one in self._stream.portion()
            )
        return bool(self._made)

    def _line(self) -> Line | None:
        """Give a free line to a door that is ready, of each door in its turn."""
        for _ in self._ready:
            self._turn += 1
            idle = self._idle[self._ready[self._turn % len(self._ready)]]
            while idle:
                line = idle.pop()
                if line.transport is not None and not line.transport.is_closing():
                    return line
        return None

    def _answered(self, line: Line, request: Request, outcome: Answer | str) -> None:
        self._busy -= 1
        if line.transport is not None:
            self._idle[line.door].append(line)
        if isinstance(outcome, Answer) and outcome.status == 202:
            told = json.loads(outcome.body)
            self._rows += pack(told["id"], request.body_sha256, told["accepted"], told.get("quarantined", 0))
            self.acked += 1
        else:
            why = str(outcome.status) if isinstance(outcome, Answer) else outcome
            if why[:1] == "4":
                self.failure = f"a callback was refused with {why}: {request.sent!r}"
            self.refused[why] += 1
            self._again.append((asyncio.get_running_loop().time() + AGAIN_S, request))
        self._pump()

    def _expire(self, now_s: float) -> None:
        """End lines whose answer does not come, and write the ledger down."""
        for lines in self._lines.values():
            for line in lines:
                if (
                    line.request is not None
                    and now_s - line.since_s > ANSWER_S
                    and line.transport is not None
                ):
                    line.transport.abort()
        self.write()

    def write(self) -> None:
        """Put the rows that are new into the file."""
        if self._rows:
            rows, written = bytes(self._rows), 0
            self._rows.clear()
            while written < len(rows):
                written += os.write(self._ledger, rows[written:])

    def told(self) -> dict[str, Any]:
        """Say how it goes."""
        return {
            "acked": self.acked,
            "refused": dict(self.refused),
            "failure": self.failure,
            "over": self.over,
            "late_s": round(time.monotonic() - self._begun_s - self._sent / self._order.rate, 1),
        }


async def post(order: Order, ledger: int) -> None:
    """Post everything, obeying standard input."""
    loop = asyncio.get_running_loop()
    posting = Posting(order, ledger)

    def heard(line: str) -> None:
        if not line:
            posting.failure = "whoever began this is gone"
        elif (said := json.loads(line)) == "close":
            posting.closed = True
        else:
            posting.use(said)

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(heard, line)
        loop.call_soon_threadsafe(heard, "")

    def tell() -> None:
        posting.write()
        print(json.dumps(posting.told()), flush=True)

    threading.Thread(target=listen, daemon=True).start()
    await posting.run(tell)


def main() -> None:
    """Post what the first line of standard input says."""
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    ledger = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    uvloop.run(post(order, ledger))


if __name__ == "__main__":
    main()
