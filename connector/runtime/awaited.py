"""`at_least_once`: outputs first, every one of them confirmed, then the consumed offsets.

A crash between the two lets the records be read again, and the state answers for what was written already. So
what a state would keep from being told again goes out first: history, forwards and quarantine are confirmed
before the first record that becomes state. A delivery that failed may have reached the broker all the same;
its producer is abandoned, and state and offsets are read again.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from connector.runtime import counts, failpoints
from connector.runtime.lane import Lane
from connector.runtime.offsets import NotCommitted
from connector.runtime.passing import passing
from connector.runtime.rotation import Producer
from connector.runtime.transactions import CALL_S, NoOutcome
from connector.runtime.wire import UNPLACED, fault_of, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka import Message

    from connector.runtime.batch import Cycle
    from connector.runtime.wire import KafkaRecord

_FLUSH_S: Final = 0.5
SETTLE_S: Final = 1.0
"""What an older producer sent is with the brokers, or lost, this long after they answer."""
_UNKNOWN: Final = frozenset(
    {
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001  the client's public names
        KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
        UNPLACED.code(),
    }
)
"""Deliveries without an outcome: Kafka was away, or we gave up on them."""


class Awaited:
    """Writes whole cycles, one after the other, with an idempotent producer."""

    name: Final = "producer"

    def __init__(
        self,
        kafka: Mapping[str, Any],
        states: frozenset[str],
        wants: Callable[[Cycle], bool],
        commit_offsets: Callable[[Cycle], None],
        check: Callable[[], None],
    ) -> None:
        """Take the producer's full configuration and the other stations.

        Args:
            kafka: librdkafka properties.
            states: Topics whose records become state.
            wants: Says whether a cycle was not dropped meanwhile.
            commit_offsets: Commits what a cycle consumed, in the intake's thread.
            check: Ends the process if it stood still.
        """
        self._producer: Final = Producer(dict(kafka))
        self._states: Final = states
        self._wants: Final = wants
        self._commit_offsets: Final = commit_offsets
        self._check: Final = check
        self._lane: Final = Lane("outlet")
        self._produced = self._told = 0
        self._refused: KafkaError | None = None
        self.begun_at_s: float | None = None
        """When the cycle that is being written was begun, monotonic; None while there is none."""

    async def begin(self) -> None:
        """Wait for Kafka, and until what an older producer sent has arrived or never will.

        Raises:
            NoOutcome: Kafka is away.
            KafkaException: It refuses, and would again.
        """
        await self._lane.run(self._reach)

    async def commit(self, cycle: Cycle) -> None:
        """Write a cycle's records, then commit what it consumed.

        Raises:
            NoOutcome: Nobody knows what was written; this producer must be abandoned.
            KafkaException: Kafka refuses something; likewise.
        """
        await self._lane.run(partial(self._write, cycle))

    def abandon(self) -> None:
        """Have nothing more to do with this producer; nothing of it is on its way any more."""
        self._lane.end(self._producer)

    # the lane's thread

    def _reach(self) -> None:
        try:
            self._producer.list_topics(timeout=CALL_S)
        except KafkaException as failure:
            error = failure.args[0]
            if not passing(error):
                raise
            raise NoOutcome(f"{error.name()}: {error.str()}") from failure
        time.sleep(SETTLE_S)

    def _write(self, cycle: Cycle) -> None:
        self.begun_at_s = begun_s = time.monotonic()
        counts.CYCLE_RECORDS.observe(cycle.records)
        records = [record for outputs in cycle.outputs.values() for record in outputs]
        try:
            self._deliver(cycle, (one for one in records if one.topic not in self._states))
            failpoints.at("awaited.history")
            self._deliver(cycle, (one for one in records if one.topic in self._states))
            failpoints.at("awaited.state")
            self._check()
            self._commit_offsets(cycle)
            failpoints.at("awaited.committed")
        except NotCommitted as refused:
            raise NoOutcome(str(refused)) from refused
        finally:
            self._give_up()
            self.begun_at_s = None
        counts.TRANSACTIONS.labels("committed").inc()
        counts.COMMIT_SECONDS.observe(time.monotonic() - begun_s)

    def _deliver(self, cycle: Cycle, records: Iterable[KafkaRecord]) -> None:
        """Write records and wait until every one of them is confirmed."""
        for record in records:
            self._check()
            if self._refused is not None:
                break
            put(self._producer, record, self._heard)
            self._produced += 1
        while self._told < self._produced and self._refused is None:
            self._check()
            self._producer.flush(_FLUSH_S)
        if (error := self._refused) is not None:
            if error.code() in _UNKNOWN or passing(error):
                raise NoOutcome(f"{error.name()}: {error.str()}")
            raise KafkaException(error)
        if not self._wants(cycle):
            raise NotCommitted("the partitions were lost")

    def _heard(self, error: KafkaError | None, message: Message) -> None:
        self._told += 1
        if self._refused is None:
            self._refused = fault_of(error, message)

    def _give_up(self) -> None:
        """Leave nothing on its way: whoever reads the changelog next must find everything there."""
        if self._told < self._produced:
            self._producer.purge()
            self._producer.flush(CALL_S)
