"""Duett's notifications -> keys and readings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from connector.core.convert import Fill
from connector.core.events import SYSTEM
from connector.core.join import canonical
from connector.core.read import check, decode, duplicated, elements, fold, repair, tidy
from connector.core.source import Address, EventRow, Part, Source
from connector.core.times import from_naive
from connector.entities import ENTITIES
from connector.errors import NoEntityId, Unreadable
from connector.model import Callback, EntityKey, Fields, RawRecord, Reading
from connector.sources.duett.table import BINDINGS, CREDENTIALS, EVENTS, NAME, ROWS, SHAPES

_CONSUMED: Final = frozenset(
    {
        "integrationkey",
        "clientkey",
        "subscription",
        "subscriptionobject",
        "event",
        "eventtime",
        "data",
    }
)
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
        flags = (*flags, "repaired")
        lone = mended.lstrip()[:1] == b"{"
        # A lone notification stays as it came and is mended again by whoever reads it.
        slices = elements(body if lone else mended, NAME)
    else:
        slices = elements(body, NAME)
    return [Part(one, flags=flags) for one in slices]


def address(part: Part, _callback: Callback) -> tuple[Address, ...]:
    """Find the row, article, ... in the model; unknown objects and verbs land under `system`."""
    sent, text = (part.read, part.body) if isinstance(part.read, dict) else _open(part.body)
    duplicated(text, NAME)
    envelope = fold(sent, NAME)
    company = envelope.get("clientkey")
    if not isinstance(company, str):
        company = None
    thing, verb = _name(envelope)
    known = EVENTS.find(f"{thing} {verb}")
    if known.entity is None:
        return (Address(SYSTEM, known.token, company),)
    if (found := _id(envelope.get("data"))) is None:
        raise NoEntityId(f"{NAME}.data.id", "missing, or neither text nor a whole number")
    return (Address(known.entity, found, company),)


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


def _id(model: object) -> str | None:
    if isinstance(model, str):
        text = model.encode()
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


def normalise(raw: RawRecord) -> Reading:
    """Read a model that replaces what was known, or the keys of what was deleted."""
    sent, _ = _open(raw.body)
    envelope = fold(sent, NAME)
    thing, verb = _name(envelope)
    known = EVENTS.find(f"{thing} {verb}")
    when = envelope.get("eventtime")
    occurred, zone_assumed = _ticks(when)
    reading = Reading(
        event_id=_event_id(raw, thing, verb, when),
        event_type=f"{thing}.{verb}",
        operation=known.operation,
        occurred=occurred,
        zone_assumed=zone_assumed,
        attributes={
            name: value
            for (name, value), folded in zip(sent.items(), envelope, strict=True)
            if value is not None and folded not in _CONSUMED
        },
    )
    if known.entity is not None and known.operation != "note":
        _tell(reading, known, known.entity, _model(envelope.get("data")))
    return reading


def _event_id(raw: RawRecord, thing: str, verb: str, when: object) -> str:
    """Make the id the vendor does not send; a copy fetched later gets the same one (A-54)."""
    said = [raw.key.tenant, thing.lower(), verb.lower(), when, raw.key.id]
    return hashlib.sha256(canonical(said)).hexdigest()[:32]


def _ticks(when: object) -> tuple[int | None, bool]:
    try:
        return from_naive(when) if isinstance(when, str) else (None, False)
    except ValueError:
        return None, False


def _tell(reading: Reading, known: EventRow, entity: str, model: dict[str, Any]) -> None:
    fill = Fill(ENTITIES[entity]).take(model, BINDINGS[entity])
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


SOURCE: Final = Source(
    name=NAME,
    title="Duett",
    split=split,
    address=address,
    normalise=normalise,
    derive=derive,
    shapes=SHAPES,
    events=ROWS,
    credentials=CREDENTIALS,
    company_credential="clientKey",
)
