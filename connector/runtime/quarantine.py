"""What stands in quarantine: read it, and retry it through today's receive.

The topic only grows. What a retry made usable is marked there by a *release*: a record without value whose
header `released` names partition and offset, written after its raw records are confirmed. A retry that
ends between the two is repeated; the merge absorbs that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    TopicPartition,
)

from connector.errors import Misconfigured
from connector.model import Position, Quarantined, RawMeta, RawRecord
from connector.runtime.admin import REMEDY, Brokers
from connector.runtime.telemetry import kafka_log
from connector.runtime.wire import KafkaRecord, from_quarantined, from_raw, headers_of
from connector.runtime.writing import Writer

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.runtime.settings import Settings
    from connector.topics import Topics

RELEASED: Final = "released"
_AT_ONCE: Final = 500
_WRITTEN_AT_ONCE: Final = 200
_SILENT_S: Final = 30
_read_meta: Final = msgspec.json.Decoder(RawMeta)

Place = tuple[int, int]
"""Partition and offset in the quarantine topic."""


class Held(msgspec.Struct, frozen=True):
    """One quarantined record and where it stands."""

    place: Place
    record: Quarantined
    code_version: str = ""
    """Of the connector that set it aside."""

    @property
    def name(self) -> str:
        """As an operator names it."""
        return f"{self.place[0]}/{self.place[1]}"


class Wanted(msgspec.Struct, frozen=True):
    """Which records an operator asks for; empty means any."""

    reasons: tuple[str, ...] = ()
    source: str | None = None
    since_us: int = 0
    """Received at or after, microseconds since 1970-01-01 UTC."""
    places: frozenset[Place] = frozenset()

    def has(self, held: Held) -> bool:
        """Say whether a record is asked for."""
        one = held.record
        return (
            (not self.reasons or one.reason in self.reasons)
            and self.source in (None, one.source)
            and one.meta.received_us >= self.since_us
            and (not self.places or held.place in self.places)
        )


class Tried(msgspec.Struct, frozen=True):
    """What becomes of a quarantined record today."""

    held: Held
    usable: tuple[RawRecord, ...]
    left: tuple[Quarantined, ...]
    """What of it still cannot be used, with today's reason."""


class Quarantine:
    """The quarantine topic of one deployment."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        """Look whether it is there.

        Raises:
            Misconfigured: No broker answers, or the topic is missing.
        """
        self._settings: Final = settings
        self._topics: Final = topics
        known = Brokers(settings.kafka).metadata().topics
        if topics.quarantine not in known:
            raise Misconfigured(f"{topics.quarantine}: no such topic; {REMEDY}")
        self._partitions: Final = sorted(known[topics.quarantine].partitions)

    def held(self, wanted: Wanted, *, released: bool = False) -> Iterator[Held]:
        """Give what is asked for, each partition in its order, without what was released.

        Reads the topic twice rather than keep bodies in memory; what is written meanwhile is not given.

        Args:
            wanted: What is asked for.
            released: Give what was released as well.
        """
        gone: set[Place] = set()
        chosen: list[Place] = []
        for one in self._read():
            if isinstance(one, Held):
                if wanted.has(one):
                    chosen.append(one.place)
            else:
                gone.add(one)
        left = set(chosen) if released else set(chosen) - gone
        for one in self._read():
            if not left:
                return
            if isinstance(one, Held) and one.place in left:
                left.discard(one.place)
                yield one

    def one(self, place: Place) -> Held:
        """Give one record.

        Raises:
            Misconfigured: There is none at this place, or no longer.
        """
        consumer = self._consumer([TopicPartition(self._topics.quarantine, *place)])
        try:
            message = consumer.poll(_SILENT_S)
        finally:
            consumer.close()
        if message is not None and message.error() is None and message.offset() == place[1]:
            found = _held(message)
            if isinstance(found, Held):
                return found
        raise Misconfigured(f"{place[0]}/{place[1]}: no quarantined record; see: connector quarantine list")

    def _consumer(self, places: list[TopicPartition]) -> Consumer:
        consumer = Consumer(
            {
                **self._settings.kafka,
                "group.id": f"connector-quarantine-{uuid.uuid4()}",  # named, never joined
                "enable.auto.commit": "false",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": "true",
            },
            logger=kafka_log,
        )
        consumer.assign(places)
        return consumer

    def _read(self) -> Iterator[Held | Place]:
        """Read to the end that the topic has when it is reached; a place stands for its release."""
        topic = self._topics.quarantine
        consumer = self._consumer([TopicPartition(topic, one, OFFSET_BEGINNING) for one in self._partitions])
        ends: set[int] = set()
        try:
            while len(ends) < len(self._partitions):
                first = consumer.poll(_SILENT_S)
                if first is None:
                    raise Misconfigured(f"{topic}: not read to its end within {_SILENT_S} s of silence")
                for message in (first, *consumer.consume(_AT_ONCE, 0)):
                    error = message.error()
                    if error is None:
                        yield _held(message)
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                        ends.add(int(message.partition() or 0))
                    else:
                        raise Misconfigured(f"{topic}: {error.str()}")
        finally:
            consumer.close()

    def write(self, tried: Iterable[Tried]) -> int:
        """Write what is usable to the raw topics, what is left of it back, and then the releases.

        Returns:
            How many records were released.

        Raises:
            NotWritten: Kafka did not confirm.
        """
        writer = Writer(self._settings, "quarantine")
        batch: list[Tried] = []
        released = 0
        for one in tried:
            if one.usable:
                batch.append(one)
            if len(batch) == _WRITTEN_AT_ONCE:
                released += self._write(writer, batch)
                batch = []
        return released + self._write(writer, batch)

    def _write(self, writer: Writer, batch: list[Tried]) -> int:
        records = [from_raw(self._topics, raw) for one in batch for raw in one.usable]
        records += [from_quarantined(self._topics, left) for one in batch for left in one.left]
        writer.write(records)
        releases = [
            KafkaRecord(
                self._topics.quarantine,
                one.held.record.key.encode(),
                None,
                [(RELEASED, one.held.name.encode())],
            )
            for one in batch
        ]
        writer.write(releases)
        return len(batch)


def _held(message: Message) -> Held | Place:
    """Read a record of the topic back; the counterpart of `wire.from_quarantined`."""
    headers = dict(headers_of(message))
    place = (int(message.partition() or 0), int(message.offset() or 0))
    if RELEASED in headers:
        partition, _, offset = headers[RELEASED].decode().partition("/")
        return int(partition), int(offset)
    said = {name: text.decode(errors="replace") for name, text in headers.items() if name != "meta"}
    position = None
    if "raw" in said:
        topic, partition, offset = said["raw"].rsplit("/", 2)
        position = Position(topic, int(partition), int(offset))
    record = Quarantined(
        key=bytes(message.key() or b"").decode(errors="replace"),
        body=bytes(message.value() or b""),
        reason=said.get("reason", ""),
        where=said.get("where", ""),
        why=said.get("why", ""),
        meta=_read_meta.decode(headers.get("meta", b'{"delivery_id":"","received_us":0}')),
        source=said.get("source", ""),
        position=position,
        error=said.get("error", ""),
    )
    return Held(place, record, said.get("code_version", ""))
