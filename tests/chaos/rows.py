"""The ledger of what was answered 2xx, 20 bytes a callback."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, Self

from ledger import Row

ROW: Final = struct.Struct(">QQHH")


def digest(*parts: str) -> int:
    """Give 64 bits for some texts."""
    return int.from_bytes(blake2b("\n".join(parts).encode(), digest_size=8).digest(), "little")


def pack(delivery_id: str, body_sha256: str, accepted: int, quarantined: int) -> bytes:
    """Give the 20 bytes of a callback that was answered 2xx."""
    return ROW.pack(digest(delivery_id), int(body_sha256[:16], 16), accepted, quarantined)


class Short(NamedTuple):
    """A row as kept: hash of the delivery id, first 64 bits of the body's SHA-256, two counts."""

    delivery: int
    body: int
    accepted: int
    quarantined: int


class Rows:
    """The rows of a run; a million are 20 MB."""

    def __init__(self) -> None:
        self._bytes: Final = bytearray()

    def append(self, row: Row) -> None:
        """Note one more callback."""
        self._bytes.extend(pack(*row))

    def read(self, ledger: Path) -> Self:
        """Take the rows of a file.

        Raises:
            AssertionError: It ends in the middle of a row.
        """
        self._bytes.extend(ledger.read_bytes())
        assert len(self._bytes) % ROW.size == 0, f"{ledger} ends in the middle of a row"
        return self

    def __len__(self) -> int:
        return len(self._bytes) // ROW.size

    def inorder(self) -> Iterator[Short]:
        """Give all rows by delivery; sorted as bytes, which takes a quarter of the memory."""
        packed = (bytes(self._bytes[at : at + ROW.size]) for at in range(0, len(self._bytes), ROW.size))
        return (Short(*ROW.unpack(one)) for one in sorted(packed))


class Open:
    """What is still to be found of each row."""

    def __init__(self, rows: Rows) -> None:
        self.twice = self.other_bytes = self.unanswered = 0
        """Records beyond what was acknowledged; rows with other bytes; records nobody got a 2xx for."""
        self._deliveries: Final = array("Q")
        self._bodies: Final = array("Q")
        self._left: Final = array("i")
        for row in rows.inorder():
            self._deliveries.append(row.delivery)
            self._bodies.append(row.body)
            self._left.append(row.accepted + row.quarantined)

    def found(self, delivery_id: str, body_sha256: str) -> bool:
        """Cross off one record of a callback; true if all of its records were found before."""
        delivery = digest(delivery_id)
        at = bisect_left(self._deliveries, delivery)
        if at == len(self._deliveries) or self._deliveries[at] != delivery:
            self.unanswered += 1
            return False
        self._left[at] -= 1
        self.other_bytes += self._bodies[at] != int(body_sha256[:16], 16)
        self.twice += self._left[at] < 0
        return self._left[at] < 0

    @property
    def missing(self) -> int:
        """Count records that were acknowledged and never found."""
        return sum(left for left in self._left if left > 0)
