"""QuickFile's items -> keys and readings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

from connector.core.convert import Fill
from connector.core.events import SYSTEM, EventTable, tell_row
from connector.core.join import Rank
from connector.core.read import decode, duplicated, fold
from connector.core.source import Address, EventRow, Part, Source, tunable
from connector.core.times import sent_time
from connector.core.tolerances import (
    BOOLEAN_TEXT,
    FIELD_ALIAS,
    ID_FALLBACK,
    ID_TEXT,
    NAME_CASE,
    ZONE_ASSUMED,
    distinct,
)
from connector.entities import ENTITIES
from connector.errors import NoEntityId, Unreadable
from connector.model import TICKS_PER_MS, Callback, EntityKey, Fields, RawRecord, Reading, State
from connector.sources.quickfile.cutting import split
from connector.sources.quickfile.table import (
    AMOUNT,
    EVENTS,
    IDS,
    INVOICE,
    KIND,
    KNOWN,
    METHOD,
    NAME,
    NOTHING,
    ORIGIN,
    PAYING,
    PAYMENT,
    PRINTED,
    ROWS,
    SHAPES,
    SOURCE_ID,
    STATE,
    TARGET_ID,
)


def address(part: Part, _callback: Callback, events: EventTable = EVENTS) -> tuple[Address, ...]:
    """Find the entity an item speaks of, or both; unknown event names land under `system`."""
    sent = _object(part.body)
    duplicated(part.body, NAME)
    item = fold(sent, NAME)
    known = events.find(part.event)
    if known.entity is None:
        return (Address(SYSTEM, known.token),)
    if known.operation == "merge":
        _needed(item, "TargetId", *TARGET_ID)
        return (Address(known.entity, _needed(item, "SourceId", *SOURCE_ID)),)
    if known.row in PAYING:
        payment, invoice = _id(item, "paymentid"), _id(item, *PAYING[known.row])
        found = ((PAYMENT, payment), (INVOICE, invoice))
        flags = _second(item, *PAYING[known.row])
        places = tuple(Address(entity, one, None, flags) for entity, one in found if one is not None)
        if not places:
            raise NoEntityId(f"{NAME}.PaymentId", "neither a payment nor an invoice is named")
        return places
    names = ("paymentid", "id") if known.entity == PAYMENT else ("id",)
    return (Address(known.entity, _needed(item, "Id", *names), None, _second(item, *names)),)


def _object(body: bytes) -> dict[str, Any]:
    item = decode(body, NAME)
    if not isinstance(item, dict):
        raise Unreadable(NAME, "not an object")
    return item


def _needed(item: dict[str, Any], label: str, *names: str) -> str:
    if (found := _id(item, *names)) is None:
        raise NoEntityId(f"{NAME}.{label}", "missing, zero, or neither a number nor text")
    return found


def _second(item: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Say whether an id does not stand under the first of its names."""
    return () if len(names) == 1 or _id(item, names[0]) is not None else (ID_FALLBACK,)


def _id(item: Mapping[str, Any], *names: str) -> str | None:
    """Give the first id under one of the names; zero is how the vendor says none (A-45)."""
    for name in names:
        value = item.get(name)
        if isinstance(value, str):
            value = value.strip()
        elif isinstance(value, bool) or not isinstance(value, int):
            continue
        if value not in ("", "0", 0):
            return str(value)
    return None


def normalise(raw: RawRecord, events: EventTable = EVENTS, zone: tzinfo | None = None) -> Reading:
    """Read what an item says about the entity of this record's key."""
    sent = _object(raw.body)
    item = fold(sent, NAME)
    known = events.find(raw.meta.event)
    occurred, used = sent_time(item.get("timestamp"), zone)
    reading = Reading(
        event_id=raw.meta.event_id,
        event_type=raw.meta.event,
        operation=known.operation,
        occurred=occurred,
        zone_assumed=ZONE_ASSUMED in used,
        tolerances=tuple(flag for flag in used if flag != ZONE_ASSUMED),
    )
    tell_row(reading, known)
    _tell_forms(reading, item, sent)
    if known.entity is None:
        reading.attributes = {name: value for name, value in sent.items() if value is not None}
    elif known.operation == "merge":
        _tell_merge(reading, raw.key, item, sent)
    elif known.operation == "delete":
        reading.deletes = True
        reading.attributes = {name: value for name, value in sent.items() if _unknown(name, value)}
        if known.entity == "customer_contact":
            reading.identifiers = {"customer_id": _id(item, "clientid")}
    elif raw.key.entity == PAYMENT:
        _tell_payment(reading, known, item, sent)
    elif known.row in PAYING:
        reading.operation = "patch"
        paid = {"last_paid_at": _millis(reading), "last_payment_id": _id(item, "paymentid")}
        reading.facets = {"paid": (Rank.UPDATE, paid)}
    else:
        _tell_state(reading, known, item, sent)
    return reading


def _tell_forms(reading: Reading, item: dict[str, Any], sent: dict[str, Any]) -> None:
    """Note what deviates from the printed items."""
    used: list[str] = []
    if not PRINTED.issuperset(sent):
        odd = [name for name, value in sent.items() if name not in PRINTED and value is not None]
        reading.unknown_fields = tuple(name for name in odd if name.lower() not in KNOWN)
        if len(odd) > len(reading.unknown_fields):
            used.append(NAME_CASE)
    if "mergedid" in item or "masterid" in item:
        used.append(FIELD_ALIAS)
    if any(isinstance(value, str) and name in IDS for name, value in item.items()):
        used.append(ID_TEXT)
    if isinstance(item.get("deleted"), str):
        used.append(BOOLEAN_TEXT)
    if used:
        reading.tolerances = distinct(reading.tolerances, used)


def _millis(reading: Reading) -> int | None:
    return None if reading.occurred is None else reading.occurred // TICKS_PER_MS


def _unknown(name: str, value: object) -> bool:
    name = name.lower()
    return value is not None and (name not in KNOWN or (name in IDS and not isinstance(value, str | int)))


def _take(
    reading: Reading, entity: str, sent: dict[str, Any], table: Mapping[str, str], *, rest: bool = False
) -> Fields:
    """Convert the fields of a table, and with `rest` keep what no document names."""
    lowered = {name.lower() for name in table}
    chosen = {
        name: value
        for name, value in sent.items()
        if name.lower() in lowered or (rest and _unknown(name, value))
    }
    fill = Fill(ENTITIES[entity]).take(chosen, table)
    reading.warnings += tuple(fill.warnings)
    if fill.tolerances:
        reading.tolerances = distinct(reading.tolerances, fill.tolerances)
    return fill.fields


def _tell_merge(reading: Reading, key: EntityKey, item: dict[str, Any], sent: dict[str, Any]) -> None:
    """Name the successor here, and this id among the merged ones of the target, which has another owner."""
    target = _needed(item, "TargetId", *TARGET_ID)
    deleted = item.get("deleted")
    if isinstance(deleted, str):
        deleted = deleted.strip().lower() == "true"
    fields = _take(reading, key.entity, sent, NOTHING, rest=True)
    reading.facets = {"merge": (Rank.UPDATE, {**fields, "merged_into": target})}
    reading.deletes = deleted is True
    reading.attributes = {"TargetId": target, "Deleted": deleted}
    into = EntityKey.of(key.source, key.tenant, key.entity, target)
    reading.forwards = ((into, State(sets={("merged_from", key.id): 0})),)


def _tell_payment(reading: Reading, known: EventRow, item: dict[str, Any], sent: dict[str, Any]) -> None:
    """Fill what this one of up to three events says of a payment."""
    online = known.row == "QE-05"
    reading.operation = "upsert"
    amount = _take(reading, PAYMENT, sent, AMOUNT, rest=not online)
    method = _take(reading, PAYMENT, sent, METHOD, rest=online)
    if online:
        method["paid_online"] = True
    for name, fields in (("amount", amount), ("method", method)):
        if fields:
            reading.facets[name] = (Rank.UPDATE, fields)
    if (invoice := _id(item, *PAYING[known.row])) is not None:
        reading.facets["bound"] = (Rank.UPDATE, {"invoice_id": invoice})
        reading.sets = (("allocations", invoice),)


def _tell_state(reading: Reading, known: EventRow, item: dict[str, Any], sent: dict[str, Any]) -> None:
    """Fill the facets of an announcement, a view or an answer."""
    entity = known.entity or ""
    client, person = _id(item, "clientid"), _id(item, "clientcontactid")
    facets = reading.facets
    if known.operation == "upsert":
        facets["change"] = (known.rank, _take(reading, entity, sent, NOTHING, rest=True))
        if entity == "customer_contact":
            facets["change"][1]["customer_id"] = client
    elif known.operation == "status":
        status = _take(reading, entity, sent, STATE, rest=True)
        status.update(status_at=_millis(reading), status_by_contact_id=person)
        facets["status"] = (known.rank, status)
    else:
        viewed = _take(reading, entity, sent, NOTHING, rest=True)
        viewed.update(last_viewed_at=_millis(reading), last_viewed_by_contact_id=person)
        facets["viewed"] = (Rank.UPDATE, viewed)
    if entity == INVOICE:
        _tell_invoice(reading, known, item, sent, client)


def _tell_invoice(
    reading: Reading, known: EventRow, item: dict[str, Any], sent: dict[str, Any], client: str | None
) -> None:
    kind = {"invoice_type": "EST"} if known.operation == "status" else _take(reading, INVOICE, sent, KIND)
    if kind:
        reading.facets["kind"] = (Rank.UPDATE, kind)
    if known.operation != "upsert" and client is not None:
        reading.facets["party"] = (Rank.UPDATE, {"customer_id": client})
    if known.row == "QE-01":
        origin = _take(reading, INVOICE, sent, ORIGIN)
        parent = _id(item, "recurringparentid") if origin.get("from_recurring") is not False else None
        reading.facets["origin"] = (Rank.CREATE, {**origin, "recurring_parent_id": parent})


def derive(_key: EntityKey) -> Fields:
    """Give nothing: QuickFile's ids say nothing but themselves."""
    return {}


SOURCE: Final = tunable(
    Source(
        name=NAME,
        title="QuickFile",
        split=split,
        address=address,
        normalise=normalise,
        derive=derive,
        shapes=SHAPES,
        events=ROWS,
        credentials=("Signature",),
        zone_assumed=True,
    ),
    EVENTS,
)
