"""Raw records in: one consumer in one thread, cycles out.

Every call on the consumer happens in this thread: a look at the group metadata from another one, during a
rebalance callback, never returned (measured). A partition that is revoked is kept until what is in flight
has settled.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connector.errors import ConnectorError
from connector.runtime import failpoints
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.offsets import Offsets
from connector.runtime.raw_consumer import RawConsumer
from connector.runtime.trailing import Trailing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import Consumer, Message

    from connector.runtime.assignment import Assignment, Place
    from connector.runtime.settings import WorkerSettings

_POLL_S: Final = 0.5
_BUSY_POLL_S: Final = 0.02
_FULL_S: Final = 1.0
_AHEAD: Final = 2
"""Cycles in flight: one that is committed and one that is worked on."""


class Unsettled(ConnectorError):
    """What was in flight did not settle while its partitions were being revoked."""

    code = "unsettled"


class Intake:
    """The consumer and its thread; see the module's head for what must hold."""

    def __init__(
        self,
        kafka: Mapping[str, Any],
        assignment: Assignment,
        settings: WorkerSettings,
        *,
        cooperative: bool,
        hand_over: Callable[[Cycle], None],
        fail: Callable[[BaseException], None],
        stray: Callable[[], bool],
    ) -> None:
        """Take the consumer's full configuration; the callables are called from the thread.

        While something of a dropped cycle is `stray`, no state is read: it would be missing there.
        """
        self.assignment: Final = assignment
        self._source_of: Final = assignment.topics.source_of
        self._batch_records: Final = settings.batch_records
        self._settle_timeout_s: Final = settings.settle_timeout_s
        self._failed = False
        self._forgetting = False
        self._cooperative: Final = cooperative
        self._hand_over: Final = hand_over
        self._fail: Final = fail
        self._stray: Final = stray
        self._consumer: Final = RawConsumer({**kafka, "enable.partition.eof": "true"})
        self._trailing: Final = Trailing()
        self._thread: Final = threading.Thread(target=self._run, name="intake", daemon=True)
        self._stopping: Final = threading.Event()
        self._rewinding: Final = threading.Event()
        self._room: Final = threading.Event()
        self.offsets: Final = Offsets(self._room.set)
        self._commits_here: Final = settings.delivery == "at_least_once"
        self._lock: Final = threading.Lock()
        self._open: list[Cycle] = []
        self._held: list[Message] = []
        self._number = 0
        self.epoch = 0
        """Counts rewinds; a cycle of an older epoch is dropped wherever it is met."""
        self.polled_at_s = time.monotonic()
        """When the thread last polled: its liveness."""

    # called from other threads

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    def stop(self, timeout_s: float, *, failed: bool = False) -> bool:
        """Settle what is in flight and leave the group; say whether that was done in time.

        A worker that has failed commits nothing more, so there is nothing to wait for.
        """
        self._failed = failed
        self._stopping.set()
        self._room.set()
        if self._thread.ident is None:  # the worker failed before it joined the group
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def settled(self, cycle: Cycle) -> None:
        """Hear that a cycle is committed."""
        with self._lock:
            if cycle in self._open:
                self._open.remove(cycle)
        cycle.settled.set()
        self._room.set()

    def rewind(self, *, forget: bool = False) -> None:
        """Drop every open cycle and what it changed, and read again from the committed offsets.

        Args:
            forget: Read the state again too: how the last commit ended is not known.
        """
        with self._lock:
            self.epoch += 1
            self._number = 0
            dropped, self._open = self._open, []
            self.assignment.state.drop(self.epoch)
            self._forgetting = self._forgetting or forget
            self._rewinding.set()
        for cycle in dropped:
            cycle.settled.set()
        self._room.set()

    # the thread

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                list(self._source_of),
                on_assign=self._assigned,
                on_revoke=self._revoked,
                on_lost=self._lost,
            )
            while not self._stopping.is_set():
                self._turn()
            self._settle("stopping")
        except BaseException as error:  # noqa: BLE001  a thread that dies unseen would stop the worker in silence
            self._fail(error)
        finally:
            self.assignment.close()
            self._consumer.close()

    def _turn(self) -> None:
        """Obey a rewind, wait for room, poll one record and drain what else is there."""
        self.polled_at_s = time.monotonic()
        if self._rewinding.is_set():
            self._rewinding.clear()
            self._held = []
            self._trailing.keep(())
            forget, self._forgetting = self._forgetting, False
            self.assignment.rewind(self._consumer, forget=forget)
        if not self._stray():
            self.assignment.advance(self._consumer)
        self._wait_for_room()
        records, self._held = self._held, []
        if not records:
            busy = self.assignment.rebuilding or (self._commits_here and self._open)
            first = self._consumer.poll(_BUSY_POLL_S if busy else _POLL_S)
            if first is None:
                if self._trailing.due:
                    self._cut([])
                return
            # consume(n, timeout) alone would wait the whole timeout unless n records came
            records = [first, *self._consumer.consume(self._batch_records - 1, 0)]
        self._cut(records)

    def _wait_for_room(self) -> None:
        """Wait while enough cycles are in flight, without losing the membership.

        Pausing throws away what the client has fetched ahead, so it is done only when the wait gets long.
        """
        end_s = time.monotonic() + _FULL_S
        while True:
            self._room.clear()
            self.offsets.serve(self._consumer, self._open)
            if len(self._open) < _AHEAD or self._stopping.is_set() or self._rewinding.is_set():
                return
            if not self._room.wait(max(end_s - time.monotonic(), 0)):
                break
        paused = [TopicPartition(*place) for place in self.assignment.live]
        self._consumer.pause(paused)
        while len(self._open) >= _AHEAD and not self._stopping.is_set():
            self.polled_at_s = time.monotonic()
            self.offsets.serve(self._consumer, self._open)
            if (late := self._consumer.poll(0.1)) is not None:
                self._held.append(late)
        self._consumer.resume([TopicPartition(*place) for place in self.assignment.live])

    def _cut(self, records: list[Message]) -> None:
        """Make a cycle of one drain. Records of a partition that moved in between are dropped.

        Ends that have waited long enough make one without records, in the hands of any agent.
        """
        cycle = Cycle(self.epoch, self._number, Fence(self._consumer.consumer_group_metadata()))
        ends: dict[Place, int] = {}
        for record in records:
            place = (str(record.topic()), int(record.partition() or 0))
            if not self._is_record(record) or place not in self.assignment.live:
                continue
            source = self._source_of[place[0]]
            batch = cycle.batches.get(source)
            if batch is None:
                batch = cycle.batches[source] = Batch(cycle, source)
            batch.messages.setdefault(place[1], []).append(record)
            ends[place] = int(record.offset() or 0) + 1
        if not cycle.batches:
            if not self._trailing.due:
                return
            source = next(iter(self._source_of.values()))
            cycle.batches[source] = Batch(cycle, source)
        cycle.offsets = [TopicPartition(*place, end) for place, end in self._trailing.with_ends(ends).items()]
        cycle.polled_at_s = time.monotonic()
        with self._lock:
            # Polled before the seek that a rewind asks for: behind records that were just dropped.
            if cycle.epoch != self.epoch or self._rewinding.is_set():
                return
            self._number += 1
            self._open.append(cycle)
        failpoints.at("intake.polled")
        self._hand_over(cycle)

    def _is_record(self, message: Message) -> bool:
        """Say whether a message is a record; of the end of a partition that is read take note.

        Raises:
            KafkaException: It is an error that does not end by itself.
        """
        error = message.error()
        if error is None:
            return True
        place = (str(message.topic()), int(message.partition() or 0))
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's public name
            if place in self.assignment.live:
                self._trailing.reached(place, int(message.offset() or 0))
        elif not error.retriable() and (message.topic() is None or place in self.assignment.owned):
            raise KafkaException(error)
        return False

    # rebalance callbacks, inside poll

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assignment.take(consumer, partitions, cooperative=self._cooperative)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Let nothing go before what is in flight has settled: the group waits for us.

        With cooperative assignment the group is already in its next generation, and a transaction under
        the old one is refused. The partitions are still held: here, and nowhere else, fences are renewed.
        """
        if self._cooperative and self._open:
            metadata = consumer.consumer_group_metadata()
            for cycle in list(self._open):
                cycle.fence.metadata = metadata
        failpoints.at("intake.settling")
        self._settle("a rebalance")
        self.assignment.let_go(consumer, partitions, cooperative=self._cooperative)
        self._trailing.keep(self.assignment.live)
        # Of partitions that stay with us nothing would bring them again.
        self._held = [one for one in self._held if (one.topic(), one.partition()) in self.assignment.owned]

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop everything: another worker may own the partitions already."""
        self.rewind(forget=True)  # what was on its way may be written all the same
        self._held = []
        self._trailing.keep(())
        self.assignment.let_go(consumer, partitions, cooperative=self._cooperative)

    def _settle(self, why: str) -> None:
        """Wait until every open cycle is committed or dropped.

        Raises:
            Unsettled: Not in time; the process must end, for a late commit could follow the hand-over.
        """
        if self._failed:
            return
        end_s = time.monotonic() + self._settle_timeout_s
        for cycle in list(self._open):
            while not cycle.settled.wait(_BUSY_POLL_S):
                self.offsets.serve(self._consumer, self._open)
                if time.monotonic() > end_s:
                    raise Unsettled(f"{why}: a cycle of {cycle.records} records did not settle in time")
