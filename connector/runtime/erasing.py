"""Erasure of entities: what is known of a key now, and the raw record that erases it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connector.core import erasure
from connector.core.keys import partition_of
from connector.errors import Misconfigured
from connector.model import EntityKey
from connector.runtime import wire
from connector.runtime.delivery_id import DeliveryIds
from connector.runtime.last_records import LastRecords
from connector.runtime.reading import placed
from connector.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connector.core.avro import Codecs
    from connector.flow import Desk
    from connector.model import State
    from connector.runtime.reading import Reader
    from connector.runtime.settings import Settings
    from connector.runtime.writing import Writer
    from connector.topics import Topics

_OTHER_KEYS: Final = ("previous_key", "replaced_by")
_OTHER_IDS: Final = ("merged_into",)


class Found(msgspec.Struct):
    """What the changelog says of one key."""

    key: str
    standing: str
    """`living`, `deleted`, `erased` or `unknown`."""
    others: list[str]
    """Keys the entity has, had or took in: the same person may stand under them."""


def parse(text: str) -> EntityKey:
    """Read a key as it stands in the topics.

    Raises:
        Misconfigured: Not a key of an entity its source has, written as the topics write it.
    """
    try:
        key = EntityKey.parse(text)
    except ValueError:
        raise Misconfigured("a key has four parts: source/tenant/entity/id, each percent-escaped") from None
    if key.source not in SOURCES:
        raise Misconfigured(f"{key.source}: no such source; known are {', '.join(SOURCES)}")
    shapes = SOURCES[key.source].shapes
    if key.entity not in shapes:
        raise Misconfigured(f"{key.source} has no entity {key.entity}; it has {', '.join(shapes)}")
    if not key.tenant or not key.id:
        raise Misconfigured("a key has four parts, none of them empty: source/tenant/entity/id")
    exact = EntityKey.of(key.source, key.tenant, key.entity, key.id).text
    if exact != text:
        raise Misconfigured(f"the topics write this key as {exact}")
    return key


class Erasing:
    """The changelogs and raw topics of one deployment."""

    def __init__(
        self, settings: Settings, topics: Topics, desk: Desk, codecs: Codecs, reader: Reader
    ) -> None:
        self._settings: Final = settings
        self._topics: Final = topics
        self._desk: Final = desk
        self._codecs: Final = codecs
        self._reader: Final = reader

    def look(self, keys: Sequence[EntityKey]) -> list[Found]:
        """Say what the changelogs know of keys; reads their partitions from the beginning.

        Raises:
            Misconfigured: A topic is missing, or a broker refuses.
        """
        places: dict[tuple[str, int], set[str]] = {}
        counts = self._reader.partitions({self._topics.changelog[key.entity] for key in keys})
        for key in keys:
            topic = self._topics.changelog[key.entity]
            places.setdefault((topic, partition_of(key.text, counts[topic])), set()).add(key.text)
        last = LastRecords(self._desk.changelogs, self._codecs)
        for message in self._reader.read(self._reader.reach(places)):
            if bytes(message.key() or b"").decode(errors="replace") in places[placed(message)]:
                last.take(message)
        return [self._found(key, last) for key in keys]

    def _found(self, key: EntityKey, records: LastRecords) -> Found:
        last = records.of(key.text)
        if last is None:
            return Found(key.text, "unknown", [])
        state = records.state(key, last)
        if last.deleted:
            value = self._first(key, last.records)
            erased = value.get("meta_detected_by") == erasure.ORIGIN
            return Found(key.text, "erased" if erased else "deleted", self._others(key, state))
        return Found(key.text, "living", self._others(key, state))

    def _first(self, key: EntityKey, records: Iterable[tuple[bytes | None, Any]]) -> dict[str, Any]:
        framed = next((value for value, _ in records if value is not None), None)
        return {} if framed is None else self._codecs.decode(framed, key.entity)

    @staticmethod
    def _others(key: EntityKey, state: State) -> list[str]:
        found = set()
        for facet in state.facets.values():
            found |= {str(facet.fields[name]) for name in _OTHER_KEYS if facet.fields.get(name)}
            ids = [str(facet.fields[name]) for name in _OTHER_IDS if facet.fields.get(name)]
            found |= {EntityKey.of(key.source, key.tenant, key.entity, one).text for one in ids}
        merged = [element for name, element in state.sets if name == "merged_from"]
        found |= {EntityKey.of(key.source, key.tenant, key.entity, one).text for one in merged}
        return sorted(found - {key.text})

    def erase(self, keys: Sequence[EntityKey], writer: Writer) -> list[str]:
        """Write the erasures to the raw topics; give their markers.

        Raises:
            NotWritten: Kafka did not confirm; repeating is harmless.
        """
        ids, laid, markers = DeliveryIds(), [], []
        for key in keys:
            now_us = time.time_ns() // 1000
            delivery_id = ids.at(now_us)
            hashed = self._desk.privacy.digest(key.tenant, key.text)
            marker = f"erase:{delivery_id if hashed is None else hashed[:32]}"
            markers.append(marker)
            laid.append(wire.from_raw(self._topics, erasure.erasure(key, delivery_id, now_us, marker)))
        writer.write(laid)
        return markers
