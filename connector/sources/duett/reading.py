"""Duett's notifications -> keys and readings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Final

import msgspec

from connector.core.convert import Fill
from connector.core.events import SYSTEM, EventTable, tell_row
from connector.core.flat import Flat, flat
from connector.core.join import canonical
from connector.core.read import check, decode, duplicated, elements, fold, repair, tidy
from connector.core.source import Address, EventRow, Part
from connector.core.times import sent_time
from connector.core.tolerances import (
    DATA_OBJECT,
    FIELD_ALIAS,
    ID_TEXT,
    LIST,
    NAME_CASE,
    REPAIRED,
    ZONE_ASSUMED,
    distinct,
)
from connector.entities import ENTITIES
from connector.errors import NoEntityId, Unreadable
from connector.model import Callback, EntityKey, Fields, RawRecord, Reading
from connector.sources.duett.table import BINDINGS, DELETED, EVENTS, NAME, SHAPES

_PRINTED: Final = frozenset(
    {
        "integrationKey",
        "clientKey",
        "tag",
        "subscription",
        "subscriptionObject",
        "event",
        "eventTime",
        "data",
    }
)
_CONSUMED: Final = frozenset(name.lower() for name in _PRINTED - {"tag"})
_KNOWN: Final = _CONSUMED | {"tag"}
_IDENTIFIERS: Final = {
    name: frozenset(field.name for field in ENTITIES[name].fields if field.identifier) for name in SHAPES
}
_scan: Final = msgspec.json.Decoder(msgspec.Raw)
"""Says whether a body is JSON at a fifth of what reading it costs."""


class _Named(msgspec.Struct, gc=False):
    """Enough of a model to find its id; the rest is skipped, not built."""

    id: Any = None
    Id: Any = None


_named: Final = msgspec.json.Decoder(_Named)


def split(callback: Callback) -> Iterable[Part]:
    """Give the one notification of a body, or those of an array; mend the one known fault of JSON."""
    body = callback.body
    if body.startswith(b'{"') and body.endswith(b"}"):  # nearly all: read here once, for `address` too
        if (read := flat(body)) is not None:
            return (Part(body, read=read),)
        try:
            return (Part(body, read=decode(body, NAME)),)
        except Unreadable:
            pass
    return _split(body)


def _split(body: bytes) -> list[Part]:
    body, flags = tidy(body)
    try:
        _scan.decode(body)
    except msgspec.DecodeError:
        mended = repair(body)
        if mended is None:
            raise Unreadable(NAME, "not JSON, and not by the one fault that can be mended") from None
        flags = (*flags, REPAIRED)
        lone = mended.lstrip()[:1] == b"{"
        # A lone notification stays as it came and is mended again by whoever reads it.
        slices = elements(body if lone else mended, NAME)
    else:
        slices = elements(body, NAME)
    if body.lstrip()[:1] == b"[":
        flags = (*flags, LIST)
    return [Part(one, flags=flags) for one in slices]


def address(part: Part, _callback: Callback, events: EventTable = EVENTS) -> tuple[Address, ...]:
    """Find the row, article, ... in the model; unknown objects and verbs land under `system`."""
    bounded = False
    if isinstance(part.read, Flat):
        envelope, bounded = _envelope(part.read.members), part.read.bounded
    else:
        sent, text = (part.read, part.body) if isinstance(part.read, dict) else _open(part.body)
        duplicated(text, NAME)
        envelope = fold(sent, NAME)
    company = envelope.get("clientkey")
    if not isinstance(company, str):
        company = None
    thing, verb = _name(envelope)
    known = events.find(f"{thing} {verb}")
    if known.entity is None:
        return (Address(SYSTEM, known.token, company),)
    if (found := _id(envelope.get("data"), bounded=bounded)) is None:
        raise NoEntityId(f"{NAME}.data.id", "missing, or neither text nor a whole number")
    return (Address(known.entity, found, company),)


def _envelope(sent: dict[str, str]) -> dict[str, Any]:
    """Give what a key needs of an envelope in which each name stands once, names in lower case."""
    if not _PRINTED.issuperset(sent):
        return fold(sent, NAME)
    return {
        "clientkey": sent.get("clientKey"),
        "subscription": sent.get("subscription"),
        "subscriptionobject": sent.get("subscriptionObject"),
        "event": sent.get("event"),
        "data": sent.get("data"),
    }


def _open(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Read a notification, mended if it must be.

    Returns:
        The envelope, and the text it was read from.

    Raises:
        Unreadable: Not JSON even then, or no object.
    """
    try:
        envelope = decode(body, NAME)
    except Unreadable:
        if (mended := repair(body)) is None:
            raise
        body, envelope = mended, decode(mended, NAME)
    if not isinstance(envelope, dict):
        raise Unreadable(NAME, "not an object")
    return envelope, body


def _name(envelope: dict[str, Any]) -> tuple[str, str]:
    """Give object and verb; the field table and the example call the object differently (A-28)."""
    thing = envelope.get("subscription") or envelope.get("subscriptionobject")
    verb = envelope.get("event")
    if not isinstance(thing, str) or not isinstance(verb, str):
        raise NoEntityId(f"{NAME}.subscription", "object or event missing, or no text")
    return thing.strip(), verb.strip()


def _id(model: object, *, bounded: bool) -> str | None:
    if isinstance(model, str):
        text = model.encode()
        if not bounded:
            check(text, f"{NAME}.data")
        try:
            named = _named.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _text(_member(_model(model)))  # says better what is wrong with it
        if (found := _text(named.id) or _text(named.Id)) is not None:
            return found
    return _text(_member(_model(model)))


def _member(model: dict[str, Any]) -> object:
    return next((value for name, value in model.items() if name.lower() == "id"), None)


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _model(model: object) -> dict[str, Any]:
    """Read `data`: JSON text, or an object already.

    Raises:
        Unreadable: Neither.
    """
    if isinstance(model, str):
        model = decode(model.encode(), f"{NAME}.data")
    if not isinstance(model, dict):
        raise Unreadable(f"{NAME}.data", "neither an object nor the text of one")
    return model


def normalise(raw: RawRecord, events: EventTable = EVENTS, zone: tzinfo | None = None) -> Reading:
    """Read a model that replaces what was known, or the keys of what was deleted."""
    sent, _ = _open(raw.body)
    envelope = fold(sent, NAME)
    thing, verb = _name(envelope)
    known = events.find(f"{thing} {verb}")
    when = envelope.get("eventtime")
    occurred, used = sent_time(when, zone)
    reading = Reading(
        event_id=_event_id(raw, thing, verb, when),
        event_type=f"{thing}.{verb}",
        operation=known.operation,
        occurred=occurred,
        zone_assumed=ZONE_ASSUMED in used,
        tolerances=tuple(flag for flag in used if flag != ZONE_ASSUMED) if used else (),
        attributes={
            name: value
            for (name, value), folded in zip(sent.items(), envelope, strict=True)
            if value is not None and folded not in _CONSUMED
        },
    )
    if known.entity is not None and known.operation != "note":
        _tell(reading, known, known.entity, envelope)
    _tell_envelope(reading, sent, envelope)
    tell_row(reading, known)
    return reading


def _tell_envelope(reading: Reading, sent: dict[str, Any], envelope: dict[str, Any]) -> None:
    """Note what deviates from the printed envelope."""
    if not _PRINTED.issuperset(sent):
        odd = [name for name, value in sent.items() if name not in _PRINTED and value is not None]
        unknown = tuple(name for name in odd if name.lower() not in _KNOWN)
        reading.unknown_fields += unknown
        if len(odd) > len(unknown):
            reading.tolerances = distinct(reading.tolerances, (NAME_CASE,))
    if not envelope.get("subscription"):
        reading.tolerances = distinct(reading.tolerances, (FIELD_ALIAS,))


def _event_id(raw: RawRecord, thing: str, verb: str, when: object) -> str:
    """Make the id the vendor does not send; a copy fetched later gets the same one (A-54)."""
    said = [raw.key.tenant, thing.lower(), verb.lower(), when, raw.key.id]
    return hashlib.sha256(canonical(said)).hexdigest()[:32]


def _tell(reading: Reading, known: EventRow, entity: str, envelope: dict[str, Any]) -> None:
    data = envelope.get("data")
    model = _model(data)
    table = DELETED[entity] if known.operation == "delete" else BINDINGS[entity]
    fill = Fill(ENTITIES[entity]).take(model, table)
    used = fill.tolerances
    if not isinstance(data, str):
        used.append(DATA_OBJECT)
    found = model.get("id")
    if isinstance(_member(model) if found is None else found, str):
        used.append(ID_TEXT)
    if used:
        reading.tolerances = distinct(reading.tolerances, used)
    reading.unknown_fields = tuple(fill.unknown)
    if entity == "voucher_line":
        _finish_row(fill)
    if known.operation == "delete":
        reading.deletes = True
        reading.identifiers = {
            column: value for column, value in fill.columns.items() if column in _IDENTIFIERS[entity]
        }
    else:
        reading.facets = {"body": (known.rank, fill.fields)}
        reading.warnings = tuple(fill.warnings)


def _finish_row(fill: Fill) -> None:
    """Add the voucher's reference, and drop what a carrier says twice."""
    year, number = fill.columns.get("voucher_year"), fill.columns.get("voucher_number")
    if year is not None and number is not None:
        fill.columns["voucher_ref"] = f"{year}/{number}"
    for index, carrier in enumerate(fill.columns.get("carriers") or ()):
        for name in [one for one in fill.extras if one.lower() == f"carriers[{index}].carriertype.id"]:
            if _text(fill.extras[name]) == carrier["carrier_type_id"]:
                del fill.extras[name]


def derive(_key: EntityKey) -> Fields:
    """Give nothing: Duett's ids say nothing but themselves."""
    return {}
