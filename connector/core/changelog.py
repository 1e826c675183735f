"""State -> changelog records, and back: the record *is* the state.

One UPSERT while the entity exists; else a DELETE and its tombstone, neighbours in one transaction. What
a record's columns cannot show (clocks, hidden facets) stands in `meta_clocks`, and on a tombstone, which
has no value, in its headers; so a state rebuilt from its last record equals the one it was written from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from connector.core import erasure
from connector.core.avro import Codec
from connector.core.join import REKEY, dump, exists, load, version_of
from connector.core.source import Shape, Source
from connector.core.times import to_rfc3339
from connector.entities.fields import Array, Entity, Kind
from connector.errors import TooLarge
from connector.model import (
    NEVER,
    TICKS_PER_MS,
    ChangeEvent,
    ChangelogRecord,
    Facet,
    Headers,
    Known,
    State,
)

_clocks: Final = msgspec.json.Encoder(order="sorted")
_extras: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIDELITY: Final = (("detail", "enriched"), ("body", "full"))


class _Clocks(msgspec.Struct, omit_defaults=True):
    """What `meta_clocks` holds."""

    d: int = NEVER
    f: dict[str, tuple[int, int]] = {}
    s: dict[str, dict[str, int]] = {}
    h: msgspec.Raw = msgspec.Raw(b"")


_read_clocks: Final = msgspec.json.Decoder(_Clocks)


class EntityChangelog:
    """Writes and reads the changelog of one entity as one source fills it."""

    def __init__(
        self,
        source: Source,
        entity: Entity,
        arrays: Mapping[Kind, Array],
        codec: Codec,
        *,
        minimal_headers: bool,
        max_bytes: int,
    ) -> None:
        """Precompute what is the same for every record of this source and entity."""
        shape: Shape = source.shapes[entity.name]
        self._source: Final = source
        self._state_facet: Final = shape.state_facet
        self._columns: Final = {facet: tuple(columns) for facet, columns in shape.facets.items()}
        self.facets: Final = tuple(shape.facets)
        """Names of the facets this source writes."""
        self._identifiers: Final = tuple(field.name for field in entity.fields if field.identifier)
        self._sets: Final = {
            field.name: arrays[field.kind].sorted_by
            for field in entity.fields
            if field.name in shape.sets and field.kind in arrays
        }
        self._phases: Final = entity.phases if "phases" in shape.sets else ()
        self._codec: Final = codec
        self._max_bytes: Final = max_bytes
        self._minimal: Final = minimal_headers
        self._constant: Final[Headers] = [
            ("ce_specversion", b"1.0"),
            ("content-type", b"application/avro"),
            ("ce_dataschema", f"/schemas/ids/{codec.schema_id}".encode()),
        ]
        self._types: Final = {
            op: f"erp.{entity.name}.{verb}.v1".encode()
            for op, verb in (("UPSERT", "upserted"), ("DELETE", "deleted"))
        }

    def records(
        self, event: ChangeEvent, told: Mapping[str, Any], old: Known | None, new: State
    ) -> tuple[ChangelogRecord, ...]:
        """Tell a changed state: one UPSERT, or a DELETE followed by its tombstone.

        Args:
            event: What changed it.
            told: `meta` of the event.
            old: What was known of the key, for its timestamp and the identifiers of a DELETE.
            new: The changed state.

        Raises:
            TooLarge: The value exceeds what the topic takes.
        """
        version = version_of(new)
        timestamp_ms = event.meta.received_us // 1000
        if old is not None:
            timestamp_ms = max(timestamp_ms, old.timestamp_ms)
        key = event.key
        value = self._meta(event, told, new, version)
        if exists(new, self._state_facet):
            value["meta_op"] = "UPSERT"
            self._show(value, new)
            framed = self._framed(value)
            headers = self._headers(event, "UPSERT", version, None)
            return (ChangelogRecord(key, "UPSERT", framed, headers, timestamp_ms),)
        value["meta_op"] = "DELETE"
        successor = self._show_deleted(value, event, old, new)
        headers = self._headers(event, "DELETE", version, successor)
        tomb = self._tombstone_headers(event, new, version, successor)
        return (
            ChangelogRecord(key, "DELETE", self._framed(value), headers, timestamp_ms),
            ChangelogRecord(key, "DELETE", None, tomb, timestamp_ms),
        )

    def _framed(self, value: dict[str, Any]) -> bytes:
        framed = self._codec.encode(value)
        if len(framed) > self._max_bytes:
            raise TooLarge(self._codec.name, f"the record would exceed {self._max_bytes} bytes")
        return framed

    def _meta(self, event: ChangeEvent, told: Mapping[str, Any], new: State, version: int) -> dict[str, Any]:
        value = {**told, "meta_version": version, "meta_occurred_at": version // TICKS_PER_MS}
        facets = new.facets
        for facet, fidelity in _FIDELITY:
            if facet in facets:
                value["meta_fidelity"] = fidelity
                break
        else:
            value["meta_fidelity"] = "thin"
        detail, change = facets.get("detail"), facets.get("change")
        value["meta_detail_stale"] = bool(detail and change and change.version > detail.version)
        value["meta_clocks"] = self._clocks_of(new)
        value["id"] = event.key.id
        value.update(self._source.derive(event.key))
        return value

    def _show(self, value: dict[str, Any], state: State) -> None:
        """Fill the columns of a living entity."""
        extras = {}
        for name, facet in state.facets.items():
            if name.startswith(REKEY) or (name == "merge" and facet.version <= state.deleted):
                continue
            for column, one in facet.fields.items():
                if column == "extras":
                    extras[name] = one
                else:
                    value[column] = one
        ids = state.facets.get("ids")
        if ids is not None and (mine := state.facets.get(f"{REKEY}{ids.fields.get('vendor_guid')}")):
            value["previous_key"] = mine.fields["previous_key"]
        if extras:
            value["extras"] = "{" + ",".join(f'"{name}":{extras[name]}' for name in sorted(extras)) + "}"
        for column, element in self._sets.items():
            rows = sorted((one, at) for (name, one), at in state.sets.items() if name == column)
            if rows:
                value[column] = [{element: one, "version": at} for one, at in rows]
        seen = {one for (name, one) in state.sets if name == "phases"}
        if seen:
            value["furthest_phase"] = max(seen, key=self._phases.index)

    def _show_deleted(
        self, value: dict[str, Any], event: ChangeEvent, old: Known | None, new: State
    ) -> str | None:
        """Fill a DELETE record: identifiers, and the successor if there is one; return its key."""
        if old is not None and event.meta.origin != erasure.ORIGIN:
            for facet in old.state.facets.values():
                for column in self._identifiers:
                    if column in facet.fields:
                        value[column] = facet.fields[column]
        value.update((column, one) for column, one in event.reading.identifiers.items() if one is not None)
        if (moved := new.facets.get("moved")) is not None:
            value["replaced_by"] = moved.fields["replaced_by"]
            return str(moved.fields["replaced_by"])
        if (merge := new.facets.get("merge")) is not None:
            value["merged_into"] = merge.fields["merged_into"]
            key = event.key
            return type(key).of(key.source, key.tenant, key.entity, str(merge.fields["merged_into"])).text
        return None

    def _clocks_of(self, state: State) -> str:
        shown = {
            name: (facet.version, facet.rank)
            for name, facet in state.facets.items()
            if not name.startswith(REKEY) and not (name == "merge" and facet.version <= state.deleted)
        }
        phases = {one: at for (name, one), at in state.sets.items() if name == "phases"}
        clocks = _Clocks(state.deleted, shown, {"phases": phases} if phases else {})
        if len(shown) != len(state.facets):
            hidden = {name: facet for name, facet in state.facets.items() if name not in shown}
            clocks.h = msgspec.Raw(dump(State(facets=hidden)))
        return _clocks.encode(clocks).decode()

    def _headers(
        self, event: ChangeEvent, op: str, version: int, successor: str | None, suffix: str = ""
    ) -> Headers:
        headers: Headers = [("x-erp-version", b"%d" % version), ("x-erp-op", op.encode())]
        if successor is not None:
            headers.append(("x-erp-successor", successor.encode()))
        if self._minimal:
            return headers
        key = event.key
        headers += self._constant[:1] if suffix else self._constant
        headers += [
            ("ce_id", f"{event.reading.event_id}@{key.text}{suffix}".encode()),
            ("ce_source", f"/erp/{key.source}/{key.tenant}".encode()),
            ("ce_subject", f"{key.entity}/{key.id}".encode()),
            ("ce_type", self._types[op]),
            ("ce_time", to_rfc3339(version).encode()),
            ("ce_partitionkey", key.text.encode()),
            ("x-erp-delivery-id", event.meta.delivery_id.encode()),
        ]
        if event.meta.traceparent:
            headers.append(("traceparent", event.meta.traceparent.encode()))
        if event.reading.warnings:
            headers.append(("x-erp-warn", ",".join(event.reading.warnings).encode()))
        return headers

    def _tombstone_headers(
        self, event: ChangeEvent, new: State, version: int, successor: str | None
    ) -> Headers:
        headers = self._headers(event, "DELETE", version, successor, "#tombstone")
        if new.deleted != version or new.facets or new.sets:
            headers.append(("x-erp-hidden", dump(new)))
        return headers

    def state(self, value: Mapping[str, Any]) -> State:
        """Rebuild the state a decoded UPSERT record was written from."""
        clocks = _read_clocks.decode(value["meta_clocks"])
        extras = _extras.decode(value["extras"]) if value["extras"] else {}
        facets: dict[str, Facet] = {}
        for name, (version, rank) in clocks.f.items():
            fields = {
                column: value[column]
                for column in self._columns.get(name, ())
                if value.get(column) is not None
            }
            if name in extras:
                fields["extras"] = bytes(extras[name]).decode()
            facets[name] = Facet(version, rank, fields)
        hidden = bytes(clocks.h)
        if hidden:
            facets.update(load(hidden).facets)
        sets = {
            (column, row[element]): row["version"]
            for column, element in self._sets.items()
            for row in value.get(column) or ()
        }
        for name, elements in clocks.s.items():
            sets.update({(name, one): at for one, at in elements.items()})
        return State(clocks.d, facets, sets)


def guard(headers: Headers) -> State:
    """Rebuild the state a tombstone was written from, out of its headers.

    Raises:
        ValueError: A tombstone without `x-erp-version`: the connector did not write it.
    """
    found = dict(headers)
    if (hidden := found.get("x-erp-hidden")) is not None:
        return load(hidden)
    if (version := found.get("x-erp-version")) is None:
        raise ValueError("a tombstone without header x-erp-version: another program writes to this topic")
    return State(int(version))
