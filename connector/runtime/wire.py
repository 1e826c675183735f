"""Kafka message <-> nouns: the one place that knows header names of raw records and quarantine."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, cast

import msgspec
from confluent_kafka import KafkaError

from connector.core.identity import ENTITY as IDENTITY
from connector.model import EntityKey, Outcome, Position, Quarantined, RawMeta, RawRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message, Producer

    from connector.model import Headers
    from connector.topics import Topics

_meta: Final = msgspec.json.Encoder()
_read_meta: Final = msgspec.json.Decoder(RawMeta)
_CODE: Final = version("erp-connector").encode()

_FULL_S: Final = 0.05
UNPLACED: Final = KafkaError(KafkaError._INCONSISTENT, "told as delivered, but not where")  # noqa: SLF001  public
"""Takes the place of a delivery without an offset."""
NOW: Final = 0
"""Lets the client take the time of sending."""


class KafkaRecord(msgspec.Struct, frozen=True, gc=False):
    """What a producer is given."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp_ms: int = NOW
    """Kafka timestamp. Set on changelog records only: it may not fall per key. Elsewhere retention goes by
    it, and a record of an old receipt would be deleted before anybody has read it."""


def fault_of(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Give what speaks against a record's being in Kafka.

    Without an offset a delivery is only a guess: librdkafka 2.16 takes a record for delivered when a later
    one of its partition was, and a broker that does not know the producer yet takes any sequence. The first
    record of a partition is then told as delivered, and is nowhere.
    """
    return UNPLACED if error is None and message.offset() is None else error


def put(
    producer: Producer,
    record: KafkaRecord,
    heard: Callable[[KafkaError | None, Message], None],
) -> None:
    """Hand a record to a client; waits for room while its queue is full, and then it may tell of others.

    Raises:
        KafkaException: It takes none any more, or not this one.
    """
    while True:
        try:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                on_delivery=heard,
                timestamp=record.timestamp_ms,
                headers=record.headers,  # type: ignore[arg-type]  # its list is invariant
            )
        except BufferError:
            producer.poll(_FULL_S)
        else:
            return


def from_raw(topics: Topics, raw: RawRecord) -> KafkaRecord:
    """Lay a raw record out for `<prefix>.raw.<source>`."""
    meta = raw.meta
    event_id = f"{meta.delivery_id}:{meta.index}"
    return KafkaRecord(
        topics.raw[raw.key.source],
        raw.key.text.encode(),
        raw.body,
        [("meta", _meta.encode(meta)), ("ce_id", event_id.encode())],
    )


def laid_out(topics: Topics, taken: Sequence[RawRecord | Quarantined]) -> tuple[list[KafkaRecord], int]:
    """Give what Kafka is to hold of a callback, and how many of it go to quarantine."""
    records, quarantined = [], 0
    for one in taken:
        if isinstance(one, RawRecord):
            records.append(from_raw(topics, one))
        else:
            records.append(from_quarantined(topics, one))
            quarantined += 1
    return records, quarantined


def headers_of(message: Message) -> Headers:
    """Give a message's headers; ours are always pairs of text and bytes."""
    return cast("Headers", message.headers() or [])


def to_raw(message: Message) -> RawRecord:
    """Read a raw record back, with its position.

    Raises:
        ValueError: A record the connector did not write: no key of four segments, no `meta` header.
    """
    key, body, headers = message.key(), message.value(), headers_of(message)
    if key is None or body is None or not headers or headers[0][0] != "meta":
        raise ValueError("not a raw record: key, value or header `meta` is missing")
    position = Position(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
    try:
        meta = _read_meta.decode(headers[0][1])
    except msgspec.MsgspecError:
        raise ValueError("not a raw record: header `meta` is not of its shape") from None
    return RawRecord(EntityKey.parse(bytes(key).decode()), bytes(body), meta, position)


def from_quarantined(topics: Topics, record: Quarantined) -> KafkaRecord:
    """Lay a quarantined record out for `<prefix>.quarantine`."""
    headers: Headers = [
        ("meta", _meta.encode(record.meta)),
        ("source", record.source.encode()),
        ("reason", record.reason.encode()),
        ("where", record.where.encode()),
        ("why", record.why.encode()),
        ("delivery_id", record.meta.delivery_id.encode()),
        ("code_version", _CODE),
    ]
    if record.error:
        headers.append(("error", record.error.encode()))
    if record.position is not None:
        at = record.position
        headers.append(("raw", f"{at.topic}/{at.partition}/{at.offset}".encode()))
    return KafkaRecord(topics.quarantine, record.key.encode(), record.body, headers)


def from_outcome(topics: Topics, outcome: Outcome) -> list[KafkaRecord]:
    """Lay out everything one event tells the world; DELETE stands before its tombstone."""
    event = outcome.event
    key = event.key.text.encode()
    laid: list[KafkaRecord] = []
    if outcome.records:
        entity = event.key.entity
        topic = topics.identity if entity == IDENTITY else topics.changelog[entity]
        laid += [
            KafkaRecord(topic, key, record.value, record.headers, record.timestamp_ms)
            for record in outcome.records
        ]
    if outcome.history is not None:
        laid.append(KafkaRecord(topics.events, key, outcome.history, []))
    if outcome.forwards:
        raw_topic = topics.raw[event.key.source]
        laid.extend(
            KafkaRecord(raw_topic, one.key.text.encode(), one.body, [("meta", _meta.encode(one.meta))])
            for one in outcome.forwards
        )
    return laid


def place_of(raw: RawRecord) -> str:
    """Name a raw record as an operator does: `topic/partition/offset`."""
    at = raw.position
    return "" if at is None else f"{at.topic}/{at.partition}/{at.offset}"


def by_operator(raw: RawRecord) -> Quarantined:
    """Set a raw record aside because the configuration names it."""
    return Quarantined(
        key=raw.key.text,
        body=raw.body,
        reason="by_operator",
        where="worker.quarantine",
        why="the configuration names this record",
        meta=raw.meta,
        source=raw.key.source,
        position=raw.position,
    )


def unread(message: Message, source: str, why: str) -> Quarantined:
    """Set a record aside that another program wrote to a raw topic."""
    key, body = message.key(), message.value()
    position = Position(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
    return Quarantined(
        key=source if key is None else bytes(key).decode(errors="replace"),
        body=b"" if body is None else bytes(body),
        reason="unreadable",
        where="work raw record",
        why=why,
        meta=RawMeta(delivery_id="", received_us=message.timestamp()[1] * 1000),
        source=source,
        position=position,
        error=ValueError.__name__,
    )
