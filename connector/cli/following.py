"""Reading changelogs as a consumer would: read_committed, without a group, by the local schemas."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from connector.core.times import to_rfc3339
from connector.errors import Misconfigured
from connector.model import TICKS_PER_MS
from connector.runtime.admin import REMEDY, Brokers
from connector.runtime.telemetry import kafka_log

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.runtime.registry import Registry

AT_ONCE: Final = 500


class Seen(msgspec.Struct, frozen=True):
    """One changelog record, decoded."""

    entity: str
    key: str
    op: str
    """UPSERT, DELETE, or `tombstone`."""
    version: int
    value: dict[str, Any] | None
    partition: int
    offset: int


class Follower:
    """Follows changelog topics from an end.

    Args:
        kafka: librdkafka properties.
        topics: Entity -> topic.
        registry: Every locked schema.
        earliest: From the beginning, or only what comes from now on.

    Raises:
        Misconfigured: No broker answers, or a topic is missing.
    """

    def __init__(
        self, kafka: Mapping[str, str], topics: Mapping[str, str], registry: Registry, *, earliest: bool
    ) -> None:
        self._codecs = registry.codecs()
        self.kinds: Final = {entity: kinds_of(registry.writer(entity)[1]) for entity in topics}
        self._entities = {topic: entity for entity, topic in topics.items()}
        metadata = Brokers(kafka).metadata()
        if missing := [topic for topic in self._entities if topic not in metadata.topics]:
            raise Misconfigured(f"{missing[0]}: no such topic; {REMEDY}")
        self._consumer = Consumer(
            {
                **kafka,
                "group.id": f"connector-tail-{uuid.uuid4()}",  # named, never joined
                "enable.auto.commit": "false",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": "true",
            },
            logger=kafka_log,
        )
        start = OFFSET_BEGINNING if earliest else OFFSET_END
        parts = [
            TopicPartition(topic, number, start)
            for topic in self._entities
            for number in metadata.topics[topic].partitions
        ]
        self._behind = {(part.topic, part.partition) for part in parts}
        self._consumer.assign(parts)

    @property
    def caught_up(self) -> bool:
        """Whether every partition was read to its end once."""
        return not self._behind

    def read(self, timeout_s: float) -> Iterator[Seen]:
        """Give what has come; waits at most so long for the first.

        Raises:
            Misconfigured: A record the local schemas cannot read.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return
        for message in (first, *self._consumer.consume(AT_ONCE, 0)):
            error = message.error()
            if error is None:
                yield self._seen(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  how the client names it
                self._behind.discard((str(message.topic()), int(message.partition() or 0)))
            elif error.fatal():
                raise KafkaException(error)

    def _seen(self, message: Message) -> Seen:
        topic, framed = str(message.topic()), message.value()
        headers = dict(message.headers() or ())
        try:
            value = None if framed is None else self._codecs.decode(bytes(framed), self._entities[topic])
            version = int(headers.get("x-erp-version") or (value or {})["meta_version"])
        except (KeyError, ValueError):
            raise Misconfigured(
                f"{topic}/{message.partition()}/{message.offset()}: not written by a connector of this "
                "version; use the one that wrote it"
            ) from None
        op = "tombstone" if value is None else str(value["meta_op"])
        return Seen(
            self._entities[topic],
            bytes(message.key() or b"").decode(),
            op,
            version,
            value,
            int(message.partition() or 0),
            int(message.offset() or 0),
        )

    def close(self) -> None:
        """Let go of the brokers."""
        self._consumer.close()


def changed(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Compare two records of a key: field -> (before, after); what describes the event is left out."""
    before, after = old or {}, new or {}
    return {
        name: (before.get(name), after.get(name))
        for name in _columns((*before, *after))
        if before.get(name) != after.get(name)
    }


def _columns(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if not name.startswith("meta_") and name != "id"]


Kinds = Mapping[str, str]
"""Column -> logical type, of the columns that are written as numbers and read as dates."""
SHOWN: Final = 8
"""Fields of one record in a line; the rest is counted."""


def kinds_of(schema: Mapping[str, Any]) -> Kinds:
    """Find the dates and instants of a schema."""
    return {
        field["name"]: avro["logicalType"]
        for field in schema["fields"]
        for avro in (field["type"] if isinstance(field["type"], list) else [field["type"]])
        if isinstance(avro, dict) and avro.get("logicalType") in ("date", "timestamp-millis")
    }


def difference(changes: Mapping[str, tuple[Any, Any]], kinds: Kinds) -> str:
    """Write changes in one line.

    Example:
        >>> difference({"city": ("Oslo", "Bodø"), "due_date": (None, 19781)}, {"due_date": "date"})
        'city: Oslo -> Bodø, due_date: 2024-02-28'
    """
    told = [
        f"{name}: {_text(after, kinds.get(name))}"
        if before is None
        else f"{name}: {_text(before, kinds.get(name))} -> {_text(after, kinds.get(name))}"
        for name, (before, after) in changes.items()
        if not name.endswith("_hash")
    ]
    if not told:
        return "no field changed"
    more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more


def _text(value: Any, kind: str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(str(next(iter(one.values()))) for one in value).join("[]")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if kind == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return to_rfc3339(value * TICKS_PER_MS)[:19] + "Z" if kind == "timestamp-millis" else str(value)
