"""Visma SalesOrderService: 4 events of which only the names are public.

The body is read tolerantly: fields by their likely names, at the top or inside one wrapper, else a
location ending in `/SalesOrders/{type}/{id}`; event, tenant, id and time from the dispatcher's headers
where the body has none. What names no order goes to quarantine, and the first real callback becomes a
fixture (A-17).

Source: Visma "Supported events and entities", publisher Visma Net ERP SalesOrderService.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Final

from connector.core import visma, visma_tell, visma_times
from connector.core.events import SYSTEM, EventTable, row, tell_row
from connector.core.join import Rank
from connector.core.location import tail
from connector.core.pointers import Pointed
from connector.core.read import duplicated
from connector.core.source import Address, EventRow, Part, Shape, Source, tunable
from connector.core.tolerances import FIELD_ASSUMED, distinct
from connector.entities import ENTITIES
from connector.errors import NoEntityId
from connector.model import Callback, EntityKey, Fields, RawRecord, Reading

NAME: Final = "visma-sales"
ENTITY: Final = "sales_order"

SHAPES: Final[Mapping[str, Shape]] = {
    ENTITY: Shape(
        "change",
        {
            "change": {},
            "status": {**visma.STATUS_COLUMNS, "status_at": "time of the notification"},
            "ids": visma.IDS_COLUMNS,
        },
        derived={
            "number": "orderId, orderNumber, orderNbr, salesOrderId, id, or location",
            "order_type": "orderType, salesOrderType, type, or location",
        },
    )
}
"""The vendor's names are assumed."""

ROWS: Final = (
    row("VS-01", "SALESORDER_CREATED", ENTITY, "create"),
    row("VS-02", "SALESORDER_UPDATED", ENTITY, "update"),
    row("VS-03", "SALESORDER_DELETED", ENTITY, "delete"),
    row("VS-04", "SALESORDER_UI_CUSTOMACTION", ENTITY, "note"),
)
EVENTS: Final = EventTable(ROWS, {"salesorder": ENTITY, "salesorders": ENTITY}, SHAPES)

_WRAPPERS: Final = ("data", "payload", "order", "salesorder", "resource", "content", "body")
_LOCATIONS: Final = (*visma.LOCATIONS, "location", "uri", "url", "href")
_RESOURCES: Final = frozenset({"salesorders", "salesorder"})
_NUMBERS: Final = ("orderid", "ordernumber", "ordernbr", "salesorderid", "id")
_TYPES: Final = ("ordertype", "salesordertype", "type")
_ACTIONS: Final = ("action", "actionname", "customaction", "customactionname")
_CONSUMED: Final = visma.ENVELOPE | {"eventname", "eventtype", *visma.TIMES}
_ABOUT_THE_EVENT: Final = frozenset({*_LOCATIONS, *_ACTIONS, "erpevent"})
_SAID: Final = _CONSUMED | _ABOUT_THE_EVENT | visma.STATUSES | {"entityid"}
"""What is said elsewhere in the record; the rest of a body of unknown shape goes to `extras`."""
_UNPRINTED: Final[frozenset[str]] = frozenset()
_KNOWN: Final = _SAID | {*_WRAPPERS, *_NUMBERS, *_TYPES}
POINTED: Final = {**visma.POINTED, "id": (*_NUMBERS, *_LOCATIONS), "order_type": _TYPES}


def split(callback: Callback) -> Iterator[Part]:
    """Cut an object, or an array of them, into notifications."""
    return visma.split(callback.body, NAME)


def address(
    part: Part, callback: Callback, events: EventTable = EVENTS, given: Pointed | None = None
) -> tuple[Address, ...]:
    """Find the order; unknown events, and a button without an order, land under `system`."""
    one = visma.envelope(part.body, callback.headers, NAME, given)
    duplicated(part.body, NAME)
    known = events.find(visma.named(one, NAME))
    order = None if known.entity is None else _order(one, events)
    if order is not None:
        assumed = () if one.points(_NUMBERS[0]) else (FIELD_ASSUMED,)
        return (Address(ENTITY, order, one.company, distinct(one.used, assumed)),)
    if known.operation == "note":
        return (Address(SYSTEM, known.token, one.company, distinct(one.used)),)
    why = "no known field and no location names an order; reading.pointers.id can say where it stands"
    if one.points(_NUMBERS[0]):
        why = "reading.pointers.id of its endpoint leads to no order"
    raise NoEntityId(f"{NAME}.orderId", why)


def _order(one: visma.Envelope, events: EventTable) -> str | None:
    """Give `<type>/<number>`, or the number alone where no type is said."""
    layers = one.inner(_WRAPPERS)
    for name in _NUMBERS[:1] if one.points(_NUMBERS[0]) else _LOCATIONS:
        for layer in layers:
            place = layer.get(name)
            if isinstance(place, str) and (found := tail(place)) is not None and found[0] in _RESOURCES:
                return found[1]
    if (number := visma.first(layers, _NUMBERS)) is None:
        return None
    kind = visma.first(layers, _TYPES)
    # `type` is also what others call the event.
    if kind is None or "/" in number or events.find(kind).entity is not None:
        return number
    return f"{kind}/{number}"


def normalise(
    raw: RawRecord,
    events: EventTable = EVENTS,
    given: Pointed | None = None,
    zone: tzinfo | None = None,
) -> Reading:
    """Read what the event does to the order; everything unknown is kept with it."""
    one = visma.envelope(raw.body, raw.meta.headers, NAME, given)
    known = events.find(visma.named(one, NAME))
    occurred, zone_assumed = visma_times.instant(one, zone)
    reading = Reading(
        event_id=visma.event_id(one, raw.body),
        event_type=one.event or "",
        operation=known.operation,
        occurred=occurred,
        zone_assumed=zone_assumed,
        attributes=one.rest(_CONSUMED),
    )
    if known.operation == "delete":
        reading.deletes = True
        reading.identifiers = {"vendor_guid": visma.guid(one)}
    elif known.entity is not None and known.operation != "note":
        _tell_state(reading, known, one, raw.key)
    visma_tell.tell_origin(reading, one)
    visma_tell.tell_action(reading, one, *_ACTIONS)
    visma_tell.tell_forms(reading, one, _UNPRINTED, _KNOWN, _WRAPPERS)
    tell_row(reading, known)
    return reading


def _tell_state(reading: Reading, known: EventRow, one: visma.Envelope, key: EntityKey) -> None:
    facets = reading.facets = visma.status(one, known.operation, SHAPES[ENTITY], reading.occurred)
    if (guid := visma.guid(one)) is not None:
        facets["ids"] = (Rank.IDS, {"vendor_guid": guid})
    if known.operation == "upsert":
        rest = visma_tell.without_id(one.rest(_SAID), key, _NUMBERS + _TYPES)
        facets["change"] = (known.rank, visma_tell.unplaced(ENTITIES[ENTITY], rest))
        reading.attributes = {
            name: value for name, value in reading.attributes.items() if name.lower() in _ABOUT_THE_EVENT
        }


def derive(key: EntityKey) -> Fields:
    """Take apart `SO/000123`; an id of one part has no type."""
    kind, slash, number = key.id.partition("/")
    return {"number": number, "order_type": kind} if slash else {"number": key.id}


SOURCE: Final = tunable(
    Source(
        name=NAME,
        title="Visma SalesOrderService",
        split=split,
        address=address,
        normalise=normalise,
        derive=derive,
        shapes=SHAPES,
        events=ROWS,
    ),
    EVENTS,
    POINTED,
)
