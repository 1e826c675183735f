"""Ends of raw partitions that lie behind their last record, until they are committed.

Markers of transactions occupy offsets. Where one is the last thing in a partition that falls idle, the offset
behind the last *record* stays committed; after retention has emptied the partition it would lie before the
log, as if records had been deleted unread. So the end the client reports is committed, too: with the next
cycle, or in one of its own when there is none for a while.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from connector.runtime.assignment import Place

IDLE_S = 60.0
"""How long an end may wait for a cycle that takes it along; far less than any retention."""


class Trailing:
    """Used by the intake's thread alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know no end yet."""
        self._clock: Final = clock
        self._ends: dict[Place, int] = {}
        """Reached, and in no cycle yet."""
        self._cut: dict[Place, int] = {}
        """Next offset of each partition in the newest cycle that held some."""
        self._since_s: float | None = None
        """When the first of `_ends` came."""

    def reached(self, place: Place, end: int) -> None:
        """Note that everything before an offset was polled, and nothing is behind it yet."""
        if end > self._cut.get(place, -1):
            self._ends[place] = end
            if self._since_s is None:
                self._since_s = self._clock()

    @property
    def due(self) -> bool:
        """Whether some end has waited long enough for a cycle of its own."""
        return self._since_s is not None and self._clock() - self._since_s >= IDLE_S

    def with_ends(self, offsets: Mapping[Place, int]) -> dict[Place, int]:
        """Give a cycle's next offsets together with the ends that wait; they are in a cycle now."""
        whole = {place: max(end, offsets.get(place, 0)) for place, end in self._ends.items()}
        whole = {**offsets, **whole}
        self._cut.update(whole)
        self._ends, self._since_s = {}, None
        return whole

    def keep(self, places: Collection[Place]) -> None:
        """Forget all other partitions: of them somebody else may have read more since.

        Without any: after a rewind, for their cycles are dropped.
        """
        self._ends = {place: end for place, end in self._ends.items() if place in places}
        self._cut = {place: end for place, end in self._cut.items() if place in places}
        if not self._ends:
            self._since_s = None
