"""The only way out: a cycle's records and its consumed offsets, in cycle order, by way of a delivery.

Under `exactly_once` they become visible together or never, each under the group metadata its records were
polled with. An error the client calls abortable aborts and reads again. A producer that Kafka's absence has
worn out, ended by an error or without an outcome, is replaced by one of the same id, which fences it; then
everything is read again, for nobody knows how the last commit ended. Five failures in a row, and anything
else, end the process. Nothing is skipped.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import faust
from confluent_kafka import KafkaException

from connector.errors import ConnectorError
from connector.runtime import counts, failpoints, traces
from connector.runtime.standstill import clock_s
from connector.runtime.telemetry import log
from connector.runtime.transactions import Aborted, NoOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.runtime.batch import Batch, Cycle
    from connector.runtime.checkpoints import Checkpoints
    from connector.runtime.intake import Intake
    from connector.runtime.state import State
    from connector.runtime.wire import KafkaRecord

MOST_FAILURES: Final = 5
"""Failures in a row, with no commit between, after which trying again would only hide the fault."""
STAMP_S: Final = 1.0
EXPIRE_S: Final = 60.0


class StillFailing(ConnectorError):
    """The same records could not be committed again and again."""

    code = "still_failing"


class Delivery(Protocol):
    """Writes cycles; `Transactions` for `exactly_once`, `Awaited` for `at_least_once`."""

    @property
    def name(self) -> str:
        """What its producer is called in the log."""

    @property
    def begun_at_s(self) -> float | None:
        """When the cycle that is being written was begun, monotonic; None while there is none."""

    async def begin(self) -> None:
        """Make ready; `NoOutcome` while Kafka is away."""

    async def commit(self, cycle: Cycle) -> None:
        """Write a cycle and commit its offsets; `Aborted`, `NoOutcome`, `KafkaException` if not."""

    def abandon(self) -> None:
        """Let its producer go."""


class Outlet(faust.Service):
    """Puts the cycles in order and sees each of them committed."""

    def __init__(
        self,
        new: Callable[[Callable[[], bool]], Delivery],
        intake: Intake,
        state: State,
        fail: Callable[[BaseException], None],
        pause_s: float,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Wire the stations.

        Args:
            new: Makes a delivery; told whether the worker is stopping.
            intake: Hears of commits and of what must be read again.
            state: Keeps what was committed.
            fail: Hears what ends the process.
            pause_s: A process that stood still this long may have lost its partitions to another.
            checkpoints: Follow the commits, where states outlive the process.
        """
        super().__init__()
        self._make: Final = new
        self._intake: Final = intake
        self._state: Final = state
        self._fail: Final = fail
        self._pause_s: Final = pause_s
        self._checkpoints: Final = checkpoints
        self._whole: Final[asyncio.Queue[Cycle]] = asyncio.Queue()
        self._delivery = self._new()
        self._waiting: dict[int, Cycle] = {}
        self._writing: Cycle | None = None
        self._epoch = 0
        self._next = 0
        self._failures = 0
        self._stamped_at_s = clock_s()
        self._stood_still = False

    def _new(self) -> Delivery:
        return self._make(lambda: self.should_stop)

    @property
    def begun_at_s(self) -> float | None:
        """When the open transaction began, monotonic; None while there is none."""
        return self._delivery.begun_at_s

    async def on_start(self) -> None:
        """Make the delivery ready; a transactional one aborts what a predecessor left open."""
        await self._begin()

    async def _begin(self) -> None:
        """Have a producer that is ready; while Kafka is away, ever new ones try."""
        while True:
            try:
                await self._delivery.begin()
            except NoOutcome as unknown:
                log.warning("the %s waits for Kafka", self._delivery.name, extra={"why": str(unknown)})
                self._renew()
            else:
                return

    def _renew(self) -> None:
        self._delivery.abandon()
        self._delivery = self._new()

    def stray(self) -> bool:
        """Say whether something of a dropped cycle is still on its way: no state may be read meanwhile."""
        cycle = self._writing
        return cycle is not None and not self.wants(cycle)

    def wants(self, cycle: Cycle) -> bool:
        """Say whether a cycle will be committed; those from before a rewind will not."""
        return cycle.epoch == self._intake.epoch

    async def put(self, batch: Batch, outputs: list[KafkaRecord]) -> None:
        """Hand in one source's outputs; a cycle whose last ones these are is queued for its commit.

        Raises:
            RuntimeError: A cycle came twice: a batch was carried again.
        """
        cycle = batch.cycle
        if cycle.epoch > self._epoch:
            self._epoch, self._next, self._waiting = cycle.epoch, 0, {}
        if cycle.epoch < self._epoch:
            return
        if batch.source in cycle.outputs or cycle.number < self._next:
            raise RuntimeError(f"cycle {cycle.number}: outputs of {batch.source} came twice")
        cycle.outputs[batch.source] = outputs
        if not cycle.whole:
            return
        self._waiting[cycle.number] = cycle
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            await self._whole.put(ready)

    @faust.Service.task
    async def _commits(self) -> None:
        while not self.should_stop:
            self._writing = cycle = await self._whole.get()
            if self.wants(cycle):
                try:
                    await self._commit(cycle)
                except BaseException as error:  # noqa: BLE001  whatever it is, no later cycle may follow it
                    self._fail(error)
                    return
            self._writing = None

    async def _commit(self, cycle: Cycle) -> None:
        try:
            await self._deliver(cycle)
        except Aborted as aborted:
            failpoints.at("outlet.aborted")
            self._count("transaction aborted, reading again", aborted)
            self._read_again(forget=False)
        except NoOutcome as unknown:
            if self._was_away():
                raise
            counts.TRANSACTIONS.labels("unknown").inc()
            await self._replace(unknown)
        except KafkaException as ended:
            if self._was_away() or self.should_stop:
                raise
            self._count(f"{self._delivery.name} ended", ended)
            await self._replace(ended)
        else:
            self._failures, self._stood_still = 0, False
            self._state.commit(cycle)
            if self._checkpoints is not None:
                self._checkpoints.committed()
            failpoints.at("outlet.applied")
            self._intake.settled(cycle)

    async def _deliver(self, cycle: Cycle) -> None:
        """Have a cycle written, under a span where traces are told."""
        if traces.TRACER is None:
            await self._delivery.commit(cycle)
        else:
            with traces.TRACER.transaction(cycle):
                await self._delivery.commit(cycle)

    async def _replace(self, why: Exception) -> None:
        """Fence the old producer before anything is read: its last commit may still be on its way."""
        log.warning("%s replaced", self._delivery.name, extra={"why": str(why)})
        self._renew()
        await self._begin()
        self._read_again(forget=True)

    def _read_again(self, *, forget: bool) -> None:
        if self._checkpoints is not None:
            self._checkpoints.failed()
        self._intake.rewind(forget=forget)

    def _was_away(self) -> bool:
        """Say whether this process stood still: others have its partitions, what it holds is of the past."""
        return self._stood_still or clock_s() - self._stamped_at_s > self._pause_s

    def _count(self, event: str, failure: Exception) -> None:
        """Try again, but not for ever."""
        self._failures += 1
        log.warning(event, extra={"why": str(failure), "in_a_row": self._failures})
        if self._failures >= MOST_FAILURES:
            raise StillFailing(f"{self._failures} commits in a row failed: {failure}")

    @faust.Service.task
    async def _expires(self) -> None:
        """Forget old deletes, lest a long-running worker hold more and more of them."""
        while not self.should_stop:
            if gone := self._state.expire(time.time()):
                log.info("old deletes forgotten", extra={"keys": gone})
            await self.sleep(EXPIRE_S)

    @faust.Service.task
    async def _stamps(self) -> None:
        """Notice when this process stood still: stopped, or swapped out with its machine."""
        while not self.should_stop:
            now_s = clock_s()
            if now_s - self._stamped_at_s > self._pause_s:
                self._stood_still = True
            self._stamped_at_s = now_s
            await self.sleep(STAMP_S)
