"""A consumer as any team would write it: confluent's client and deserialiser, the worker's registry.

Run as a program it prints one JSON line per record of a topic.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

SILENT_S: Final = 30.0


class Record(NamedTuple):
    """One record as read."""

    topic: str
    partition: int
    offset: int
    key: str
    value: Any
    """Decoded where the topic holds Avro, else bytes; None for a tombstone."""
    headers: dict[str, bytes]
    timestamp_ms: int


class Reader:
    """Reads topics from their beginning to their end."""

    def __init__(
        self, bootstrap: str, registry: str | None = None, *, isolation: str = "read_committed"
    ) -> None:
        """Take the brokers and, to decode Avro, the address of a registry."""
        self._config: Final = {
            "bootstrap.servers": bootstrap,
            "group.id": "a-plain-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 20,
        }
        self._decode: AvroDeserializer | None = None
        if registry is not None:
            client = SchemaRegistryClient({"url": f"{registry}/registry"})
            self._decode = AvroDeserializer(client)

    def read(self, topics: Iterable[str]) -> list[Record]:
        """Read everything, each partition in its order."""
        consumer = Consumer(self._config)
        try:
            known = consumer.list_topics(timeout=20).topics
            places = [TopicPartition(topic, one, 0) for topic in topics for one in known[topic].partitions]
            unread = self._ends(places)
            consumer.assign([TopicPartition(*place, 0) for place in unread])
            records: list[Record] = []
            while unread:
                first = consumer.poll(SILENT_S)
                if first is None:
                    raise AssertionError(f"{len(unread)} partitions never came to an end")
                for message in [first, *consumer.consume(5000, 0)]:
                    place = (str(message.topic()), int(message.partition() or 0))
                    error = message.error()
                    if error is None:
                        records.append(self._record(message))
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                        # Before the end it is only the last stable offset: a commit's marker is yet to come.
                        if int(message.offset() or 0) >= unread.get(place, 0):
                            unread.pop(place, None)
                    else:
                        raise KafkaException(error)
        finally:
            consumer.close()
        records.sort(key=lambda one: one[:3])
        return records

    def _ends(self, places: list[TopicPartition]) -> dict[tuple[str, int], int]:
        """Ask where the partitions end, uncommitted records included; empty ones are left out."""
        admin = AdminClient({"bootstrap.servers": str(self._config["bootstrap.servers"])})
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client has no annotation here
        asked = admin.list_offsets(
            dict.fromkeys(places, latest), isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=20
        )
        ends = {(one.topic, one.partition): answer.result().offset for one, answer in asked.items()}
        return {place: end for place, end in ends.items() if end}

    def _record(self, message: Any) -> Record:
        topic, value = message.topic(), message.value()
        if self._decode is not None and value is not None and value[:1] == b"\0":
            value = self._decode(value, SerializationContext(topic, MessageField.VALUE))
        return Record(
            topic,
            message.partition(),
            message.offset(),
            message.key().decode(),
            value,
            dict(message.headers() or []),
            message.timestamp()[1],
        )


def main() -> None:
    """Print the records of one topic."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("registry")
    parser.add_argument("topic")
    asked = parser.parse_args()
    for one in Reader(asked.bootstrap, asked.registry).read([asked.topic]):
        headers = {name: text.decode() for name, text in one.headers.items()}
        line = {"key": one.key, "value": one.value, "headers": headers, "partition": one.partition}
        sys.stdout.write(json.dumps(line, default=str) + "\n")


if __name__ == "__main__":
    main()
