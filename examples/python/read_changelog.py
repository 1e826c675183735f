"""Keep the current state of one changelog topic in a map, by the rule of docs/consuming.md.

    python examples/python/read_changelog.py erp.changelog.customer
    python examples/python/read_changelog.py erp.changelog.customer --once

Environment: KAFKA (localhost:9092), REGISTRY (http://localhost:9090/registry).
Needs: pip install 'confluent-kafka[avro,schemaregistry]'
"""
# ruff: noqa: INP001, T201  a script, and it prints

import os
import sys
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

View = dict[str, dict[str, Any]]


def take(view: View, key: str, value: dict[str, Any] | None) -> None:
    """Apply the whole rule: null means deleted, else the greatest version, the later one at a tie."""
    if value is None:
        view.pop(key, None)
    elif key not in view or value["meta_version"] >= view[key]["meta_version"]:
        view[key] = value


def records(consumer: Consumer, topic: str) -> Iterator[Message | None]:
    """Give every committed record from the beginning; None once, when all that is there was read."""
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    behind = set(partitions)
    while True:
        record = consumer.poll(1)
        if record is None:
            continue
        if (error := record.error()) is None:
            yield record
        elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
            raise KafkaException(error)
        elif record.partition() in behind:
            behind.discard(record.partition())
            if not behind:
                yield None


def main(topic: str, *, once: bool) -> None:
    """Print what changes, and say when the snapshot is complete."""
    registry = SchemaRegistryClient({"url": os.environ.get("REGISTRY", "http://localhost:9090/registry")})
    decode = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("KAFKA", "localhost:9092"),
            "group.id": "read-changelog",  # required by the client; with assign() no group is joined
            "isolation.level": "read_committed",  # a must: other records may be aborted ones
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    view: View = {}
    for record in records(consumer, topic):
        if record is None:
            print(f"-- snapshot complete: {len(view)} living entities", flush=True)
            if once:
                break
            continue
        key = (record.key() or b"").decode()
        value = decode(record.value(), SerializationContext(topic, MessageField.VALUE))
        take(view, key, value)
        filled = {n: v for n, v in (value or {}).items() if v is not None and not n.startswith("meta_")}
        print("tombstone" if value is None else value["meta_op"], key, filled, flush=True)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], once="--once" in sys.argv)
