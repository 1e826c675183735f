"""How long it takes after a fault until the work goes on: everybody ready, and new callbacks visible."""

import statistics
from collections.abc import Sequence
from typing import Final


class Recovery:
    """Faults that have ended, and when all was well again. Times are seconds since 1970."""

    def __init__(self) -> None:
        self.took_s: list[tuple[str, float]] = []
        """(kind, seconds) of every fault that was recovered from."""
        self._open: Final[list[tuple[float, str]]] = []

    def ended(self, kind: str, at_s: float) -> None:
        """Note the end of a fault."""
        self._open.append((at_s, kind))

    def look(self, now_s: float, *, whole: bool, newest_s: float) -> None:
        """Close faults that are over.

        Args:
            now_s: Now.
            whole: Whether every process that is wanted is ready.
            newest_s: Receipt of the newest callback that the watching consumer has seen in a changelog.
        """
        if not whole:
            return
        for fault in [one for one in self._open if one[0] < newest_s]:
            self._open.remove(fault)
            self.took_s.append((fault[1], round(now_s - fault[0], 2)))

    @property
    def left(self) -> int:
        """Count faults that nothing has recovered from yet."""
        return len(self._open)

    def figures(self) -> tuple[float, float]:
        """Give median and longest recovery, 0 where there was none."""
        took: Sequence[float] = [one for _, one in self.took_s] or [0.0]
        return round(statistics.median(took), 2), max(took)
