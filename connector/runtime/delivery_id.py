"""Delivery ids: one ULID per callback, in the order the callbacks came to this process."""

from __future__ import annotations

import secrets
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_COUNT_BITS: Final = 30


def _encode(number: int, length: int) -> str:
    """Write a number in Crockford's base 32, most significant digit first."""
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(length)))


def _stamp(ms: int) -> str:
    """Write 48 bits as `_encode` does in ten digits: in a busy process this comes every few callbacks."""
    return (
        f"{_PAIRS[ms >> 40]}{_PAIRS[ms >> 30 & 1023]}{_PAIRS[ms >> 20 & 1023]}"
        f"{_PAIRS[ms >> 10 & 1023]}{_PAIRS[ms & 1023]}"
    )


class DeliveryIds:
    """Makes ULIDs: 48 bits of milliseconds, 50 random bits of this process, and a counter of 30 bits.

    Only the counter moves within a millisecond, so an id costs three look-ups and no randomness. When the
    clock steps back the last millisecond goes on: ids never decrease.
    """

    def __init__(self) -> None:
        self._ms = -1
        self._process = _encode(secrets.randbits(50), 10)
        self._prefix = ""
        self._count = 0

    def at(self, now_us: int) -> str:
        """Make the next id; `now_us` is microseconds since 1970-01-01 UTC.

        Example:
            >>> DeliveryIds().at(1_700_000_000_000_000)[:10]
            '01HF7YAT00'
        """
        ms = now_us // 1000
        if ms > self._ms or self._count >> _COUNT_BITS:
            self._ms = max(ms, self._ms + 1)
            self._prefix = _stamp(self._ms) + self._process
            self._count = 0
        count = self._count
        self._count = count + 1
        return f"{self._prefix}{_PAIRS[count >> 20]}{_PAIRS[count >> 10 & 1023]}{_PAIRS[count & 1023]}"
