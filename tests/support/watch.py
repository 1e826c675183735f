"""Tells when the workers have committed everything that stands in the raw topics."""

import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client has no annotation here


class Watch:
    """Compares the group's committed offsets with what the raw topics hold."""

    def __init__(self, bootstrap: str, group: str, topics: Iterable[str], partitions: int) -> None:
        """Take the brokers, the workers' group, and the raw topics with their partition count."""
        self._places = [TopicPartition(topic, one) for topic in topics for one in range(partitions)]
        common = {
            "bootstrap.servers": bootstrap,
            "group.id": group,  # never joined: only its offsets are asked for
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._group = Consumer(common | {"isolation.level": "read_committed"})
        self._reader = Consumer(
            common | {"isolation.level": "read_uncommitted", "enable.partition.eof": True}
        )

    def left(self) -> dict[str, int]:
        """Partitions with records behind the committed offset; markers alone do not count."""
        behind = []
        try:
            ends = self._admin.list_offsets(dict.fromkeys(self._places, _LATEST), request_timeout=10)
            for place in self._group.committed(self._places, timeout=10):
                committed = max(place.offset, 0)
                if committed < ends[place].result().offset:
                    behind.append(TopicPartition(place.topic, place.partition, committed))
        except KafkaException as away:
            return {away.args[0].name(): 1}
        return self._records(behind) if behind else {}

    def _records(self, behind: list[TopicPartition]) -> dict[str, int]:
        self._reader.assign(behind)
        found: dict[str, int] = {}
        ends, deadline = 0, time.monotonic() + 10
        while ends < len(behind) and time.monotonic() < deadline:
            first = self._reader.poll(0.5)
            for message in [first, *self._reader.consume(5000, 0)] if first else []:
                where = f"{message.topic()}/{message.partition()}"
                error = message.error()
                if error is None:
                    found[where] = found.get(where, 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    ends += 1
        self._reader.unassign()
        return found

    def wait(self, within_s: float) -> None:
        """Wait until nothing is left.

        Raises:
            AssertionError: Not in time.
        """
        deadline, quiet = time.monotonic() + within_s, 0
        while quiet < 2:  # a forward may have gone to a partition that was looked at before
            left = self.left()
            quiet = 0 if left else quiet + 1
            if left and time.monotonic() > deadline:
                raise AssertionError(f"raw records not worked off within {within_s} s: {left}")
            time.sleep(0.1)

    def close(self) -> None:
        """Let go of the clients."""
        self._group.close()
        self._reader.close()
