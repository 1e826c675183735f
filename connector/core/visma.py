"""What the Visma publishers share: one dispatcher, its headers, and the fields of its envelopes.

Field names are read in any case. Headers are not covered by the signature, so they count only where
the body says nothing (vendors: x-vwd-event-id, -notification-id, -notification-timestamp, -tenant-id).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from connector.core.convert import Fill
from connector.core.events import Operation
from connector.core.join import Rank
from connector.core.location import tail
from connector.core.read import decode, elements, fold, tidy
from connector.core.source import Part, Shape
from connector.core.times import from_dotnet, from_epoch_ms, from_naive
from connector.entities.fields import Entity
from connector.errors import NoEntityId, Unreadable
from connector.model import TICKS_PER_MS, EntityKey, Fields, Reading

LOCATIONS: Final = ("relativeresourceuri", "entitylocation", "resourceuri")
"""In the order of trust; a path is read, a URL never called."""
_WORDS: Final = ("documentstatus", "status")
STATUSES: Final = frozenset({*_WORDS, "erpdocumentstatus"})
HINTS: Final = frozenset({"CREATED", "UPDATED", "DELETED", "INSERTED"})
"""Values of `action` that only repeat the event; anything else is the name of a button (A-11)."""

ORIGIN: Final = frozenset({"apiclientid", "userid", "connectid", "isscheduler", "ischeduler", "tenantid"})
"""Fields that say who made the change; `ischeduler` is the vendor's spelling (VE-03)."""
ENVELOPE: Final = ORIGIN | {"event", "contextid", "companyid", "notificationid", "timestamp"}

STATUS_COLUMNS: Final = {
    "status": "documentStatus, else status",
    "erp_document_status": "erpDocumentStatus",
    "status_unknown": "no status in a status event",
    "status_at": "timeStamp",
}
"""Columns of the facet `status` with the vendor's fields."""
IDS_COLUMNS: Final = {"vendor_guid": "entityId"}

_NO_TABLE: Final[Mapping[str, str]] = {}
"""Binds nothing. One object: conversion remembers every table it has seen."""
_TICKS_FROM: Final = 10**17
"""Whole numbers from here on are .NET ticks (year 317), smaller ones epoch milliseconds."""


class Envelope(msgspec.Struct, frozen=True):
    """One notification: its fields as sent, the same by lower-case name, and the headers it came with."""

    sent: dict[str, Any]
    folded: dict[str, Any]
    headers: Mapping[str, str]

    def text(self, *names: str) -> str | None:
        """Give the first of the fields that is text with something in it, or a whole number."""
        for name in names:
            if (found := text_of(self.folded.get(name))) is not None:
                return found
        return None

    def header(self, name: str) -> str | None:
        """Give a header of the dispatcher; one that came twice is none."""
        value = self.headers.get(f"x-vwd-{name}", "").strip()
        return value if value and "\n" not in value else None

    @property
    def event(self) -> str | None:
        """Event name as sent."""
        return self.text("event", "eventname", "eventtype") or self.header("event-id")

    @property
    def company(self) -> str | None:
        """Company number, else the tenant's GUID, else what the header says (A-06)."""
        if (number := self.text("contextid", "companyid")) is not None:
            return number
        guid = self.text("tenantid") or self.header("tenant-id")
        return None if guid is None else guid.lower()

    def rest(self, consumed: Iterable[str]) -> dict[str, object]:
        """Give what was sent under other names, nulls left out; an unreadable known value stays too."""
        return {
            name: value
            for name, value in self.sent.items()
            if value is not None and (name.lower() not in consumed or not isinstance(value, str | int))
        }

    def inner(self, wrappers: Iterable[str]) -> list[dict[str, Any]]:
        """Give the fields of the body, then those of the objects that stand in it under known names."""
        inside = [found for name in wrappers if isinstance(found := self.folded.get(name), dict)]
        return [self.folded, *({name.lower(): value for name, value in one.items()} for one in inside)]


def first(layers: Iterable[Mapping[str, Any]], names: Iterable[str]) -> str | None:
    """Give the first id or word under the first name that has one, in whatever layer."""
    layers = list(layers)
    for name in names:
        for layer in layers:
            if (found := text_of(layer.get(name))) is not None:
                return found
    return None


def text_of(value: object) -> str | None:
    """Read an id or word: text that is not blank, or a whole number."""
    if isinstance(value, str):
        # Relational sinks fail on NUL: it is written as its JSON escape, as conversion does.
        return value.replace("\0", "\\u0000") if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def split(body: bytes, where: str) -> Iterator[Part]:
    """Cut an object, or an array of them as the vendor groups under load, into notifications."""
    body, flags = tidy(body)
    for one in elements(body, where):
        yield Part(one, flags=flags)


def envelope(body: bytes, headers: Mapping[str, str], where: str) -> Envelope:
    """Read one notification.

    Raises:
        Unreadable: Not JSON, or no object.
        AmbiguousKeys: Two names that differ in case only.
    """
    sent = decode(body, where)
    if not isinstance(sent, dict):
        raise Unreadable(where, "not an object")
    return Envelope(sent, fold(sent, where), headers)


def event_id(one: Envelope, body: bytes) -> str:
    """Give the notification id, lower case since both spellings of a GUID are one id (0.5).

    Without one it is made from the bytes: history only needs it to be the same for the same bytes.
    """
    found = one.text("notificationid") or one.header("notification-id")
    return hashlib.sha256(body).hexdigest()[:32] if found is None else found.lower()


def named(one: Envelope, where: str) -> str:
    """Give the event name.

    Raises:
        NoEntityId: Neither body nor header has one.
    """
    if (name := one.event) is None:
        raise NoEntityId(f"{where}.event", "missing, and no header x-vwd-event-id")
    return name


def location(one: Envelope) -> tuple[str, str] | None:
    """Give resource word and id from the first location that has both."""
    for name in LOCATIONS:
        value = one.folded.get(name)
        if isinstance(value, str) and (found := tail(value)) is not None:
            return found
    return None


def ticks(one: Envelope) -> int | None:
    """Read `timeStamp` as .NET ticks, else the dispatcher's header; None where neither can be read."""
    value = one.folded.get("timestamp")
    if value is not None:
        try:
            return from_dotnet(value)
        except ValueError:
            return None
    return dispatched(one)


def instant(one: Envelope, *names: str) -> tuple[int | None, bool]:
    """Read the time of a body whose form is not public: .NET ticks, epoch milliseconds or ISO text.

    Returns:
        Ticks since 1970-01-01 UTC, or None; and whether a missing zone was taken as UTC.
    """
    for name in names:
        value = one.folded.get(name)
        if value is None:
            continue
        try:
            if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
                return from_naive(value)
            number = int(value) if isinstance(value, str) else value
            return (from_dotnet(number) if number >= _TICKS_FROM else from_epoch_ms(number)), False
        except (ValueError, TypeError):
            return None, False
    return dispatched(one), False


def dispatched(one: Envelope) -> int | None:
    """Read the dispatcher's own time, epoch milliseconds."""
    for name in ("notification-timestamp", "webhook-timestamp"):
        if (value := one.header(name)) is not None:
            try:
                return from_epoch_ms(value)
            except ValueError:
                return None
    return None


def status(
    one: Envelope, operation: Operation, shape: Shape, occurred: int | None
) -> dict[str, tuple[int, Fields]]:
    """Give the facet `status` where the entity has one and the event has reason to write it (VF-91)."""
    if "status" not in shape.facets:
        return {}
    word, code = one.text(*_WORDS), one.text("erpdocumentstatus")
    announced = operation == "status"
    if not announced and word is None and code is None:
        return {}
    fields: Fields = {
        "status": word,
        "erp_document_status": code,
        "status_unknown": word is None and code is None,
        "status_at": None if occurred is None else occurred // TICKS_PER_MS,
    }
    return {"status": (Rank.STATUS if announced else Rank.UPDATE, fields)}


def guid(one: Envelope) -> str | None:
    """Give the vendor's GUID of the entity, lower case."""
    found = one.text("entityid")
    return None if found is None else found.lower()


def tell_origin(reading: Reading, one: Envelope) -> None:
    """Note in a reading who made the change, and in which of the vendor's tenants."""
    reading.origin_client = one.text("apiclientid")
    reading.origin_user = one.text("userid")
    connect = one.text("connectid")
    reading.origin_connect = None if connect is None else connect.lower()
    tenant = one.text("tenantid") or one.header("tenant-id")
    reading.vendor_tenant = None if tenant is None else tenant.lower()
    for name in ("isscheduler", "ischeduler"):
        if isinstance(found := one.folded.get(name), bool):
            reading.by_scheduler = found
            break


def tell_action(reading: Reading, one: Envelope, *names: str) -> None:
    """Note the button that was used; a mere repetition of the event stays an attribute."""
    names = names or ("action",)
    action = one.text(*names)
    if action is not None and action.upper() not in HINTS:
        reading.action_name = action
        reading.attributes = {
            name: value for name, value in reading.attributes.items() if name.lower() not in names
        }


def without_id(rest: Mapping[str, object], key: EntityKey, names: Iterable[str]) -> dict[str, object]:
    """Leave out fields that only repeat the id or one of its parts."""
    names, said = frozenset(names), {key.id, *key.id.split("/")}
    return {
        name: value for name, value in rest.items() if name.lower() not in names or text_of(value) not in said
    }


def unplaced(entity: Entity, said: Mapping[str, object]) -> Fields:
    """Give the fields of a facet that keeps what has no column."""
    return Fill(entity).take(said, _NO_TABLE).fields
