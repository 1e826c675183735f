"""What the Visma publishers share: one dispatcher, its headers, and the fields of its envelopes.

Field names are read in any case. Headers are not covered by the signature, so they count only where
the body says nothing (vendors: x-vwd-event-id, -notification-id, -notification-timestamp, -tenant-id).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from connector.core.events import Operation
from connector.core.join import Rank
from connector.core.location import printed, tail
from connector.core.pointers import Pointed, at
from connector.core.read import decode, elements, fold, tidy
from connector.core.source import Part, Shape
from connector.core.tolerances import (
    EVENT_ID_MADE,
    FIELD_ALIAS,
    FROM_HEADER,
    GUID_CASE,
    ID_FALLBACK,
    LIST,
    LOCATION_FORM,
    POINTER_GIVEN,
)
from connector.errors import NoEntityId, Unreadable
from connector.model import TICKS_PER_MS, Fields

LOCATIONS: Final = ("relativeresourceuri", "entitylocation", "resourceuri")
"""In the order of trust; a path is read, a URL never called."""
_WORDS: Final = ("documentstatus", "status")
STATUSES: Final = frozenset({*_WORDS, "erpdocumentstatus"})
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

TIMES: Final = ("timestamp", "eventtime", "occurredat")
"""Names of the time where bodies are not published, in the order of trust."""
POINTED: Final[Mapping[str, tuple[str, ...]]] = {
    "event": ("event", "eventname", "eventtype"),
    "event_id": ("notificationid",),
    "time": TIMES,
    "company": ("contextid", "companyid"),
}
"""Field an operator may give a pointer for, where bodies are not published -> names it takes the place of."""


class Envelope(msgspec.Struct, frozen=True):
    """One notification: its fields as sent, the same by lower-case name, and the headers it came with."""

    sent: dict[str, Any]
    folded: dict[str, Any]
    headers: Mapping[str, str]
    used: list[str] = []
    """Tolerances, in the order they were used."""
    pointed: Pointed | None = None
    """Where an operator says that fields stand; `folded` holds them already."""

    def points(self, name: str) -> bool:
        """Say whether an operator points to what is read under a name."""
        return self.pointed is not None and name in self.pointed.replaced

    def text(self, *names: str) -> str | None:
        """Give the first of the fields that is text with something in it, or a whole number."""
        for name in names:
            if (found := text_of(self.folded.get(name))) is not None:
                return found
        return None

    def header(self, name: str) -> str | None:
        """Give a header of the dispatcher; one that came twice is none."""
        value = self.headers.get(f"x-vwd-{name}", "").strip()
        if not value or "\n" in value:
            return None
        self.used.append(FROM_HEADER)
        return value

    def lower(self, text: str) -> str:
        """Fold a GUID, of which both spellings are one (0.5)."""
        folded = text.lower()
        if folded != text:
            self.used.append(GUID_CASE)
        return folded

    @property
    def event(self) -> str | None:
        """Event name as sent."""
        if (found := self.text("event")) is not None:
            return found
        if (found := self.text("eventname", "eventtype")) is not None:
            self.used.append(FIELD_ALIAS)
            return found
        return self.header("event-id")

    @property
    def company(self) -> str | None:
        """Company number, else the tenant's GUID, else what the header says (A-06)."""
        if (number := self.text("contextid", "companyid")) is not None:
            return number
        if (guid := self.text("tenantid")) is not None:
            self.used.append(ID_FALLBACK)
        else:
            guid = self.header("tenant-id")
        return None if guid is None else self.lower(guid)

    def rest(self, consumed: Iterable[str]) -> dict[str, object]:
        """Give what was sent under other names, nulls left out; an unreadable known value stays too."""
        if self.pointed is not None:
            consumed = (frozenset(consumed) - self.pointed.replaced) | self.pointed.outer
        return {
            name: value
            for name, value in self.sent.items()
            if value is not None and (name.lower() not in consumed or not isinstance(value, str | int))
        }

    def inner(self, wrappers: Iterable[str]) -> list[dict[str, Any]]:
        """Give the fields of the body, then those of the objects that stand in it under known names."""
        inside = [found for name in wrappers if isinstance(found := self.folded.get(name), dict)]
        layers = [{name.lower(): value for name, value in one.items()} for one in inside]
        if self.pointed is not None:
            layers = [_without(one, self.pointed.replaced) for one in layers]
        return [self.folded, *layers]


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
    if body.lstrip()[:1] == b"[":
        flags = (*flags, LIST)
    for one in elements(body, where):
        yield Part(one, flags=flags)


def envelope(body: bytes, headers: Mapping[str, str], where: str, pointed: Pointed | None = None) -> Envelope:
    """Read one notification.

    Where an operator points to a field, what stands there is read under its first name, and neither that
    nor its other names are looked for: a field that is not there is missing, not guessed.

    Raises:
        Unreadable: Not JSON, or no object.
        AmbiguousKeys: Two names that differ in case only.
    """
    sent = decode(body, where)
    if not isinstance(sent, dict):
        raise Unreadable(where, "not an object")
    folded = fold(sent, where)
    if pointed is None:
        return Envelope(sent, folded, headers)
    folded = _without(folded, pointed.replaced)
    used = []
    for name, ways in pointed.ways:
        found = next((value for way in ways if (value := at(sent, way)) is not None), None)
        if found is not None:
            folded[name] = found
            used.append(POINTER_GIVEN)
    return Envelope(sent, folded, headers, used, pointed)


def _without(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def event_id(one: Envelope, body: bytes) -> str:
    """Give the notification id, lower case.

    Without one it is made from the bytes: history only needs it to be the same for the same bytes.
    """
    found = one.text("notificationid") or one.header("notification-id")
    if found is not None:
        return one.lower(found)
    one.used.append(EVENT_ID_MADE)
    return hashlib.sha256(body).hexdigest()[:32]


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
        if not isinstance(value, str):
            continue
        if (found := tail(value)) is not None:
            if not printed(value):
                one.used.append(LOCATION_FORM)
            return found
        one.used.append(ID_FALLBACK)
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
    return None if found is None else one.lower(found)
