"""Avro schemas from the tables: entities say the columns, sources say who fills them.

`schemas/*.avsc` is written from here; consumers read the files, nobody reads this at run time but the
generator and the freshness check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connector.core.source import Source
from connector.entities.fields import MONEY, QUANTITY, Array, Element, Entity, Field, Kind

type_of: Final[Mapping[Kind, Any]] = {
    Kind.STRING: "string",
    Kind.LONG: "long",
    Kind.BOOLEAN: "boolean",
    Kind.MONEY: {"type": "bytes", "logicalType": "decimal", "precision": MONEY[0], "scale": MONEY[1]},
    Kind.QUANTITY: {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": QUANTITY[0],
        "scale": QUANTITY[1],
    },
    Kind.DATE: {"type": "int", "logicalType": "date"},
    Kind.TIMESTAMP: {"type": "long", "logicalType": "timestamp-millis"},
}
_MILLIS: Final = type_of[Kind.TIMESTAMP]
_OP: Final = {
    "type": "enum",
    "name": "Op",
    "symbols": ["UPSERT", "DELETE", "UNKNOWN"],
    "default": "UNKNOWN",
}


def _required(name: str, avro: object, doc: str, pii: str = "none") -> dict[str, Any]:
    return {"name": name, "type": avro, "doc": doc, "pii": pii}


def _defaulted(name: str, avro: object, default: object, doc: str) -> dict[str, Any]:
    return {"name": name, "type": avro, "default": default, "doc": doc, "pii": "none"}


def _nullable(name: str, avro: object, doc: str, pii: str = "none") -> dict[str, Any]:
    return {"name": name, "type": ["null", avro], "default": None, "doc": doc, "pii": pii}


def _meta() -> list[dict[str, Any]]:
    return [
        _defaulted(
            "meta_op",
            _OP,
            "UNKNOWN",
            "UPSERT or DELETE; UNKNOWN for readers of a later symbol, and for events that change nothing.",
        ),
        _required("meta_key", "string", "The record key as text: source/tenant/entity/id, segments escaped."),
        _required("meta_source", "string", "duett, quickfile, visma-net, visma-sales or visma-journal."),
        _required("meta_tenant", "string", "Tenant, unescaped."),
        _required(
            "meta_version",
            "long",
            "Vendor time of the newest facet, set element or delete, in 100-ns ticks since 1970-01-01 UTC."
            " The only field to compare: keep the greatest.",
        ),
        _nullable("meta_occurred_at", _MILLIS, "meta_version as a readable instant."),
        _nullable("meta_received_at", _MILLIS, "When the event behind this record arrived."),
        _defaulted("meta_event_id", "string", "", "Vendor event behind this record; join key into events."),
        _defaulted("meta_event_type", "string", "", "The vendor's event name as sent."),
        _defaulted(
            "meta_fidelity",
            "string",
            "thin",
            "thin (ids only), full (the vendor's callback model) or enriched (fetched).",
        ),
        _defaulted("meta_detail_stale", "boolean", False, "A newer thin event awaits enrichment."),
        _defaulted(
            "meta_clock_suspect",
            "boolean",
            False,
            "The vendor time was more than 10 min ahead, or unreadable: the receipt time was used.",
        ),
        _defaulted("meta_zone_assumed", "boolean", False, "The vendor time had no zone; UTC was assumed."),
        _defaulted(
            "meta_detected_by",
            "string",
            "callback",
            "callback, recovery, enrichment, reconcile or erase.",
        ),
        _nullable("meta_origin_client", "string", "API client that made the change: filter your own echo."),
        _nullable("meta_origin_user", "string", "Keyed hash of the user id that made the change.", "person"),
        _nullable("meta_origin_connect", "string", "Keyed hash of the Visma Connect user id.", "person"),
        _nullable("meta_by_scheduler", "boolean", "Whether a scheduled job made the change."),
        _nullable("meta_vendor_tenant", "string", "The vendor's own tenant GUID."),
    ]


def _array(array: Array) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {
            "type": "record",
            "name": array.record_name,
            "doc": array.doc,
            "fields": [_element(element) for element in array.elements],
        },
    }


def _element(element: Element) -> dict[str, Any]:
    avro = type_of[element.kind]
    if element.required:
        return _required(element.name, avro, element.doc, element.pii)
    return _nullable(element.name, avro, element.doc, element.pii)


def _column(
    entity: Entity, field: Field, sources: Iterable[Source], arrays: Mapping[Kind, Array]
) -> dict[str, Any]:
    avro = _array(arrays[field.kind]) if field.kind in arrays else type_of[field.kind]
    column = _nullable(field.name, avro, field.doc, field.pii)
    facets: dict[str, str] = {}
    vendor_names: dict[str, str] = {}
    for source in sources:
        shape = source.shapes.get(entity.name)
        if shape is None:
            continue
        for facet, columns in shape.facets.items():
            if field.name in columns:
                facets[source.name] = facet
                vendor_names[source.name] = columns[field.name]
        if field.name in shape.derived:
            vendor_names[source.name] = shape.derived[field.name]
    if facets:
        column["x-facet"] = facets
    if vendor_names:
        column["x-vendor-name"] = vendor_names
    return column


def changelog_schema(
    entity: Entity, sources: Iterable[Source], arrays: Mapping[Kind, Array]
) -> dict[str, Any]:
    """Give the Avro schema of one entity's state, as JSON-ready dict."""
    sources = list(sources)
    return {
        "type": "record",
        "name": entity.record_name,
        "namespace": "erp.changelog",
        "doc": entity.doc,
        "fields": [
            *_meta(),
            _defaulted(
                "meta_clocks",
                "string",
                "{}",
                "The writer's versions and ranks per facet, and the delete clock. Do not parse: may change.",
            ),
            _required("id", "string", "The vendor's id, unescaped: the last segment of the key."),
            *(_column(entity, field, sources, arrays) for field in entity.fields),
            _nullable(
                "extras",
                "string",
                "Canonical JSON: what the vendor sent and no column holds, one member per facet.",
            ),
        ],
    }


def event_schema() -> dict[str, Any]:
    """Give the schema of `<prefix>.events`: one record per event, also the ignored ones."""
    return {
        "type": "record",
        "name": "Event",
        "namespace": "erp.events",
        "doc": "One vendor event and what became of it.",
        "fields": [
            *_meta(),
            _required("entity", "string", "Canonical entity, or system for events without one."),
            _required("id", "string", "The vendor's id, unescaped; for system the event token."),
            _required("operation", "string", "upsert, patch, status, delete, merge, rekey or note."),
            _required("verdict", "string", "applied, duplicate, stale or noted."),
            _nullable("action_name", "string", "The button that was used, for action events."),
            _nullable("attributes", "string", "JSON of what describes the event and not the entity."),
            _required("raw_topic", "string", "Topic of the raw record this event was read from."),
            _required("raw_partition", "long", "Its partition."),
            _required("raw_offset", "long", "Its offset."),
            _required("delivery_id", "string", "The HTTP request it came with; stands in the 202 answer."),
        ],
    }


def identity_schema() -> dict[str, Any]:
    """Give the schema of `<prefix>.identity`: the keys one vendor GUID was seen under."""
    return {
        "type": "record",
        "name": "Identity",
        "namespace": "erp.identity",
        "doc": "Every key a vendor GUID was seen under, with the newest vendor time of each.",
        "fields": [
            _required("meta_key", "string", "source/tenant/identity/<entity>.<guid>."),
            _required("meta_version", "long", "Greatest version below, 100-ns ticks since 1970-01-01 UTC."),
            _required(
                "keys",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Sighting",
                        "doc": "One key and when it was last seen.",
                        "fields": [
                            _required("key", "string", "Entity key."),
                            _required("version", "long", "Newest vendor time it was named with, in ticks."),
                        ],
                    },
                },
                "Sorted by key.",
            ),
        ],
    }


def raw_meta_schema() -> dict[str, Any]:
    """Give the schema of the JSON in a raw record's header `meta` (documentation; never framed)."""
    strings = {"type": "array", "items": "string"}
    return {
        "type": "record",
        "name": "RawMeta",
        "namespace": "erp.raw",
        "doc": "What a raw record says about itself; compact JSON in its header meta.",
        "fields": [
            _required("delivery_id", "string", "ULID of the HTTP request."),
            _required("received_us", "long", "Arrival, microseconds since 1970-01-01 UTC."),
            _defaulted("endpoint", "string", "", "Endpoint that took the callback."),
            _defaulted("index", "long", 0, "Place among the records of the callback."),
            _defaulted("count", "long", 1, "How many records the callback became."),
            _defaulted("body_sha256", "string", "", "Hex digest of the body as received."),
            _defaulted("redacted", strings, [], "Names of the fields whose text was replaced."),
            _defaulted(
                "origin", "string", "callback", "callback, forward, recovery, quarantine, replay, erase."
            ),
            _defaulted("event", "string", "", "The vendor's event name where the bytes do not say it."),
            _defaulted("event_id", "string", "", "The vendor's event id where the bytes do not say it."),
            _defaulted(
                "flags", strings, [], "Tolerances used at the door; of a forward, what to know of its event."
            ),
            _defaulted("company_hash", "string", "", "Keyed hash of a redacted company id."),
            _defaulted("headers", {"type": "map", "values": "string"}, {}, "Allowed vendor headers."),
            _defaulted("traceparent", "string", "", "W3C trace context of the request."),
        ],
    }
