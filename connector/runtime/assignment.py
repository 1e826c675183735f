"""Which partitions are ours, which of them are read, and the rebuild between the two.

Used by the intake's thread alone; only the rebuild itself runs in another one, while polling goes on
with the partitions paused.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, TopicPartition

from connector.runtime import failpoints
from connector.runtime.filling import Cancelled
from connector.runtime.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.runtime.filling import Places
    from connector.runtime.rebuild import Rebuild
    from connector.runtime.state import State
    from connector.topics import Topics

Place = tuple[str, int]
"""(raw topic, partition)."""


class Assignment:
    """Partitions owned, and the subset that is live: rebuilt and read."""

    def __init__(self, topics: Topics, state: State, rebuild: Rebuild) -> None:
        """Own nothing yet."""
        self.topics: Final = topics
        self.state: Final = state
        self._rebuild: Final = rebuild
        self._executor: Final = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="rebuild")
        self.owned: set[Place] = set()
        self.live: set[Place] = set()
        self._known: set[Place] = set()
        """Owned partitions whose state is complete: after a rewind only their offsets are asked for."""
        self._running: tuple[set[Place], threading.Event, concurrent.futures.Future[Places]] | None = None
        self.count = 0
        """Assignments so far."""
        self._behind_since_s: float | None = None
        """Monotonic seconds since when not every owned partition was read; None while all are."""

    @property
    def rebuilding(self) -> bool:
        """Whether a rebuild is at work."""
        return self._running is not None

    @property
    def records_read(self) -> int:
        """Changelog records read so far."""
        return self._rebuild.records_read

    def behind_s(self) -> float:
        """Say for how long not every owned partition has been read; 0 if all are. For another thread."""
        since_s = self._behind_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def standing(self) -> str | None:
        """Say why not every owned partition is read; None if all are."""
        if not self.count:
            return "no partitions assigned yet: the group has not met"
        behind = len(self.owned) - len(self.live)
        if behind:
            return (
                f"rebuilding the state of {behind} of {len(self.owned)} partitions,"
                f" {self.records_read} changelog records read"
            )
        return None

    def take(self, consumer: Consumer, partitions: Iterable[TopicPartition], *, cooperative: bool) -> None:
        """Take newly assigned partitions, paused until their state is there."""
        # An explicit offset: with the stored one the client would look it up and read before the rebuild.
        taken = [TopicPartition(one.topic, one.partition, 0) for one in partitions]
        if cooperative:
            consumer.incremental_assign(taken)
        else:
            consumer.assign(taken)
        if taken:
            consumer.pause(taken)
            self.owned |= {(one.topic, one.partition) for one in taken}
            failpoints.at("assignment.taken")
        self.count += 1  # not before they are owned: a probe would find a worker that has read all of none
        log.info("partitions assigned", extra={"partitions": len(taken), "owned": len(self.owned)})

    def let_go(self, consumer: Consumer, partitions: list[TopicPartition], *, cooperative: bool) -> None:
        """Stop reading partitions; their state stays as a cache."""
        places = {(one.topic, one.partition) for one in partitions}
        self.owned -= places
        log.info("partitions let go", extra={"partitions": len(places), "owned": len(self.owned)})
        self.live -= places
        self._known -= places
        if self._running is not None and self._running[0] & places:
            self._running[1].set()
        now_s = time.time()
        for topic, partition in places:
            self.state.release(self.topics.source_of[topic], partition, now_s)
        if cooperative:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()

    def rewind(self, consumer: Consumer, *, forget: bool) -> None:
        """Stop reading until the committed offsets are known again, and with `forget` the state too."""
        consumer.pause([TopicPartition(*place) for place in self.live])
        self.live = set()
        if forget:
            self._known = set()

    def advance(self, consumer: Consumer) -> None:
        """Begin the rebuild that is due, or read on where one has ended.

        Raises:
            ConnectorError, KafkaException: The rebuild failed.
        """
        if self._running is None:
            if waiting := self.owned - self.live:
                if self._behind_since_s is None:
                    self._behind_since_s = time.monotonic()
                self._begin(waiting)
            else:
                self._behind_since_s = None
            return
        places, _, future = self._running
        if not future.done():
            return
        self._running = None
        try:
            offsets = future.result()
        except Cancelled:
            return
        failpoints.at("assignment.rebuilt")
        ready = places & self.owned
        for topic, partition in ready:
            consumer.seek(TopicPartition(topic, partition, offsets[topic, partition]))
        consumer.resume([TopicPartition(*place) for place in ready])
        self.live |= ready
        self._known |= ready
        log.info("partitions read", extra={"partitions": len(ready), "live": len(self.live)})

    def _begin(self, waiting: set[Place]) -> None:
        now_s = time.time()
        unknown = waiting - self._known
        states = {
            (topic, partition): self.state.take(self.topics.source_of[topic], partition, now_s)
            for topic, partition in unknown
        }
        cancelled = threading.Event()
        future = self._executor.submit(self._rebuild.run, sorted(waiting), states, cancelled)
        self._running = (waiting, cancelled, future)

    def close(self) -> None:
        """End a rebuild at work."""
        if self._running is not None:
            self._running[1].set()
        self._executor.shutdown(wait=True)
