"""State from the changelog, in the only safe order (measured): committed offsets first, the log after.

`committed` blocks while the previous owner's transaction is open; read the other way round, an old state
would meet newer offsets. The end of each changelog partition is asked for uncommitted, and reading goes on
until an end-of-partition event at or behind it: under read_committed such an event alone only means the
last *stable* offset. Control records occupy offsets, so the last record's offset proves nothing.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from connector.core.avro import FRAME_BYTES
from connector.errors import ConnectorError
from connector.runtime.state import entry_of, guard_entry
from connector.runtime.telemetry import kafka_log, log
from connector.runtime.wire import headers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from confluent_kafka import Message

    from connector.runtime.state import PartitionState
    from connector.topics import Topics

_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client has no annotation here
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
_BATCH: Final = 5000
_PATIENCE_S: Final = 0.2
_AGAIN_S: Final = 1.0
_PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  the client's public names
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""Errors that end by themselves; the client does not mark all of them as retriable."""
Places = dict[tuple[str, int], int]


class RetentionOvertook(ConnectorError):
    """The group's committed offset is older than the oldest raw record: some were deleted unread."""

    code = "retention_overtook"


class UnknownSchema(ConnectorError):
    """A changelog record of a schema id that is not in `schemas/ids.json`."""

    code = "unknown_schema"


class Cancelled(ConnectorError):
    """The assignment changed while its state was being rebuilt."""

    code = "rebuild_cancelled"


class Rebuild:
    """One rebuild of newly assigned partitions; runs in its own thread with its own clients."""

    def __init__(
        self,
        kafka: Mapping[str, str],
        group: str,
        topics: Topics,
        entities_of: Callable[[str], Iterable[str]],
        frames: frozenset[bytes],
        timeout_s: float,
    ) -> None:
        """Take connection settings, what each source writes, and the frames of the schema ids we know.

        `timeout_s` bounds one broker request.
        """
        self._topics: Final = topics
        self._frames: Final = frames
        self._entities_of: Final = entities_of
        self._timeout_s: Final = timeout_s
        self._reader_config: Final = {
            **kafka,
            "group.id": group,
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "isolation.level": "read_committed",
            "enable.partition.eof": "true",
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": "10",
            "queued.max.messages.kbytes": "65536",
            "logger": kafka_log,
        }
        self._kafka: Final = kafka
        self.records_read = 0
        """Changelog records read so far, for progress."""

    def run(
        self,
        raws: Sequence[tuple[str, int]],
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> Places:
        """Bring states up to date and say from which raw offset each partition goes on.

        A broker that is away, or a predecessor's transaction that hangs, is waited for: what was read
        until then is read once more, with new clients.

        Args:
            raws: (raw topic, partition) of all partitions that are about to be read.
            states: Those of them whose state must be filled; the others know it already.
            cancelled: Set when the partitions are no longer ours.

        Returns:
            (raw topic, partition) -> next raw offset: the committed one, else the oldest.

        Raises:
            Cancelled: `cancelled` was set.
            RetentionOvertook: Raw records were deleted before the group had read them.
            KafkaException: The broker refused, and would again.
        """
        while True:
            try:
                return self._attempt(raws, states, cancelled)
            except KafkaException as failure:
                error = failure.args[0]
                if not error.retriable() and error.code() not in _PASSING:
                    raise
                log.warning("the rebuild waits for Kafka", extra={"why": f"{error.name()}: {error.str()}"})
            if cancelled.wait(_AGAIN_S):
                raise Cancelled("partitions moved on")

    def _attempt(
        self,
        raws: Sequence[tuple[str, int]],
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> Places:
        # A long-lived admin client asks with the leader epoch it once learned, and after the broker's
        # return is refused with FENCED_LEADER_EPOCH until its next look at the metadata (measured).
        admin = AdminClient(dict(self._kafka), logger=kafka_log)
        reader = Consumer(self._reader_config)
        try:
            places = self._committed(admin, reader, raws)
            if states:
                self._replay(admin, reader, states, cancelled)
        finally:
            reader.close()
        return places

    def _committed(self, admin: AdminClient, reader: Consumer, raws: Sequence[tuple[str, int]]) -> Places:
        found = reader.committed([TopicPartition(*raw) for raw in raws], timeout=self._timeout_s)
        oldest = self._offsets(admin, raws, _EARLIEST)
        places = {}
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
            raw = (one.topic, one.partition)
            if one.offset == OFFSET_INVALID:
                places[raw] = oldest[raw]
            elif one.offset < oldest[raw]:
                raise RetentionOvertook(
                    f"{one.topic}/{one.partition}: committed offset {one.offset} is older than the oldest"
                    f" record {oldest[raw]}; records were deleted unread. Recover them from the vendor, then"
                    " reset the group's offset of this partition"
                )
            else:
                places[raw] = one.offset
        return places

    def _offsets(self, admin: AdminClient, places: Iterable[tuple[str, int]], spec: OffsetSpec) -> Places:
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        answers = admin.list_offsets(
            asked,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self._timeout_s,
        )
        return {(one.topic, one.partition): answer.result().offset for one, answer in answers.items()}

    def _replay(
        self,
        admin: AdminClient,
        reader: Consumer,
        states: Mapping[tuple[str, int], PartitionState],
        cancelled: threading.Event,
    ) -> None:
        wanted = self._wanted(states)
        ends = self._offsets(admin, wanted, _LATEST)
        starts = self._offsets(admin, wanted, _EARLIEST)
        for place, by_source in wanted.items():
            read = min(state.positions.get(place[0], 0) for state in by_source.values())
            starts[place] = max(starts[place], read)
        unread = {place for place in wanted if starts[place] < ends[place]}
        reader.assign([TopicPartition(*place, starts[place]) for place in sorted(unread)])
        while unread:
            if cancelled.is_set():
                raise Cancelled("partitions moved on")
            for message in reader.consume(_BATCH, _PATIENCE_S):
                place = (str(message.topic()), int(message.partition() or 0))
                if message.error() is not None:
                    if self._ended(message, ends[place]):
                        unread.discard(place)
                    continue
                self._take(message, wanted[place])
        for (topic, partition), by_source in wanted.items():
            for state in by_source.values():
                state.positions[topic] = ends[topic, partition]

    def _wanted(
        self, states: Mapping[tuple[str, int], PartitionState]
    ) -> dict[tuple[str, int], dict[bytes, PartitionState]]:
        """Say which changelog partitions must be read, and whose keys are wanted of each.

        Several sources share one: it is read once for all of them.
        """
        wanted: dict[tuple[str, int], dict[bytes, PartitionState]] = defaultdict(dict)
        for (raw, partition), state in states.items():
            source = self._topics.source_of[raw]
            changelogs = [self._topics.changelog[entity] for entity in self._entities_of(source)]
            for topic in (*changelogs, self._topics.identity):
                wanted[topic, partition][source.encode()] = state
        return wanted

    @staticmethod
    def _ended(message: Message, end: int) -> bool:
        error = message.error()
        if error is None or error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's public name
            raise KafkaException(error)
        return int(message.offset() or 0) >= end

    def _take(self, message: Message, by_source: Mapping[bytes, PartitionState]) -> None:
        key = message.key()
        if key is None:
            return
        raw_key = bytes(key)
        state = by_source.get(raw_key[: raw_key.find(b"/")])
        if state is None:
            return
        self.records_read += 1
        stamp = message.timestamp()[1]
        value = message.value()
        text = raw_key.decode()
        if value is None:
            state.entries[text] = guard_entry(stamp, headers_of(message))
        else:
            framed = bytes(value)
            if framed[:FRAME_BYTES] not in self._frames:
                raise UnknownSchema(
                    f"{message.topic()}/{message.partition()} offset {message.offset()}: its schema id"
                    " is not in schemas/ids.json; a newer worker wrote it: upgrade this one"
                )
            state.entries[text] = entry_of(stamp, framed)
