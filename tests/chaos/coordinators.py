"""What Kafka itself tells of a run: how often its coordinators moved, and how often the group met anew."""

import struct
import threading
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

LOOK_S: Final = 0.5
ANSWER_S: Final = 2.0
OFFSETS: Final = "__consumer_offsets"
TOPICS: Final = (OFFSETS, "__transaction_state")
CLASSIC: Final = 2
NEXT: Final = 3
"""Versions of the key of a group's own record: of the classic protocol, of the next generation."""


class Moves:
    """Counts changes of the leaders of both coordinators' partitions; a context manager."""

    def __init__(self, bootstrap: str) -> None:
        self.count = 0
        self._admin: Final = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._leaders: Final[dict[tuple[str, int], int]] = {}
        self._over: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(2 * ANSWER_S + LOOK_S)

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            for topic in TOPICS:
                try:
                    told = self._admin.list_topics(topic, timeout=ANSWER_S).topics[topic]
                except KafkaException:
                    continue
                self.see({(topic, number): one.leader for number, one in told.partitions.items()})

    def see(self, leaders: dict[tuple[str, int], int]) -> None:
        """Compare with what was seen before; -1 is nobody, on the way to somebody."""
        for place, leader in leaders.items():
            if leader >= 0:
                self.count += self._leaders.get(place, leader) != leader
                self._leaders[place] = leader


def generation_of(key: bytes, value: bytes | None, group: str) -> int | None:
    """Read a group's generation, or epoch, from a record of the coordinator; None if it is another one."""
    (version,) = struct.unpack_from(">h", key)
    if version not in (CLASSIC, NEXT) or value is None or key[4:] != group.encode():
        return None
    if version != CLASSIC:
        return int(struct.unpack_from(">hi", value)[1])
    (length,) = struct.unpack_from(">h", value, 2)
    return int(struct.unpack_from(">i", value, 4 + length)[0])


def generations(bootstrap: str, group: str) -> int:
    """Say how often a group has met, as its coordinator has written down."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "a-curious-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
        }
    )
    newest = 0
    try:
        unread = set(consumer.list_topics(OFFSETS, timeout=20).topics[OFFSETS].partitions)
        consumer.assign([TopicPartition(OFFSETS, one, 0) for one in unread])
        while unread:
            messages = consumer.consume(5000, 20)
            assert messages, f"{OFFSETS} never came to an end"
            for message in messages:
                error = message.error()
                if error is None:
                    told = generation_of(bytes(message.key() or b"\0\0"), message.value(), group)
                    newest = newest if told is None else max(newest, told)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    unread.discard(message.partition() or 0)  # may end twice: the group commits on
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return newest
