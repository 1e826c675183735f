"""A partition is assigned, paused, sought and resumed while others write: not one record is passed over."""

import time

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connector.runtime.raw_consumer import RawConsumer

pytestmark = pytest.mark.kafka

PARTITIONS = 12
BEFORE = 5
ROUNDS = 4


class Writing:
    """A producer that never rests for long, and what it wrote."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
        self._topic = topic
        self.written = 0

    def write(self, count: int) -> None:
        """Write to one partition after the other."""
        for _ in range(count):
            self._producer.produce(self._topic, b"x", partition=self.written % PARTITIONS)
            self.written += 1
        self._producer.poll(0)

    def flush(self) -> None:
        """Have everything confirmed."""
        assert self._producer.flush(30) == 0


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_nothing_is_passed_over_and_no_end_lies_behind_something_unread(
    bootstrap: str, prefix: str, round_: int
) -> None:
    places = [TopicPartition(prefix, number, 0) for number in range(PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(prefix, PARTITIONS, 1)])[prefix].result(30)
    writing = Writing(bootstrap, prefix)
    writing.write(PARTITIONS * BEFORE)
    writing.flush()
    gone = round_ % 2 * 2  # as after retention: the broker knows offset 0 no more
    if gone:
        deleted = [TopicPartition(prefix, number, gone) for number in range(PARTITIONS)]
        for one in admin.delete_records(deleted).values():
            one.result(30)
    consumer = RawConsumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": prefix,
            "enable.auto.commit": "false",
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": "true",
            "fetch.queue.backoff.ms": "10",
        }
    )

    consumer.assign(places)
    consumer.pause(places)
    until_s = time.monotonic() + 0.5
    while time.monotonic() < until_s:  # the state is rebuilt meanwhile
        consumer.poll(0.02)
    for one in places:
        consumer.seek(TopicPartition(one.topic, one.partition, gone))
    consumer.resume(places)

    read: set[tuple[int, int]] = set()
    ends: list[tuple[int, int]] = []
    for _ in range(150):
        writing.write(3)
        take(consumer, read, ends)
    writing.flush()
    until_s = time.monotonic() + 30
    while len(read) < writing.written - gone * PARTITIONS and time.monotonic() < until_s:
        take(consumer, read, ends)
    consumer.close()

    assert len(read) == writing.written - gone * PARTITIONS
    assert [one for one in ends if not all((one[0], offset) in read for offset in range(gone, one[1]))] == []


def take(consumer: RawConsumer, read: set[tuple[int, int]], ends: list[tuple[int, int]]) -> None:
    """Poll what there is."""
    for message in consumer.consume(1000, 0.01):
        place = (message.partition() or 0, message.offset() or 0)
        error = message.error()
        if error is None:
            read.add(place)
        else:
            assert error.code() == KafkaError._PARTITION_EOF, error  # noqa: SLF001  the client's public name
            ends.append(place)
