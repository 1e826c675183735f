"""Does the worker get on, and does it own what it should? Asked by probes, from another thread.

Live means progress, so that a restart helps where it fails: Kafka being away is no such fault. Whatever waits
for Kafka, the transactional id before the first poll included, makes the worker unready at most.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.runtime.batch import Cycle
    from connector.runtime.intake import Intake
    from connector.runtime.outlet import Outlet

STUCK_S = 60.0
"""A loop or thread that has not turned for this long, or a batch no agent has finished, is stuck."""
SLOW_S: Final = 30.0
"""A transaction open for longer is no healthy one."""
HUNG_S: Final = 120.0
"""A transaction open for longer, while Kafka answers others all the time, will not end by itself."""
_TICK_S: Final = 1.0


class Progress:
    """What the worker's stations were last seen doing; every check answers None, or why not."""

    def __init__(
        self,
        intake: Intake,
        outlet: Outlet,
        settle_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch two stations; a rebalance may keep the intake for `settle_timeout_s`."""
        self._intake: Final = intake
        self._outlet: Final = outlet
        self._patience_s: Final = settle_timeout_s
        self._joined_at_s: float | None = None
        self._clock = clock
        self._ticked_at_s = clock()
        self._cycles: tuple[Cycle, ...] = ()
        self._owning = -1
        """Number of the assignment under which partitions were last owned."""

    def joining(self) -> None:
        """Note that the intake begins to poll."""
        self._joined_at_s = self._clock()

    def handed(self, cycle: Cycle) -> None:
        """Note a cycle that was handed to the agents; called from the intake's thread."""
        self._cycles = (*(one for one in self._cycles if not one.settled.is_set()), cycle)

    async def tick(self) -> None:
        """Stamp the clock for as long as the event loop turns, and note who owns what."""
        while True:
            self._ticked_at_s = self._clock()
            if self._intake.assignment.owned:
                self._owning = self._intake.assignment.count
            await asyncio.sleep(_TICK_S)

    def loop(self) -> str | None:
        """Say if the event loop stands still."""
        lag_s = self._clock() - self._ticked_at_s
        return f"the event loop has stood still for {lag_s:.0f} s" if lag_s > STUCK_S else None

    def intake(self) -> str | None:
        """Say if the thread that polls does not; before it joins the group it is not expected to."""
        if self._joined_at_s is None:
            return None
        silent_s = self._clock() - max(self._intake.polled_at_s, self._joined_at_s)
        if silent_s > STUCK_S + self._patience_s:
            return f"the intake has not polled for {silent_s:.0f} s"
        return None

    def batches(self) -> str | None:
        """Say if records are in an agent's hands for too long; the outlet's wait for Kafka does not count."""
        now_s, epoch = self._clock(), self._intake.epoch
        for cycle in self._cycles:
            waiting = not cycle.settled.is_set() and cycle.epoch == epoch and not cycle.whole
            if waiting and (age_s := now_s - cycle.polled_at_s) > STUCK_S:
                missing = sorted(cycle.batches.keys() - cycle.outputs.keys())
                return f"the batch of {', '.join(missing)} has not been worked off for {age_s:.0f} s"
        return None

    def open_s(self) -> float:
        """Say for how long the transaction under way has been open; 0 without one."""
        begun_s = self._outlet.begun_at_s
        return 0.0 if begun_s is None else self._clock() - begun_s

    def hung(self, answering_s: float) -> str | None:
        """Say if a transaction does not end although Kafka has answered others for `answering_s`."""
        begun_s = self._outlet.begun_at_s
        if begun_s is None or answering_s <= HUNG_S:
            return None
        open_s = self._clock() - begun_s
        if open_s > HUNG_S:
            return f"a transaction has been open for {open_s:.0f} s, though Kafka answers"
        return None

    def partitions(self) -> str | None:
        """Say why not every partition the worker should own is read; a spare one was assigned none."""
        if self._joined_at_s is None:
            return "starting: waiting for Kafka to give the transactional id"
        assignment = self._intake.assignment
        if not assignment.owned and self._owning == assignment.count:
            return "all partitions let go, none assigned since: the group is meeting, or Kafka is away"
        return assignment.standing()

    def transactions(self) -> str | None:
        """Say for how long a transaction has been open, if that is too long to call it healthy."""
        begun_s = self._outlet.begun_at_s
        if begun_s is not None and (open_s := self._clock() - begun_s) > SLOW_S:
            return f"a transaction has been open for {open_s:.0f} s: Kafka does not confirm"
        return None
