"""Which partition a key lands in, by the hash every Java client uses."""

from __future__ import annotations

from typing import Final

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Hash as Kafka's Java partitioner does (murmur2, seed 0x9747b28c), as an unsigned 32-bit number.

    Source: the public murmur2 algorithm; checked in the tests against Kafka's published vectors.
    """
    length = len(key)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """Say where a Java producer, and so ours, puts a key.

    Example:
        >>> partition_of("duett/acme/voucher_line/4220", 12)
        4
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
