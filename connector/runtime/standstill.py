"""A process that stood still no longer owns what it holds: it notices, and ends.

Under `exactly_once` the broker fences such a process. Under `at_least_once` nobody does: what it held in its
hands when it was stopped, it would write behind the newer records of the worker that took over.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from connector.runtime.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable

STAMP_S: Final = 0.2
FENCED_EXIT: Final = 70
"""Exit code of a worker that fenced itself."""


def clock_s() -> float:
    """Give seconds of a clock that counts a machine's suspension too, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _end() -> None:
    os._exit(FENCED_EXIT)


class Standstill:
    """Stamps the clock in a thread of its own; whoever finds the last stamp too old ends the process."""

    def __init__(
        self, limit_s: float, clock: Callable[[], float] = clock_s, end: Callable[[], None] = _end
    ) -> None:
        """Take the longest time without a stamp: half of what it takes others to be given the partitions."""
        self._limit_s: Final = limit_s
        self._clock: Final = clock
        self._end: Final = end
        self._stamped_at_s = clock()

    def watch(self) -> None:
        """Begin to stamp."""
        self._stamped_at_s = self._clock()
        threading.Thread(target=self._stamps, name="standstill", daemon=True).start()

    def check(self) -> None:
        """Go on only if this process did not stand still; called before everything that others would see."""
        still_s = self._clock() - self._stamped_at_s
        if still_s > self._limit_s:
            # No orderly end: each step of one could still send something.
            log.error(
                "worker stopped: the process stood still for %.1f s, others may have its partitions",
                still_s,
                extra={"exit_code": FENCED_EXIT},
            )
            self._end()

    def stamp(self) -> None:
        """Note that the process moves; if it had not, the note comes too late."""
        self.check()
        self._stamped_at_s = self._clock()

    def _stamps(self) -> None:
        while True:
            self.stamp()
            time.sleep(STAMP_S)
