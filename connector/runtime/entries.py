"""Where the last record of every key is kept: one interface, and the one that keeps it in memory.

An entry begins with its Kafka timestamp and a number of clocks (see `state`). A checkpoint says up to which
offset of which changelog the entries are complete; it is never ahead of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

_UNTOLD: Final = 8
"""Where the number of clocks stands; a guard has none."""
_BODY: Final = 9
"""Where the body of an entry without clocks begins: byte 0 of Confluent's frame, else it is a guard."""


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """Up to where changelogs were read, and which ones they were."""

    cluster: str = ""
    at_s: float = 0.0
    """Unix seconds at which this was true; deletes that are much younger were perhaps never seen."""
    topics: dict[str, tuple[str, int]] = {}
    """Topic -> (its id, next offset to read)."""

    def next(self, topic: str) -> int:
        """Give the next offset to read; 0 if nothing was read yet."""
        return self.topics[topic][1] if topic in self.topics else 0


NOTHING: Final = Checkpoint()


class Entries(Protocol):
    """One source's keys in one partition."""

    @property
    def checkpoint(self) -> Checkpoint:
        """Up to where they are complete."""

    def get(self, key: str) -> bytes | None:
        """Give the entry of a key."""

    def put(self, changed: Mapping[str, bytes], checkpoint: Checkpoint | None = None) -> None:
        """Take entries, and with them, at one stroke, the checkpoint they lead to."""

    def expire(self, before_ms: int) -> int:
        """Forget the guards that were taken before a time, Unix ms; say how many.

        The time of the record does not count: a delete that is replayed is as old as its callback, and Kafka
        keeps its tombstone from now on. Perhaps not all of them at once.
        """

    def clear(self) -> None:
        """Forget everything, the checkpoint included."""


class Store(Protocol):
    """Keeps the entries of all partitions of a worker."""

    lasting: bool
    """Whether they outlive the process, so that a fresh checkpoint is worth its price."""

    def entries(self, source: str, partition: int) -> Entries:
        """Give those of a partition, the same ones each time."""

    def keys(self) -> int:
        """Count the keys, or estimate them."""

    def close(self) -> None:
        """Let go of what is held."""


def is_guard(entry: bytes) -> bool:
    """Tell a delete's guard from the record of a living key."""
    return bool(not entry[_UNTOLD] and entry[_BODY])


class MemoryEntries:
    """A dictionary, and its guards by age."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: Final[dict[str, bytes]] = {}
        self._guards: Final[deque[tuple[float, str, bytes]]] = deque()
        self.get: Final = self._entries.get
        self.checkpoint = NOTHING

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._entries)

    def put(self, changed: Mapping[str, bytes], checkpoint: Checkpoint | None = None) -> None:
        """See `Entries`."""
        self._entries.update(changed)
        now_ms = time.time() * 1000
        for key, entry in changed.items():
            # `is_guard`, said again: a rebuild comes here a million times
            if not entry[_UNTOLD] and entry[_BODY]:
                self._guards.append((now_ms, key, entry))
        if checkpoint is not None:
            self.checkpoint = checkpoint

    def expire(self, before_ms: int) -> int:
        """See `Entries`."""
        gone = 0
        while self._guards and self._guards[0][0] < before_ms:
            _, key, guard = self._guards.popleft()
            # revived or deleted again meanwhile, it is remembered on
            if self._entries.get(key) == guard:
                del self._entries[key]
                gone += 1
        return gone

    def clear(self) -> None:
        """See `Entries`."""
        self._entries.clear()
        self._guards.clear()
        self.checkpoint = NOTHING


class Memory:
    """Keeps everything in memory; about 0.5 kB per key."""

    lasting = False

    def __init__(self) -> None:
        """Start empty."""
        self._places: Final[dict[tuple[str, int], MemoryEntries]] = {}

    def entries(self, source: str, partition: int) -> MemoryEntries:
        """See `Store`."""
        return self._places.setdefault((source, partition), MemoryEntries())

    def keys(self) -> int:
        """See `Store`."""
        return sum(len(one) for one in list(self._places.values()))

    def close(self) -> None:
        """See `Store`."""
