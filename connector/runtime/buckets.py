"""Token buckets: how often something may happen per key and second."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

_BURST_S: Final = 1.0
"""A full bucket holds one second of its rate."""
_MOST_KEYS: Final = 10_000


class Buckets:
    """One bucket per key, each a single number: the time at which it will be full again.

    Times are seconds of any monotonic clock, handed in. Keys are forgotten when their bucket is full, and
    all of them when senders invent too many: memory stays bounded.
    """

    def __init__(self, rate: float) -> None:
        """Allow `rate` per second and key where `take` is not told another one."""
        self._rate: Final = rate
        self._full_at: dict[Hashable, float] = {}

    def take(self, key: Hashable, now: float, rate: float | None = None) -> bool:
        """Take a token; False if there is none."""
        full_at = self._full_at.get(key, now)
        if full_at > now + _BURST_S:
            return False
        self._full_at[key] = max(full_at, now) + 1 / (rate or self._rate)
        if len(self._full_at) > _MOST_KEYS:
            self._forget(now)
        return True

    def empty(self, key: Hashable, now: float) -> bool:
        """Say whether `take` would be refused, without taking."""
        return self._full_at.get(key, now) > now + _BURST_S

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) > _MOST_KEYS:
            self._full_at.clear()
