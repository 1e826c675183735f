"""Consumed offsets, committed by the one thread that may call the consumer, for a thread that waits for it.

Only `at_least_once` commits here. The consumer commits under its present generation, which would let a late
commit through; so only cycles that are still open are committed: their partitions were never let go.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from connector.errors import ConnectorError
from connector.runtime.passing import passing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from connector.runtime.batch import Cycle

PATIENCE_S: Final = 10.0
"""How long a refused commit is tried again."""
_MEETING: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.UNKNOWN_MEMBER_ID,
    }
)
"""The group meets: polling brings the new generation, or takes the partitions and drops the cycle."""


class NotCommitted(ConnectorError):
    """The cycle's offsets were not committed; its records will be read again."""

    code = "not_committed"


class _Asked:
    """One cycle whose offsets are to be committed."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle: Final = cycle
        self.until_s: Final = time.monotonic() + PATIENCE_S
        self.done: Final = threading.Event()
        self.failure: Exception | None = None


class Offsets:
    """Hands commits from the outlet's thread to the intake's."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Take what wakes the intake's thread where it waits."""
        self._wake: Final = wake
        self._asked: _Asked | None = None

    def commit(self, cycle: Cycle) -> None:
        """Have a cycle's offsets committed, and wait for it.

        Raises:
            NotCommitted: The cycle was dropped, or Kafka did not take them in time.
            KafkaException: Kafka refuses them.
        """
        self._asked = asked = _Asked(cycle)
        self._wake()
        if not asked.done.wait(2 * PATIENCE_S):
            raise NotCommitted("the intake did not commit in time")
        if asked.failure is not None:
            raise asked.failure

    def serve(self, consumer: Any, still_open: Collection[Cycle]) -> None:
        """Commit what is asked for; called by the thread of the consumer."""
        asked = self._asked
        if asked is None:
            return
        if asked.cycle in still_open:
            try:
                _commit(consumer, asked.cycle)
            except KafkaException as refused:
                error = refused.args[0]
                if passing(error) or error.code() in _MEETING:
                    if time.monotonic() < asked.until_s:
                        return
                    asked.failure = NotCommitted(f"{error.name()}: {error.str()}")
                else:
                    asked.failure = refused
        else:
            asked.failure = NotCommitted("the partitions were lost")
        if self._asked is asked:  # else nobody waits for it any more, but for another
            self._asked = None
        asked.done.set()


def _commit(consumer: Any, cycle: Cycle) -> None:
    for one in consumer.commit(offsets=cycle.offsets, asynchronous=False):
        if one.error is not None:
            raise KafkaException(one.error)
