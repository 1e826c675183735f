"""Visma Journal Transaction: the 10 events of a voucher's import, of which only the names are public.

Received, import started, processed, synchronisation started, one event per document, synchronised; and
a failure beside each. Notifications may come out of order: the last by time counts, the later phase
breaks ties, and the furthest phase is remembered. A document is one `refNumber` of a voucher and a
key of its own. Bodies are read tolerantly, as in visma_sales (A-17).

Source: Visma "Supported events and entities", Visma Net Journal Transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Final

from connector.core import visma, visma_tell, visma_times
from connector.core.events import SYSTEM, EventTable, row, tell_row
from connector.core.join import Rank, canonical
from connector.core.pointers import Pointed
from connector.core.read import duplicated
from connector.core.source import Address, Part, Shape, Source, tunable
from connector.core.tolerances import FIELD_ASSUMED, distinct
from connector.entities import ENTITIES
from connector.errors import NoEntityId
from connector.model import TICKS_PER_MS, Callback, EntityKey, Fields, RawRecord, Reading

NAME: Final = "visma-journal"
VOUCHER: Final = "journal_voucher"
DOCUMENT: Final = "journal_voucher_document"

_STATUS: Final = {"status": "event", "status_at": "time of the notification", "error_text": "error texts"}
SHAPES: Final[Mapping[str, Shape]] = {
    VOUCHER: Shape("status", {"status": _STATUS, "ref": {"ref_number": "refNumber"}}, sets=("phases",)),
    DOCUMENT: Shape(
        "status",
        {"status": _STATUS},
        derived={"voucher_id": "voucherId, importId, id", "ref_number": "refNumber"},
    ),
}
"""The vendor's names are assumed. `furthest_phase` shows the greatest of the set `phases`."""

ROWS: Final = (
    row("VJ-01", "IMPORT_VOUCHER_FAILED", VOUCHER, "status", phase=20),
    row("VJ-02", "IMPORT_VOUCHER_SUCCESSFUL", VOUCHER, "status", phase=20),
    row("VJ-03", "VOUCHER_DOCUMENT_SYNCHRONIZATION_FAILED", DOCUMENT, "status", phase=50),
    row("VJ-04", "VOUCHER_DOCUMENT_SYNCHRONIZED", DOCUMENT, "status", phase=50),
    row("VJ-05", "VOUCHER_PROCESSED", VOUCHER, "status", phase=30),
    row("VJ-06", "VOUCHER_PROCESSING_FAILED", VOUCHER, "status", phase=30),
    row("VJ-07", "VOUCHER_RECEIVED", VOUCHER, "status", phase=10),
    row("VJ-08", "VOUCHER_SYNCHRONIZATION_FAILED", VOUCHER, "status", phase=60),
    row("VJ-09", "VOUCHER_SYNCHRONIZATION_STARTED", VOUCHER, "status", phase=40),
    row("VJ-10", "VOUCHER_SYNCHRONIZED", VOUCHER, "status", phase=60),
)
EVENTS: Final = EventTable(ROWS, {}, SHAPES)

STATES: Final[Mapping[str, tuple[str, str | None]]] = {
    "VJ-01": ("import_failed", "import"),
    "VJ-02": ("import_started", "import"),
    "VJ-03": ("document_sync_failed", None),
    "VJ-04": ("document_synchronized", None),
    "VJ-05": ("processed", "process"),
    "VJ-06": ("processing_failed", "process"),
    "VJ-07": ("received", "receive"),
    "VJ-08": ("sync_failed", "sync_started"),
    "VJ-09": ("sync_started", "sync_started"),
    "VJ-10": ("synchronized", "synchronized"),
}
"""Row -> status, and the phase a voucher has reached with it; a failure counts the phase it failed in."""

_WRAPPERS: Final = ("data", "payload", "voucher", "document", "resource", "content", "body")
_VOUCHERS: Final = ("voucherid", "importid", "id")
_REFERENCES: Final = ("refnumber", "referencenumber")
_ERRORS: Final = frozenset(
    {"error", "errors", "errortext", "errormessage", "errormessages", "message", "reason"}
)
_CONSUMED: Final = visma.ENVELOPE | {"eventname", "eventtype", *visma.TIMES}
_UNPRINTED: Final[frozenset[str]] = frozenset()
_KNOWN: Final = _CONSUMED | _ERRORS | {*_WRAPPERS, *_VOUCHERS, *_REFERENCES}
POINTED: Final = {**visma.POINTED, "id": _VOUCHERS, "reference": _REFERENCES}


_WHERE: Final = {
    ("id", False): "no known field names a voucher; reading.pointers.id can say where it stands",
    ("id", True): "reading.pointers.id of its endpoint leads to no voucher",
    ("reference", False): "an event of a document without its reference; reading.pointers.reference can say"
    " where it stands",
    ("reference", True): "reading.pointers.reference of its endpoint leads to no reference",
}
"""Field, and whether the operator points to it -> why a key cannot be made."""


def split(callback: Callback) -> Iterator[Part]:
    """Cut an object, or an array of them, into notifications."""
    return visma.split(callback.body, NAME)


def address(
    part: Part, callback: Callback, events: EventTable = EVENTS, given: Pointed | None = None
) -> tuple[Address, ...]:
    """Find the voucher, and for a document its reference; unknown events land under `system`."""
    one = visma.envelope(part.body, callback.headers, NAME, given)
    duplicated(part.body, NAME)
    known = events.find(visma.named(one, NAME))
    if known.entity is None:
        return (Address(SYSTEM, known.token, one.company, distinct(one.used)),)
    layers = one.inner(_WRAPPERS)
    if (voucher := visma.first(layers, _VOUCHERS)) is None:
        raise NoEntityId(f"{NAME}.voucherId", _WHERE["id", one.points(_VOUCHERS[0])])
    assumed = () if one.points(_VOUCHERS[0]) else (FIELD_ASSUMED,)
    if known.entity == VOUCHER:
        return (Address(VOUCHER, voucher, one.company, distinct(one.used, assumed)),)
    if (reference := visma.first(layers, _REFERENCES)) is None:
        why = _WHERE["reference", one.points(_REFERENCES[0])]
        raise NoEntityId(f"{NAME}.refNumber", why)
    flags = distinct(one.used, assumed)
    return (Address(DOCUMENT, f"{voucher}/{reference}", one.company, flags),)


def normalise(
    raw: RawRecord,
    events: EventTable = EVENTS,
    given: Pointed | None = None,
    zone: tzinfo | None = None,
) -> Reading:
    """Read the state the voucher or document has reached."""
    one = visma.envelope(raw.body, raw.meta.headers, NAME, given)
    known = events.find(visma.named(one, NAME))
    occurred, zone_assumed = visma_times.instant(one, zone)
    reading = Reading(
        event_id=visma.event_id(one, raw.body),
        event_type=one.event or "",
        operation=known.operation,
        occurred=occurred,
        zone_assumed=zone_assumed,
    )
    visma_tell.tell_origin(reading, one)
    visma_tell.tell_forms(reading, one, _UNPRINTED, _KNOWN, _WRAPPERS)
    tell_row(reading, known)
    if known.entity is None:
        reading.attributes = one.rest(_CONSUMED)
        return reading
    state, phase = STATES[known.row]
    rest = visma_tell.without_id(one.rest(_CONSUMED | {*_REFERENCES}), raw.key, _VOUCHERS)
    errors = _errors(rest) if state.endswith("failed") else {}
    said = {name: value for name, value in rest.items() if name not in errors}
    fields = visma_tell.unplaced(ENTITIES[known.entity], said)
    fields["status"] = state
    fields["status_at"] = None if occurred is None else occurred // TICKS_PER_MS
    fields["error_text"] = _error(errors)
    reading.facets = {"status": (known.rank, fields)}
    if known.entity == VOUCHER:
        if (reference := visma.first(one.inner(_WRAPPERS), _REFERENCES)) is not None:
            reading.facets["ref"] = (Rank.UPDATE, {"ref_number": reference})
        reading.sets = (("phases", phase),) if phase else ()
    return reading


def _errors(rest: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in rest.items() if name.lower() in _ERRORS}


def _error(errors: Mapping[str, object]) -> str | None:
    """Give one text as it is; several, or what is no text, as JSON."""
    if not errors:
        return None
    if len(errors) == 1 and (only := visma.text_of(next(iter(errors.values())))) is not None:
        return only
    return canonical(errors).decode()


def derive(key: EntityKey) -> Fields:
    """Take apart the id of a document; a reference may hold `/`, a voucher's id does not."""
    if key.entity == VOUCHER:
        return {}
    voucher, _, reference = key.id.partition("/")
    return {"voucher_id": voucher, "ref_number": reference}


SOURCE: Final = tunable(
    Source(
        name=NAME,
        title="Visma Journal Transaction",
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
