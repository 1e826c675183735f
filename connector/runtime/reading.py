"""Partitions read between two offsets: committed records only, without a group.

An end is asked for once, uncommitted, and read up to: an end-of-partition event alone only means the last
stable offset, and control records occupy offsets. What is written behind an end meanwhile is not given.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from connector.errors import Misconfigured
from connector.runtime.admin import REMEDY, Brokers
from connector.runtime.telemetry import kafka_log

if TYPE_CHECKING:
    from confluent_kafka import Message

EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the client has no annotation here
LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
_AT_ONCE: Final = 1000
_SILENT_S: Final = 30.0
"""Longer than a transaction may hang: it holds back what stands behind it."""
_REQUEST_S: Final = 20.0
_AGAIN_S: Final = 0.5
_FINAL: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""What asking again would not change; a busy broker may have no leader to name for a moment."""
_PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  the client's public names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""The client tries again by itself; silence is what ends a read."""

Place = tuple[str, int]
"""(topic, partition)."""
Reach = tuple[int, int]
"""First offset that is read, and the first that is not."""


def placed(message: Message) -> Place:
    """Give topic and partition of a message."""
    return str(message.topic()), int(message.partition() or 0)


class Reader:
    """Reads whole partitions, or pieces of them; a context manager."""

    def __init__(self, kafka: Mapping[str, str], purpose: str) -> None:
        """Connect nothing yet; `purpose` stands in the name the broker sees."""
        self._kafka: Final = kafka
        self._config: Final = {
            **kafka,
            "client.id": f"erp-connector-{purpose}",
            "group.id": f"connector-{purpose}-{uuid.uuid4()}",  # named, never joined
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",  # what retention took meanwhile is not there to be read
            "enable.partition.eof": "true",
            "fetch.queue.backoff.ms": "10",
            "fetch.wait.max.ms": "50",
            "queued.max.messages.kbytes": "16384",
            "logger": kafka_log,
        }
        self._consumer: Final = Consumer(self._config)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the brokers."""
        self._consumer.close()

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Count the partitions of topics.

        Raises:
            Misconfigured: No broker answers, or one is missing.
        """
        known = Brokers(self._kafka).metadata().topics
        counts = {}
        for topic in topics:
            if topic not in known or known[topic].error is not None:
                raise Misconfigured(f"{topic}: no such topic; {REMEDY}")
            counts[topic] = len(known[topic].partitions)
        return counts

    def reach(self, places: Iterable[Place]) -> dict[Place, Reach]:
        """Say where partitions begin and end now; open transactions at the end count.

        Raises:
            Misconfigured: The broker refuses.
        """
        asked = [TopicPartition(*place) for place in places]
        starts, ends = self._offsets(asked, EARLIEST), self._offsets(asked, LATEST)
        return {place: (starts[place], end) for place, end in ends.items()}

    def _offsets(self, asked: list[TopicPartition], spec: OffsetSpec) -> dict[Place, int]:
        if not asked:
            return {}
        deadline_s = time.monotonic() + _REQUEST_S
        while True:
            # A client per question: a long-lived one is refused after a broker's return.
            admin = AdminClient(dict(self._kafka), logger=kafka_log)
            answers = admin.list_offsets(
                dict.fromkeys(asked, spec),
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=_REQUEST_S,
            )
            try:
                return {(one.topic, one.partition): answer.result().offset for one, answer in answers.items()}
            except KafkaException as failure:
                error = failure.args[0]
                if error.code() in _FINAL or time.monotonic() > deadline_s:
                    raise Misconfigured(f"{asked[0].topic}: {error.str()}") from None
            time.sleep(_AGAIN_S)

    def written_since(self, places: Iterable[Place], time_ms: int) -> dict[Place, int | None]:
        """Give the first offset written at or after a time; None where nothing was.

        Raises:
            Misconfigured: The broker refuses.
        """
        asked = [TopicPartition(*place, time_ms) for place in places]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=_REQUEST_S)
        except KafkaException as error:
            raise Misconfigured(f"offsets by time: {error.args[0].str()}") from None
        return {(one.topic, one.partition): one.offset if one.offset >= 0 else None for one in found}

    def read(self, reaches: Mapping[Place, Reach], *, beyond: bool = False) -> Iterator[Message]:
        """Give the records of partitions between their offsets, each partition in its order.

        Args:
            reaches: What is read of each.
            beyond: Read on to where the partition ends when it gets there: an end that was asked for may
                lie inside a transaction.

        Raises:
            Misconfigured: The broker refuses, or nothing came for longer than a transaction may hang.
        """
        unread = {place: end for place, (start, end) in reaches.items() if start < end}
        if not unread:
            return
        parts = [TopicPartition(*place, reaches[place][0]) for place in unread]
        self._consumer.assign(parts)
        self._consumer.resume(parts)  # a pause outlives its assignment (2.16): read twice, it would be silent
        try:
            while unread:
                first = self._consumer.poll(_SILENT_S)
                if first is None:
                    topic, partition = next(iter(unread))
                    raise Misconfigured(
                        f"{topic}/{partition}: not read to its end within {_SILENT_S:.0f} s of silence; "
                        "look at the brokers"
                    )
                for message in (first, *self._consumer.consume(_AT_ONCE, 0)):
                    if self._is_wanted(message, unread, beyond=beyond):
                        yield message
        finally:
            self._consumer.unassign()

    def _is_wanted(self, message: Message, unread: dict[Place, int], *, beyond: bool) -> bool:
        place = placed(message)
        end = unread.get(place)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                if end is not None and int(message.offset() or 0) >= end:
                    self._done(place, unread)
            elif error.code() not in _PASSING and not error.retriable():
                raise Misconfigured(f"{place[0]}/{place[1]}: {error.str()}")
            return False
        if end is None:
            return False
        offset = int(message.offset() or 0)
        if offset + 1 >= end and not beyond:
            self._done(place, unread)
        return offset < end or beyond

    def _done(self, place: Place, unread: dict[Place, int]) -> None:
        """Fetch no more of a partition: under live traffic it has no end."""
        del unread[place]
        self._consumer.pause([TopicPartition(*place)])
