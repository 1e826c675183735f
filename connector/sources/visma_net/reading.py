"""Visma.net's notifications -> keys and readings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Final

from connector.core import visma, visma_tell, visma_times
from connector.core.events import SYSTEM, EventTable, tell_row
from connector.core.join import Rank
from connector.core.read import duplicated
from connector.core.source import Address, EventRow, Part, Source, tunable
from connector.core.tolerances import ID_FALLBACK, distinct
from connector.entities import ENTITIES
from connector.errors import NoEntityId
from connector.model import Callback, EntityKey, Fields, RawRecord, Reading
from connector.sources.visma_net.table import EVENTS, NAME, PRINCIPAL, ROWS, SHAPES, WHOLE

_TOLD_BY_DELETE: Final = visma.ENVELOPE | {"entityid"}
_TOLD_BY_STATE: Final = _TOLD_BY_DELETE | visma.STATUSES
"""Fields that reach the record, so that they are no attributes of the event."""
_PRINTED: Final = frozenset(
    {
        "NotificationId",
        "notificationId",
        "contextId",
        "companyId",
        "event",
        "action",
        "resourceId",
        "resourceUri",
        "relativeResourceUri",
        "entityId",
        "entityLocation",
        "erpEvent",
        "erpDocumentStatus",
        "documentStatus",
        "status",
        "UserId",
        "timeStamp",
        "ApiClientId",
        "apiClientId",
        "TenantId",
        "ConnectId",
        "IsScheduler",
        "ischeduler",
    }
)
"""Names of the three envelopes, in every case they are printed in."""
_KNOWN: Final = frozenset(name.lower() for name in _PRINTED)


def split(callback: Callback) -> Iterator[Part]:
    """Cut an object, or an array of them as the vendor groups under load, into notifications."""
    return visma.split(callback.body, NAME)


def address(part: Part, callback: Callback, events: EventTable = EVENTS) -> tuple[Address, ...]:
    """Find the key; what happens to no entity, and a button without a location, lands under `system`."""
    one = visma.envelope(part.body, callback.headers, NAME)
    duplicated(part.body, NAME)
    known = events.find(visma.named(one, NAME))
    place = None if known.entity is None else _place(known.entity, one)
    if known.entity is not None and place is not None:
        return (Address(known.entity, place[1], one.company, distinct(one.used)),)
    if known.operation == "note":
        return (Address(SYSTEM, known.token, one.company, distinct(one.used)),)
    raise NoEntityId(f"{NAME}.location", "no entityLocation, resource path or resourceId names an entity")


def _place(entity: str, one: visma.Envelope) -> tuple[str | None, str] | None:
    """Give resource word and id; the word of a foreign resource stands in the id."""
    if (found := visma.location(one)) is None:
        if (number := one.text("resourceid")) is None:
            return None
        one.used.append(ID_FALLBACK)
        return None, number
    word, number = found
    return word, number if word in PRINCIPAL[entity] else f"{word}/{number}"


def normalise(raw: RawRecord, events: EventTable = EVENTS, zone: tzinfo | None = None) -> Reading:
    """Read a notification: what it announces, the status and the GUID if it carries them."""
    one = visma.envelope(raw.body, raw.meta.headers, NAME)
    known = events.find(visma.named(one, NAME))
    reading = Reading(
        event_id=visma.event_id(one, raw.body),
        event_type=one.event or "",
        operation=known.operation,
        occurred=visma_times.ticks(one, zone),
    )
    consumed = visma.ENVELOPE
    if known.entity is not None and known.operation == "delete":
        consumed = _TOLD_BY_DELETE
        _tell_delete(reading, known.entity, one)
    elif known.entity is not None and known.operation != "note":
        consumed = _TOLD_BY_STATE
        _tell_state(reading, known, known.entity, one)
    reading.attributes = one.rest(consumed)
    visma_tell.tell_origin(reading, one)
    visma_tell.tell_action(reading, one)
    visma_tell.tell_forms(reading, one, _PRINTED, _KNOWN)
    tell_row(reading, known)
    return reading


def _tell_delete(reading: Reading, entity: str, one: visma.Envelope) -> None:
    reading.deletes = True
    reading.guid = visma.guid(one)
    reading.identifiers = {"vendor_guid": reading.guid}
    if "kind" in SHAPES[entity].facets and (place := _place(entity, one)) is not None:
        reading.identifiers["invoice_type"] = place[0]


def _tell_state(reading: Reading, known: EventRow, entity: str, one: visma.Envelope) -> None:
    shape = SHAPES[entity]
    facets = reading.facets = visma.status(one, known.operation, shape, reading.occurred)
    if known.operation in ("upsert", "rekey"):
        facets["change"] = (known.rank, {} if "status" in shape.facets else _homeless(one, entity))
    if "kind" in shape.facets and (place := _place(entity, one)) is not None and place[0] is not None:
        facets["kind"] = (Rank.UPDATE, {"invoice_type": place[0]})
    # A note writes no `ids`, so it names no GUID either: a key announced as the living one by an event
    # that leaves no trace in it could never be revived.
    if (guid := visma.guid(one)) is not None:
        reading.guid = guid
        facets["ids"] = (Rank.IDS, {"vendor_guid": guid})


def _homeless(one: visma.Envelope, entity: str) -> Fields:
    """Keep a status that has no column with the announcement that carried it."""
    said = {
        name: value
        for name, value in one.sent.items()
        if name.lower() in visma.STATUSES and isinstance(value, str | int)
    }
    return visma_tell.unplaced(ENTITIES[entity], said)


def derive(key: EntityKey) -> Fields:
    """Take apart the id: order types, dimensions and projects stand before the number."""
    parts = key.id.split("/")
    derived = SHAPES[key.entity].derived
    if derived is WHOLE:
        return {"number": key.id}
    fields: Fields = {"number": parts[-1]}
    if key.entity == "segment_value":
        if len(parts) > 1:
            fields["segment_id"] = "/".join(parts[:-1])
        if len(parts) == 3:  # noqa: PLR2004  dimension, segment, value
            fields["dimension_id"] = parts[0]
    elif len(parts) == 2:  # noqa: PLR2004  what it belongs to, and its number
        owner = next((column for column in derived if column != "number"), None)
        if owner is not None:
            fields[owner] = parts[0]
    return fields


SOURCE: Final = tunable(
    Source(
        name=NAME,
        title="Visma.net ERP",
        split=split,
        address=address,
        normalise=normalise,
        derive=derive,
        shapes=SHAPES,
        events=ROWS,
    ),
    EVENTS,
)
