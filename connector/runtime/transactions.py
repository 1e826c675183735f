"""One transactional producer in a thread of its own: begin, outputs, consumed offsets, commit.

A call without an outcome is given up on: librdkafka 2.16 loses the deadline of `send_offsets_to_transaction`
while the group's coordinator is away (its issue 5456), and may never find the transaction's coordinator again
after it was away, so that every abort times out (both measured). The producer is then abandoned, and whoever
takes its transactional id next fences it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from connector.errors import ConnectorError
from connector.runtime import counts, failpoints
from connector.runtime.lane import Lane
from connector.runtime.rotation import Producer
from connector.runtime.wire import UNPLACED, fault_of, put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import Message

    from connector.runtime.batch import Cycle

CALL_S: Final = 5.0
"""Longest single call into the client; retriable ones are made again until their outcome is known."""
HUNG_S: Final = 2 * CALL_S
"""A single call that takes longer has lost its deadline."""
GIVE_UP_S: Final = 4 * CALL_S
"""Longest time a call is made again and again."""


class Aborted(ConnectorError):
    """The transaction was aborted; its records will be read again."""

    code = "aborted"


class NoOutcome(ConnectorError):
    """The client does not return from a call, or times out again and again: nobody knows how it ended."""

    code = "no_outcome"


class Transactions:
    """Commits whole cycles, one transaction each, one after the other."""

    name: Final = "transactional producer"

    def __init__(self, kafka: Mapping[str, Any], stopping: Callable[[], bool]) -> None:
        """Take the producer's full configuration; once `stopping`, an absent broker is not waited for."""
        self._producer: Final = Producer(dict(kafka))
        self._stopping: Final = stopping
        self._lane: Final = Lane("outlet")
        self.begun_at_s: float | None = None
        """When the open transaction began, monotonic; None while there is none."""
        self._called_at_s: float | None = None
        """When the call that is under way began, monotonic."""
        self._unplaced = False

    async def begin(self) -> None:
        """Take the transactional id; whatever a predecessor with it left open is ended first.

        Raises:
            NoOutcome: Not with this producer; the broker may be away.
            KafkaException: The id cannot be had, now or later.
        """
        await self._watched(lambda: self._until_done(lambda: self._producer.init_transactions(CALL_S)))

    async def commit(self, cycle: Cycle) -> None:
        """Make a cycle's records and its consumed offsets visible together.

        Raises:
            Aborted: Neither is; the records must be read again.
            NoOutcome: Nobody knows; the producer must be abandoned.
            KafkaException: The producer can do nothing more.
        """
        await self._watched(partial(self._transact, cycle))

    async def _watched(self, work: Callable[[], None]) -> None:
        """Run something in the lane, no single call of which may take longer than `HUNG_S`."""
        running = asyncio.ensure_future(self._lane.run(work))
        while not (await asyncio.wait({running}, timeout=1.0))[0]:
            called_at_s = self._called_at_s
            if called_at_s is not None and (took_s := time.monotonic() - called_at_s) > HUNG_S:
                running.cancel()
                raise NoOutcome(f"the client has not returned from a call for {took_s:.0f} s")
        running.result()

    def abandon(self) -> None:
        """Have nothing more to do with this producer; the next one of its transactional id fences it."""
        self._lane.end(self._producer)

    # the lane's thread

    def _transact(self, cycle: Cycle) -> None:
        """Commit a cycle; once more if a revoke has renewed its fence meanwhile.

        Refused without a renewal, the records belong to a past generation: fresh metadata would let a late
        commit through, so they are read again by whoever owns them now.
        """
        self.begun_at_s = begun_s = time.monotonic()
        counts.CYCLE_RECORDS.observe(cycle.records)
        try:
            while True:
                metadata = cycle.fence.metadata
                try:
                    self._attempt(cycle, metadata)
                except Aborted:
                    counts.TRANSACTIONS.labels("aborted").inc()
                    if cycle.fence.metadata is metadata:
                        raise
                else:
                    counts.TRANSACTIONS.labels("committed").inc()
                    counts.COMMIT_SECONDS.observe(time.monotonic() - begun_s)
                    return
        finally:
            self.begun_at_s = None

    def _attempt(self, cycle: Cycle, metadata: object) -> None:
        producer = self._producer
        self._unplaced = False
        try:
            producer.begin_transaction()
            failpoints.at("outlet.begun")
            for outputs in cycle.outputs.values():
                for record in outputs:
                    put(producer, record, self._heard)
            failpoints.at("outlet.produced")
            self._until_done(lambda: producer.send_offsets_to_transaction(cycle.offsets, metadata, CALL_S))
            failpoints.at("outlet.offsets_sent")
            self._until_done(self._deliver)
            # fails if one record was refused: never committed without every record
            self._until_done(lambda: producer.commit_transaction(CALL_S))
            failpoints.at("outlet.committed")
        except KafkaException as failure:
            error = failure.args[0]
            if error.fatal():
                raise
            self._until_done(lambda: producer.abort_transaction(CALL_S))
            raise Aborted(f"{error.name()}: {error.str()}") from failure

    def _heard(self, error: KafkaError | None, message: Message) -> None:
        """Take note of a record that may be nowhere; of any other that failed the client knows itself."""
        if fault_of(error, message) is UNPLACED:
            self._unplaced = True

    def _deliver(self) -> None:
        """Wait until every record was told of; a commit would wait too, but could not be held back any more.

        Raises:
            KafkaException: Retriable while some are on their way; not where one may be nowhere.
        """
        if self._producer.flush(CALL_S):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not all delivered", retriable=True))  # noqa: SLF001
        if self._unplaced:
            raise KafkaException(UNPLACED)

    def _until_done(self, call: Callable[[], object]) -> None:
        """Make a call until its outcome is known.

        Raises:
            NoOutcome: Not in `GIVE_UP_S`.
            KafkaException: Not retriable; or the worker is stopping and the broker still away.
        """
        began_s = time.monotonic()
        while True:
            self._called_at_s = time.monotonic()
            try:
                call()
            except KafkaException as failure:
                error = failure.args[0]
                if not error.retriable() or self._stopping():
                    raise
                if (tried_s := time.monotonic() - began_s) > GIVE_UP_S:
                    raise NoOutcome(f"tried for {tried_s:.0f} s: {error.name()}: {error.str()}") from failure
            else:
                return
            finally:
                self._called_at_s = None
