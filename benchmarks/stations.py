"""The stations of the worker one by one, on the bodies of S1, so that a sum can be held against the whole.

A cycle of records goes through one station at a time; the clock (CPU of this thread) is read twice per cycle
and station. What happens inside another station is done once more by itself and taken off.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from confluent_kafka import Message

from benchmarks import callbacks
from connector import flow
from connector.core.avro import Codec
from connector.core.changelog import EntityChangelog
from connector.core.history import history, meta
from connector.core.join import apply, supersedes
from connector.core.keys import partition_of
from connector.entities import ARRAYS, ENTITIES
from connector.model import NOTHING, ChangeEvent, ChangelogRecord, Known, Outcome, RawRecord, State
from connector.runtime import wire
from connector.runtime.batch import Cycle, Fence
from connector.runtime.desk import furnish
from connector.runtime.entries import MemoryEntries
from connector.runtime.registry import Registry, folder
from connector.runtime.state import CycleView, PartitionState
from connector.runtime.wire import KafkaRecord
from connector.sources import SOURCES
from connector.topics import CHANGELOG_MAX_BYTES, Topics

CYCLE: Final = 2000
PARTITIONS: Final = 12
SOURCE: Final = SOURCES["duett"]
ENTITY: Final = "voucher_line"

WRAP: Final = "wrap: message -> raw record"
READ: Final = "normalise: the vendor's body"
NORMALISE: Final = "normalise: time, masking, effect"
LOOK: Final = "look up, with the Avro decode of a known state"
JOIN: Final = "join"
COLUMNS: Final = "changelog record: columns, clocks"
HEADERS: Final = "changelog record: CloudEvents headers"
ENCODE: Final = "changelog record: Avro encode"
TOLD: Final = "history record: columns"
TOLD_ENCODE: Final = "history record: Avro encode"
LAY: Final = "lay out"
REMEMBER: Final = "remember"
PURE: Final = (
    WRAP,
    READ,
    NORMALISE,
    LOOK,
    JOIN,
    COLUMNS,
    HEADERS,
    ENCODE,
    TOLD,
    TOLD_ENCODE,
    LAY,
    REMEMBER,
)
WHOLE: Final = "the pure part as one: wrap, carry, lay out"

One = TypeVar("One")
Two = TypeVar("Two")
Step = tuple[ChangeEvent, Known | None, State]
"""An applied event, what was known, what is known now."""


class _Deaf(Codec):
    """Takes records and encodes none of them: what is left is the cost of making them."""

    def __init__(self, schema_id: int, schema: dict[str, Any]) -> None:
        super().__init__(schema_id, schema)
        self.taken: list[Mapping[str, Any]] = []

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Keep the record for the real codec."""
        self.taken.append(record)
        return b""

    def give(self) -> list[Mapping[str, Any]]:
        """Give what was kept, and forget it."""
        taken, self.taken = self.taken, []
        return taken


class Clock:
    """CPU of this thread per station, ns."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = defaultdict(int)

    def run(self, station: str, each: Callable[[One], Two], through: Iterable[One]) -> list[Two]:
        """Take all through one station."""
        begun = time.thread_time_ns()
        out = [each(one) for one in through]
        self.ns[station] += time.thread_time_ns() - begun
        return out


class Line:
    """All pure stations, and the state between cycles."""

    def __init__(self, topics: Topics) -> None:
        registry = Registry.load(folder())
        self._desk, codecs = furnish(registry, callbacks.DIGEST_KEY)
        self._topics: Final = topics
        self.clock: Final = Clock()
        self._state: Final = PartitionState(SOURCE.name, self._desk.changelogs, codecs, MemoryEntries())
        self._codec: Final = codecs.writer(ENTITY)
        self._deaf: Final = _Deaf(*registry.writer(ENTITY))
        self._deaf_history: Final = _Deaf(*registry.writer("event"))
        self._changelog: Final = EntityChangelog(
            SOURCE,
            ENTITIES[ENTITY],
            ARRAYS,
            self._deaf,
            minimal_headers=False,
            max_bytes=CHANGELOG_MAX_BYTES,
        )
        self._cycles = 0

    def apart(self, messages: Sequence[Message]) -> list[KafkaRecord]:
        """Take one cycle through each station by itself."""
        clock, privacy = self.clock, self._desk.privacy
        cycle, view = self._begin()
        raws = clock.run(WRAP, wire.to_raw, messages)
        events = clock.run(NORMALISE, lambda raw: flow.normalise(raw, SOURCE, privacy), raws)
        clock.run(READ, SOURCE.normalise, raws)
        known = clock.run(LOOK, lambda event: _known(event, view), events)
        steps, verdicts = self._join(events, known)
        about = dict(zip(map(id, events), clock.run(TOLD, meta, events), strict=True))
        records = self._records(steps, about)
        begun = time.thread_time_ns()
        for event, verdict in zip(events, verdicts, strict=True):
            history(event, about[id(event)], verdict, self._deaf_history)
        clock.ns[TOLD] += time.thread_time_ns() - begun
        told = clock.run(TOLD_ENCODE, self._desk.history.encode, self._deaf_history.give())
        outcomes = list(_outcomes(events, verdicts, told, steps, records))
        laid = clock.run(LAY, lambda outcome: wire.from_outcome(self._topics, outcome), outcomes)
        clock.run(REMEMBER, lambda one: view.put(one.event.key, one), (one for one in outcomes if one.known))
        self._end(cycle)
        return [record for group in laid for record in group]

    def _begin(self) -> tuple[Cycle, CycleView]:
        cycle = Cycle(0, self._cycles, Fence(None))
        self._cycles += 1
        return cycle, self._state.view(cycle)

    def _end(self, cycle: Cycle) -> None:
        begun = time.thread_time_ns()
        self._state.commit(cycle)
        self.clock.ns[REMEMBER] += time.thread_time_ns() - begun

    def _join(
        self, events: Sequence[ChangeEvent], known: Sequence[Known | None]
    ) -> tuple[list[Step], list[str]]:
        fresh: dict[str, Known] = {}
        steps: list[Step] = []
        verdicts: list[str] = []
        begun = time.thread_time_ns()
        for event, committed in zip(events, known, strict=True):
            old = fresh.get(event.key.text, committed)
            new, verdict = apply(NOTHING if old is None else old.state, event.state)
            verdicts.append(verdict)
            if verdict == "applied":
                steps.append((event, old, new))
                fresh[event.key.text] = Known(new, event.meta.received_us // 1000)
        self.clock.ns[JOIN] += time.thread_time_ns() - begun
        return steps, verdicts

    def _records(
        self, steps: Sequence[Step], about: Mapping[int, Mapping[str, Any]]
    ) -> list[ChangelogRecord]:
        """Write changelog records; the headers are made once more to tell their share."""
        clock, changelog = self.clock, self._changelog
        empty = clock.run(
            COLUMNS, lambda step: changelog.records(step[0], about[id(step[0])], *step[1:])[0], steps
        )
        clock.run(HEADERS, lambda step: changelog._headers(step[0], "UPSERT", step[0].version, None), steps)  # noqa: SLF001  no other way in
        framed = clock.run(ENCODE, self._codec.encode, self._deaf.give())
        return [
            ChangelogRecord(one.key, one.op, value, one.headers, one.timestamp_ms)
            for one, value in zip(empty, framed, strict=True)
        ]

    def together(self, messages: Sequence[Message]) -> list[KafkaRecord]:
        """Take one cycle through the pure part as the worker does."""
        begun = time.thread_time_ns()
        cycle, view = self._begin()
        laid: list[KafkaRecord] = []
        for one in flow.carry(map(wire.to_raw, messages), SOURCE, view, self._desk):
            assert isinstance(one, Outcome)
            laid.extend(wire.from_outcome(self._topics, one))
        self._state.commit(cycle)
        self.clock.ns[WHOLE] += time.thread_time_ns() - begun
        return laid

    def told(self) -> dict[str, float]:
        """Give ns per station; what was measured together is taken apart."""
        ns = dict(self.clock.ns)
        for outer, inner in ((NORMALISE, READ), (COLUMNS, HEADERS)):
            if outer in ns:
                ns[outer] = max(ns[outer] - ns[inner], 0)
        return {name: float(one) for name, one in ns.items()}


def _known(event: ChangeEvent, view: CycleView) -> Known | None:
    """Look a key up as `flow.compact` does."""
    old = view.glance(event.key)
    if old is None or not supersedes(event.state, old.state):
        old = view.get(event.key)
    return old


def _outcomes(
    events: Sequence[ChangeEvent],
    verdicts: Sequence[str],
    told: Sequence[bytes],
    steps: Iterable[Step],
    records: Iterable[ChangelogRecord],
) -> Iterator[Outcome]:
    applied = zip(steps, records, strict=True)
    for event, verdict, framed in zip(events, verdicts, told, strict=True):
        if verdict != "applied":
            yield Outcome(event, "duplicate", framed)
            continue
        (_, _, new), record = next(applied)
        yield Outcome(event, "applied", framed, (record,), known=Known(new, record.timestamp_ms))


def messages(records: int, topic: str) -> Iterator[Message]:
    """Give a backlog as a consumer would."""
    offsets = [0] * PARTITIONS
    for one in callbacks.backlog(records):
        partition = partition_of(one.key.decode(), PARTITIONS)
        yield Message(
            topic=topic,
            partition=partition,
            offset=offsets[partition],
            key=one.key,
            value=one.value,
            headers=one.headers,
            timestamp=(1, one.timestamp_ms),
        )
        offsets[partition] += 1


def cycles(records: int, topic: str) -> Iterator[list[Message]]:
    """Give a backlog in cycles."""
    coming = messages(records, topic)
    while cycle := list(islice(coming, CYCLE)):
        yield cycle


def raw_of(record: callbacks.Laid, topic: str) -> RawRecord:
    """Give one raw record of a backlog."""
    return wire.to_raw(
        Message(
            topic=topic, partition=0, offset=0, key=record.key, value=record.value, headers=record.headers
        )
    )
