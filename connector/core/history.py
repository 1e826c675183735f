"""Event -> its record in `<prefix>.events`: every event, with what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connector.core.avro import Codec
from connector.core.join import canonical
from connector.model import TICKS_PER_MS, ChangeEvent

_OTHERS: Final = ("recovery", "erase")
"""Origins of events that no callback of a vendor told."""
UNGUARDED: Final = "unguarded"
"""Flag of an event of an unknown key, older than deletes are remembered. No tolerance of a reader."""


def meta(event: ChangeEvent) -> dict[str, Any]:
    """Give the `meta_*` fields a changelog record and a history record share."""
    key, reading, version = event.key, event.reading, event.version
    return {
        "meta_op": "UPSERT",
        "meta_key": key.text,
        "meta_source": key.source,
        "meta_tenant": key.tenant,
        "meta_version": version,
        "meta_occurred_at": version // TICKS_PER_MS,
        "meta_received_at": event.meta.received_us // 1000,
        "meta_event_id": reading.event_id,
        "meta_event_type": reading.event_type,
        "meta_clock_suspect": event.clock_suspect,
        "meta_zone_assumed": reading.zone_assumed,
        "meta_detected_by": event.meta.origin if event.meta.origin in _OTHERS else "callback",
        "meta_origin_client": reading.origin_client,
        "meta_origin_user": reading.origin_user,
        "meta_origin_connect": reading.origin_connect,
        "meta_by_scheduler": reading.by_scheduler,
        "meta_vendor_tenant": reading.vendor_tenant,
    }


def history(
    event: ChangeEvent, told: Mapping[str, Any], verdict: str, codec: Codec, *, unguarded: bool = False
) -> bytes:
    """Give the record of `<prefix>.events` for one event and its verdict.

    Args:
        event: What happened.
        told: `meta` of the event.
        verdict: What became of it.
        codec: Writes the events topic.
        unguarded: A delete that is newer may have been forgotten: told as a flag.
    """
    reading, position = event.reading, event.position
    record = dict(told)
    if reading.deletes:
        record["meta_op"] = "DELETE"
    elif reading.operation == "note":
        record["meta_op"] = "UNKNOWN"
    record["meta_fidelity"] = "full" if "body" in reading.facets else "thin"
    record["entity"] = event.key.entity
    record["id"] = event.key.id
    record["operation"] = reading.operation
    record["verdict"] = verdict
    record["action_name"] = reading.action_name
    flags = (*event.flags, UNGUARDED) if unguarded else event.flags
    attributes = {**reading.attributes, "flags": flags} if flags else reading.attributes
    record["attributes"] = canonical(attributes).decode() if attributes else None
    record["raw_topic"] = position.topic if position else ""
    record["raw_partition"] = position.partition if position else -1
    record["raw_offset"] = position.offset if position else -1
    record["delivery_id"] = event.meta.delivery_id
    return codec.encode(record)
