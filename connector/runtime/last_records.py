"""The last records of every key of a changelog partition, packed: what a compacted reader would keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connector.core.avro import FRAME_BYTES
from connector.core.changelog import guard
from connector.errors import Misconfigured
from connector.model import EntityKey, Known
from connector.runtime.reading import placed
from connector.runtime.wire import KafkaRecord, headers_of

if TYPE_CHECKING:
    from confluent_kafka import Message

    from connector.core.avro import Codecs
    from connector.core.changelog import EntityChangelog
    from connector.model import ChangelogRecord, Headers, State


class Last(msgspec.Struct, array_like=True, gc=False):
    """An UPSERT, or a DELETE and its tombstone; of a compacted DELETE only the tombstone is left."""

    timestamp_ms: int
    records: list[tuple[bytes | None, list[tuple[str, bytes]]]]
    """Framed value, headers."""

    @property
    def deleted(self) -> bool:
        """Whether the key is gone."""
        return self.records[-1][0] is None


_pack: Final = msgspec.msgpack.Encoder()
_unpack: Final = msgspec.msgpack.Decoder(Last)


class LastRecords:
    """Key -> its last records; about 1 kB per key."""

    def __init__(self, changelogs: Mapping[tuple[str, str], EntityChangelog], codecs: Codecs) -> None:
        """Start empty."""
        self._changelogs: Final = changelogs
        self._codecs: Final = codecs
        self._packed: Final[dict[str, bytes]] = {}

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._packed)

    def __iter__(self) -> Iterator[str]:
        """Give the keys."""
        return iter(self._packed)

    def of(self, key: str) -> Last | None:
        """Give the last records of a key."""
        packed = self._packed.get(key)
        return None if packed is None else _unpack.decode(packed)

    def put(self, records: Iterable[ChangelogRecord]) -> None:
        """Take what an event wrote of its key."""
        written = list(records)
        last = Last(written[-1].timestamp_ms, [(one.value, [*one.headers]) for one in written])
        self._packed[written[-1].key.text] = _pack.encode(last)

    def take(self, message: Message) -> None:
        """Take a record of the topic, in the order of its partition.

        Raises:
            Misconfigured: Written by a newer version, or by another program.
        """
        key = bytes(message.key() or b"").decode(errors="replace")
        value, headers = message.value(), headers_of(message)
        if value is not None and bytes(value)[:FRAME_BYTES] not in self._codecs.frames:
            topic, partition = placed(message)
            raise Misconfigured(
                f"{topic}/{partition}/{message.offset()}: its schema id is not in schemas/ids.json; "
                "a newer version wrote it: use that one"
            )
        one = (None if value is None else bytes(value), [*headers])
        before = self.of(key) if value is None else None
        both = [before.records[-1], one] if before is not None and _is_delete(before.records[-1]) else [one]
        self._packed[key] = _pack.encode(Last(message.timestamp()[1], both))

    def known(self, key: EntityKey) -> Known | None:
        """Give the state the last record of a key was written from."""
        last = self.of(key.text)
        return None if last is None else Known(self.state(key, last), last.timestamp_ms)

    def state(self, key: EntityKey, last: Last) -> State:
        """Rebuild a state from its last record."""
        value, headers = last.records[-1]
        if value is None:
            return guard(headers)
        return self._changelogs[key.source, key.entity].state(self._codecs.decode(value, key.entity))

    def decoded(self, key: EntityKey, last: Last) -> dict[str, Any]:
        """Read the columns of a living key."""
        value = last.records[-1][0]
        return {} if value is None else self._codecs.decode(value, key.entity)


def _is_delete(record: tuple[bytes | None, Headers]) -> bool:
    return record[0] is not None and dict(record[1]).get("x-erp-op") == b"DELETE"


def laid_out(topic: str, key: str, last: Last) -> list[KafkaRecord]:
    """Lay the last records of a key out for a topic."""
    return [
        KafkaRecord(topic, key.encode(), value, headers, last.timestamp_ms) for value, headers in last.records
    ]
