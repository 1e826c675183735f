"""Changelog partitions, read into states up to the end they had: from each state's checkpoint on.

The end of each partition is asked for uncommitted, and reading goes on until an end-of-partition event at or
behind it: under read_committed such an event alone only means the last *stable* offset. Control records
occupy offsets, so the last record's offset proves nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin._listoffsets import OffsetSpec

from connector.core.avro import FRAME_BYTES
from connector.errors import ConnectorError
from connector.runtime.entries import Checkpoint
from connector.runtime.state import entry_of, guard_entry
from connector.runtime.telemetry import log
from connector.runtime.wire import headers_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka import Message
    from confluent_kafka.admin import AdminClient

    from connector.runtime.state import PartitionState
    from connector.topics import Topics

EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client has no annotation here
LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
_BATCH: Final = 5000
_PATIENCE_S: Final = 0.2
_NOBODY: Final = (None, 0)
_DELETE: Final = b"\x02"
"""Avro's second symbol of `meta_op`, the first column of every changelog record."""
Places = dict[tuple[str, int], int]
Wanted = dict[tuple[str, int], dict[bytes, "PartitionState"]]
"""(topic, partition) -> source -> the state that its keys belong to."""
Unread = dict[tuple[str, int], dict[bytes, tuple["PartitionState", int]]]
"""The same with the first offset that is news to the state."""


class UnknownSchema(ConnectorError):
    """A changelog record of a schema id that is not in `schemas/ids.json`."""

    code = "unknown_schema"


class Cancelled(ConnectorError):
    """The assignment changed while its state was being rebuilt."""

    code = "rebuild_cancelled"


def offsets(
    admin: AdminClient, places: Iterable[tuple[str, int]], spec: OffsetSpec, timeout_s: float
) -> Places:
    """Ask where partitions begin or end; open transactions count.

    Raises:
        KafkaException: No broker answers in time, or it refuses.
    """
    asked = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    answers = admin.list_offsets(
        asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
    )
    return {(one.topic, one.partition): answer.result().offset for one, answer in answers.items()}


class Filling:
    """Fills states; the caller has asked for the committed offsets before."""

    def __init__(
        self,
        topics: Topics,
        entities_of: Callable[[str], Iterable[str]],
        frames: frozenset[bytes],
        timeout_s: float,
    ) -> None:
        """Take what each source writes, and the frames of the schema ids we know."""
        self._topics: Final = topics
        self._entities_of: Final = entities_of
        self._frames: Final = frames
        self._timeout_s: Final = timeout_s
        self.records_read = 0
        """Changelog records read so far, for progress."""

    def topics_of(self, source: str) -> list[str]:
        """Name the topics that hold the states of a source."""
        return [
            *(self._topics.changelog[entity] for entity in self._entities_of(source)),
            self._topics.identity,
        ]

    def run(
        self,
        admin: AdminClient,
        reader: Consumer,
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> None:
        """Bring states up to date.

        Raises:
            Cancelled: `cancelled` was set.
            UnknownSchema: A newer worker wrote a record.
            KafkaException: The broker refused.
        """
        wanted = self._wanted(states)
        ends = offsets(admin, wanted, LATEST, self._timeout_s)
        starts = offsets(admin, wanted, EARLIEST, self._timeout_s)
        cluster, ids = self._identity(admin, {topic for topic, _ in wanted})
        for (raw, partition), state in states.items():
            topics = self.topics_of(self._topics.source_of[raw])
            reaches = {topic: (starts[topic, partition], ends[topic, partition]) for topic in topics}
            if why := _stale(state.entries.checkpoint, cluster, ids, reaches):
                log.warning(
                    "state read anew", extra={"why": why, "source": state.source, "partition": partition}
                )
                state.entries.clear()
        for place, by_source in wanted.items():
            read = min(state.entries.checkpoint.next(place[0]) for state in by_source.values())
            starts[place] = max(starts[place], read)
        unread = {place for place in wanted if starts[place] < ends[place]}
        reader.assign([TopicPartition(*place, starts[place]) for place in sorted(unread)])
        mark = _Marks(cluster, ids)
        news: Unread = {
            place: {name: (one, one.entries.checkpoint.next(place[0])) for name, one in by_source.items()}
            for place, by_source in wanted.items()
        }
        while unread:
            if cancelled.is_set():
                raise Cancelled("partitions moved on")
            self._batch(reader, news, ends, unread, mark)
        for state in states.values():
            mine = {
                topic: ends[topic, where] for (topic, where), of in wanted.items() if state in of.values()
            }
            state.filled(mark(state, mine))

    def _batch(
        self, reader: Consumer, news: Unread, ends: Places, unread: set[tuple[str, int]], mark: _Marks
    ) -> None:
        """Take what is there, and note how far it leads."""
        changed: dict[PartitionState, dict[str, bytes]] = defaultdict(dict)
        reached: dict[PartitionState, dict[str, int]] = defaultdict(dict)
        for message in reader.consume(_BATCH, _PATIENCE_S):
            place = (str(message.topic()), int(message.partition() or 0))
            if message.error() is not None:
                if _ended(message, ends[place]):
                    unread.discard(place)
                continue
            key = message.key()
            if key is None:
                continue
            raw_key = bytes(key)
            state, first = news[place].get(raw_key[: raw_key.find(b"/")], _NOBODY)
            offset = int(message.offset() or 0)
            # Another source of this partition may be further behind: what is known is not unlearned.
            if state is None or offset < first:
                continue
            self.records_read += 1
            if (entry := self._entry(message, place[0])) is not None:
                changed[state][raw_key.decode()] = entry
            reached[state][place[0]] = offset + 1
        for state, offsets_ in reached.items():
            state.entries.put(changed[state], mark(state, offsets_))

    def _identity(self, admin: AdminClient, topics: Iterable[str]) -> tuple[str, dict[str, str]]:
        """Ask which cluster this is, and which topics: made anew, they would bear the same names."""
        names = sorted(topics)
        asked = admin.describe_topics(TopicCollection(names), request_timeout=self._timeout_s)
        ids = {name: str(one.result().topic_id) for name, one in asked.items()}
        return str(admin.list_topics(names[0], timeout=self._timeout_s).cluster_id), ids

    def _wanted(self, states: Mapping[tuple[str, int], PartitionState]) -> Wanted:
        """Say which changelog partitions must be read, and whose keys are wanted of each.

        Several sources share one: it is read once for all of them.
        """
        wanted: Wanted = defaultdict(dict)
        for (raw, partition), state in states.items():
            source = self._topics.source_of[raw]
            for topic in self.topics_of(source):
                wanted[topic, partition][source.encode()] = state
        return wanted

    def _entry(self, message: Message, topic: str) -> bytes | None:
        """Pack what a record says; None if it says nothing that may be known."""
        stamp = message.timestamp()[1]
        value = message.value()
        if value is None:
            return guard_entry(stamp, headers_of(message))
        framed = bytes(value)
        if framed[:FRAME_BYTES] not in self._frames:
            raise UnknownSchema(
                f"{message.topic()}/{message.partition()} offset {message.offset()}: its schema id"
                " is not in schemas/ids.json; a newer worker wrote it: upgrade this one"
            )
        # Without its tombstone, which a crash under `at_least_once` may have kept from being written, a
        # DELETE is not taken for known: its event is read again, and writes both.
        if framed[FRAME_BYTES : FRAME_BYTES + 1] == _DELETE and topic != self._topics.identity:
            return None
        return entry_of(stamp, framed)


class _Marks:
    """Makes checkpoints of one cluster and its topics."""

    def __init__(self, cluster: str, ids: Mapping[str, str]) -> None:
        self._cluster: Final = cluster
        self._ids: Final = ids

    def __call__(self, state: PartitionState, reached: Mapping[str, int]) -> Checkpoint:
        """Give what a state's checkpoint becomes by reading on to these offsets."""
        old = state.entries.checkpoint.topics
        topics = {topic: (self._ids[topic], at) for topic, at in reached.items()}
        return Checkpoint(self._cluster, time.time(), {**old, **topics})


def _stale(
    known: Checkpoint, cluster: str, ids: Mapping[str, str], reaches: Mapping[str, tuple[int, int]]
) -> str | None:
    """Say why what is kept cannot be read on from; None if it can, or nothing is kept."""
    if not known.topics:
        return None
    if known.cluster != cluster:
        return "it is of another cluster"
    for topic, (id_, at) in known.topics.items():
        if topic not in reaches:
            return f"{topic} is no longer read"
        if ids[topic] != id_:
            return f"{topic} was made anew"
        first, end = reaches[topic]
        if not first <= at <= end:
            return f"{topic} holds offsets from {first} to {end}, {at} would be next"
    return None


def _ended(message: Message, end: int) -> bool:
    error = message.error()
    if error is None or error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's public name
        raise KafkaException(error)
    return int(message.offset() or 0) >= end
