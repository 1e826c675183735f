"""Print the history of one key: every event that named it, and what became of it.

    python examples/python/read_events.py erp.events duett/acme/customer/13017

Environment: KAFKA (localhost:9092), REGISTRY (http://localhost:9090/registry).
Needs: pip install 'confluent-kafka[avro,schemaregistry]'
"""
# ruff: noqa: INP001, T201  a script, and it prints

import os
import sys

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from read_changelog import records


def main(topic: str, key: str) -> None:
    """Print verdict, name, the vendor's time and where the exact bytes are, in the order of the work."""
    registry = SchemaRegistryClient({"url": os.environ.get("REGISTRY", "http://localhost:9090/registry")})
    decode = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("KAFKA", "localhost:9092"),
            "group.id": "read-events",  # required by the client; with assign() no group is joined
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    for record in records(consumer, topic):
        if record is None:
            break
        if (record.key() or b"").decode() != key:
            continue
        told = decode(record.value(), SerializationContext(topic, MessageField.VALUE))
        raw = f"{told['raw_topic']}/{told['raw_partition']}/{told['raw_offset']}"
        print(f"{told['verdict']:9} {told['meta_event_type']:15} {told['meta_occurred_at']:%F %T} {raw}")
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
