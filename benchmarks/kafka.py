"""The real broker beside the subject: topics, backlog, progress, and reading back what came out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from benchmarks.gauge import OTHER_CORE, on
from connector.runtime import admin
from connector.runtime.broker import LocalKafka
from connector.runtime.configuration import load
from connector.runtime.desk import topics_under
from connector.topics import Topics

PARTITIONS: Final = 12
_JVM: Final = "_JAVA_OPTIONS"
"""Wins over the command line: the benchmarks' broker may compile fully and has room."""
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client has no annotation here
_ASKS: Final = {"isolation.level": "read_uncommitted", "enable.auto.commit": False}
"""Read committed would wait for open transactions; what is not committed is not told either way."""
_NEW: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001  its public name
        KafkaError._WAIT_COORD,  # noqa: SLF001  likewise
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
    }
)
_BROKER: Final = {
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.enable": "false",
    "offsets.topic.num.partitions": "1",
}


class Kafka:
    """One running broker."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap: Final = bootstrap
        self.folder: Final = folder
        self._admin: Final = AdminClient({"bootstrap.servers": bootstrap})
        self._rounds = 0

    def topics(self) -> tuple[Topics, Path]:
        """Create all topics under a fresh prefix; give them and the configuration that names them."""
        self._rounds += 1
        prefix = f"b{self._rounds}"
        config = self.folder / f"{prefix}.yaml"
        config.write_text(yaml.safe_dump(self._settings(prefix)))
        settings = load(config)
        admin.apply(settings, admin.plan(settings))
        return topics_under(prefix), config

    def _settings(self, prefix: str) -> dict[str, Any]:
        return {
            "kafka": {"bootstrap.servers": self.bootstrap},
            "topics": {"prefix": prefix, "partitions": PARTITIONS, "replication_factor": 1},
        }

    def forget(self, topics: Topics) -> None:
        """Delete all topics of a round: thousands of partitions would slow the next ones down."""
        names = [topic.name for topic in topics.all()]
        for future in self._admin.delete_topics(names, operation_timeout=30).values():
            future.result()

    def producer(self, **properties: Any) -> Producer:
        """Give a fast durable producer."""
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "queue.buffering.max.messages": 100_000,
                **properties,
            }
        )

    def written(self, topic: str) -> int:
        """Count the offsets of a topic: records, and markers where transactions wrote it."""
        asked = {TopicPartition(topic, one): _LATEST for one in range(PARTITIONS)}
        try:
            return sum(future.result().offset for future in self._admin.list_offsets(asked).values())
        except KafkaException as failure:
            return _nothing_yet(failure)

    def progress(self, group: str, topic: str) -> Callable[[], int]:
        """Count the records of a topic a group is done with, visible only with what they became."""
        asker = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, **_ASKS})
        asked = [TopicPartition(topic, one) for one in range(PARTITIONS)]

        def count() -> int:
            try:
                return sum(max(one.offset, 0) for one in asker.committed(asked, timeout=5))
            except KafkaException as failure:
                return _nothing_yet(failure)

        return count

    def read(self, topic: str) -> Iterator[Message]:
        """Read a whole topic, committed records only, in order per partition."""
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "benchmark-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 10,
            }
        )
        reader.assign([TopicPartition(topic, one, 0) for one in range(PARTITIONS)])
        open_ = PARTITIONS
        while open_:
            for one in reader.consume(2000, 0.2):
                error = one.error()
                if error is None:
                    yield one
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    open_ -= 1
                else:
                    raise RuntimeError(error.str())
        reader.close()


def _nothing_yet(failure: KafkaException) -> int:
    """Take a new topic or group for empty; anything else is raised again."""
    if failure.args[0].code() not in _NEW:
        raise failure
    return 0


def fill(producer: Producer, topic: str, records: Iterable[tuple[bytes, bytes, Any, int]]) -> None:
    """Write records (key, value, headers, timestamp in ms) as fast as the broker takes them.

    Raises:
        RuntimeError: One was not confirmed.
    """
    refused = []

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error.str())

    for key, value, headers, timestamp_ms in records:
        while True:
            try:
                producer.produce(
                    topic, value, key, headers=headers, timestamp=timestamp_ms, on_delivery=report
                )
            except BufferError:
                producer.poll(0.05)
            else:
                break
        producer.poll(0)
    producer.flush(120)
    if refused or len(producer):
        raise RuntimeError(f"{topic}: not filled: {refused[:1]}")


@contextmanager
def broker(folder: Path) -> Iterator[Kafka]:
    """Run a real broker on the other core."""
    before = os.environ.get(_JVM)
    os.environ[_JVM] = "-Xms512m -Xmx1g -XX:TieredStopAtLevel=4"
    try:
        with on(OTHER_CORE), LocalKafka(properties=_BROKER) as running:
            if before is None:
                del os.environ[_JVM]
            yield Kafka(running.bootstrap, folder)
    finally:
        if before is not None:
            os.environ[_JVM] = before
        else:
            os.environ.pop(_JVM, None)
