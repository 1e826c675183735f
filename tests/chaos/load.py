"""Load without an end: callbacks made as they are sent, a ledger of 20 bytes a row, several doors."""

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from callbacks import Made, Vendors
from ledger import Load
from stack import Stack

from tests.chaos.rows import Rows

EPOCH_S: Final = 1_740_000_000
"""Vendors' clocks begin ten days before this: not with the run, or a seed would not say what is sent."""
PORTION: Final = 2000
GIVE_UP_S: Final = 900.0


def client_key(seed: int) -> str:
    """Give Duett's company id of a run: it stands in the bodies."""
    return str(uuid.UUID(int=Random(seed).getrandbits(128), version=4))


class Stream:
    """What `Load` takes callbacks from: portions of a seeded sequence until it is closed."""

    def __init__(self, seed: int) -> None:
        self._vendors: Final = Vendors(seed, client_key(seed), now_s=EPOCH_S)
        self._ready: Final[deque[Made]] = deque()
        self._closed = False

    def __len__(self) -> int:
        if not self._ready and not self._closed:
            self._ready.extend(self._vendors.callbacks(PORTION))
        return len(self._ready)

    def popleft(self) -> Made:
        """Give the next callback."""
        return self._ready.popleft()

    def close(self) -> None:
        """Make no more."""
        self._closed = True
        self._ready.clear()


class Doors:
    """Signs as the stack does, and spreads over the ingresses that are ready, as a Service would."""

    def __init__(self, stack: Stack, ports: Mapping[str, int], ready: Callable[[], list[str]]) -> None:
        self._stack = stack
        self._ports = ports
        self._ready = ready
        self._turn = 0

    def request(self, source: str, body: bytes, *, slot: int = 1) -> tuple[str, dict[str, str]]:
        """Give URL and headers of a callback."""
        url, headers = self._stack.request(source, body, slot=slot)
        names = self._ready() or list(self._ports)
        self._turn += 1
        port = self._ports[names[self._turn % len(names)]]
        return url.replace(f":{self._stack.port}/", f":{port}/", 1), headers


class Endless(Load):
    """Posts a stream until it is closed, then what is left."""

    def __init__(
        self, doors: Doors, stream: Stream, *, connections: int, rate: float, seconds: float
    ) -> None:
        super().__init__(
            doors,  # type: ignore[arg-type]  # all it asks of a stack is `request`
            (),
            connections=connections,
            rate=rate,
            within_s=seconds + GIVE_UP_S,
        )
        self.rows: Rows = Rows()  # type: ignore[assignment]  # only appended to and counted
        self._made: Stream = stream  # type: ignore[assignment]  # only taken from
