"""Nouns: what travels from a vendor's callback to a consumer's record.

Nothing here does work beyond saying what a thing is; rules live in `core`, effects in `runtime`.
None of them can be part of a cycle of references, so the garbage collector need not look (`gc=False`).
Two units are used everywhere: `*_us` is microseconds since 1970-01-01 UTC (arrival), a *version* is
100-nanosecond ticks since 1970-01-01 UTC (vendor time).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import msgspec

Value: TypeAlias = "bool | int | str | Decimal | list[dict[str, Any]] | None"
Fields: TypeAlias = dict[str, Any]
"""Column -> Value. Typed Any because msgspec resolves annotations and cannot hold this union."""
Headers: TypeAlias = list[tuple[str, bytes]]

NEVER: Final = -(2**63)
"""The version of something that never happened; smaller than every vendor time."""

TICKS_PER_US: Final = 10
TICKS_PER_MS: Final = 10_000

_SAFE: Final = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._~-]")


def escape(segment: str) -> str:
    """Percent-escape one key segment: every UTF-8 byte outside `[A-Za-z0-9._~-]` as `%XX`.

    Example:
        >>> escape("SO/000123")
        'SO%2F000123'
    """
    if _SAFE(segment):
        return segment
    return _UNSAFE.sub(lambda hit: b"%%%02X" % hit.group()[0], segment.encode()).decode()


class EntityKey(msgspec.Struct, frozen=True, gc=False):
    """Names one entity of one tenant of one source; `text` is the Kafka record key.

    Made by `of` or `parse`, never by hand: `text` must be the escaped form of the four segments.
    """

    source: str
    tenant: str
    entity: str
    id: str
    text: str

    @classmethod
    def of(cls, source: str, tenant: str, entity: str, id: str) -> EntityKey:  # noqa: A002  DESIGN's word
        """Build a key from unescaped segments.

        Example:
            >>> EntityKey.of("visma-net", "1000001", "item", "A/1*2").text
            'visma-net/1000001/item/A%2F1%2A2'
        """
        return cls(
            source, tenant, entity, id, f"{escape(source)}/{escape(tenant)}/{escape(entity)}/{escape(id)}"
        )

    @classmethod
    def parse(cls, text: str) -> EntityKey:
        """Read a record key.

        Raises:
            ValueError: Not exactly four segments.

        Example:
            >>> EntityKey.parse("visma-net/1000001/item/A%2F1%2A2").id
            'A/1*2'
        """
        parts = text.split("/")
        if "%" in text:
            parts = [unquote(part) for part in parts]
        source, tenant, entity, id_ = parts
        return cls(source, tenant, entity, id_, text)


class Callback(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request as anybody may have sent it: nothing in it is believed yet."""

    source: str
    endpoint: str
    """Opaque id from the URL."""
    headers: dict[str, str]
    """Names in lower case. A header that came twice holds both values, joined by a line feed."""
    body: bytes
    received_us: int
    delivery_id: str
    """ULID; in the 202 answer and on every record this callback becomes."""
    url_token: str = ""


class RawMeta(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a raw record says about itself; compact JSON in the one Kafka header `meta`."""

    delivery_id: str
    received_us: int
    """The only arrival clock: stamped once at the door, carried unchanged through every replay."""
    endpoint: str = ""
    index: int = 0
    """Place of this record among the `count` records of its callback."""
    count: int = 1
    body_sha256: str = ""
    """Hex digest of the whole body as received, before redaction."""
    redacted: tuple[str, ...] = ()
    origin: Literal["callback", "forward", "recovery", "quarantine", "replay", "erase"] = "callback"
    event: str = ""
    """The vendor's event name where the bytes do not say it (QuickFile: the array's name)."""
    event_id: str = ""
    """The vendor's event id where the bytes do not say it (QuickFile: HookId, event and index)."""
    flags: tuple[str, ...] = ()
    """Tolerances used at the door: `repaired`, `bom`, ... (`connector.core.tolerances`). On a forward what
    its receiver must know of the event behind it: `zone_assumed`, `clock_suspect`, `renamed`."""
    company_hash: str = ""
    """Keyed hash of a company id that is a credential and was redacted."""
    headers: dict[str, str] = {}
    """Allowed vendor headers (`x-vwd-*`); stored, never believed before the body."""
    traceparent: str = ""


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a raw record stands in Kafka."""

    topic: str
    partition: int
    offset: int


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One entity event cut out of a callback: the vendor's bytes under the entity's key."""

    key: EntityKey
    body: bytes
    meta: RawMeta
    position: Position | None = None


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """Authentic bytes that could not be used, with the reason; never an infrastructure fault."""

    key: str
    """Entity key, or `source/endpoint` where none is known."""
    body: bytes
    reason: str
    """One of `connector.errors.REASONS`."""
    where: str
    """Station and field, such as `receive duett.data.id`; never a value."""
    why: str
    meta: RawMeta
    source: str
    position: Position | None = None
    error: str = ""
    """Class of the refusal; empty where none was raised."""


class Facet(msgspec.Struct, frozen=True, gc=False):
    """A group of fields that is replaced as a whole, with the one time that holds for all of them."""

    version: int
    rank: int
    """Breaks a tie of versions: see `connector.core.join.Rank`."""
    fields: Fields = {}
    """Avro values after conversion, decimals at their column's scale. A null is left out, never
    stored: a state rebuilt from its record must equal the one in memory. The name `extras` holds
    canonical JSON text of what has no column."""


class State(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one key; the join of everything its events said."""

    deleted: int = NEVER
    """The delete clock: greatest version of a delete."""
    facets: dict[str, Facet] = {}
    sets: dict[tuple[str, str], int] = {}
    """(set, element) -> greatest version, e.g. ("merged_from", "17")."""


NOTHING: Final = State()


class Reading(msgspec.Struct, kw_only=True, gc=False):
    """What one vendor event says, in our words; the answer of `Source.normalise`."""

    event_id: str
    event_type: str
    """The vendor's event name as sent."""
    operation: Literal["upsert", "patch", "status", "delete", "merge", "rekey", "note"]
    occurred: int | None
    """Vendor time in ticks, or None where it is missing or unreadable."""
    zone_assumed: bool = False
    facets: dict[str, tuple[int, Fields]] = {}
    """Facet -> (rank, fields); nulls in it are dropped by `flow`."""
    deletes: bool = False
    """Whether the event moves the delete clock."""
    sets: tuple[tuple[str, str], ...] = ()
    """(set, element) pairs the event unites."""
    identifiers: Fields = {}
    """Courtesy fields of a DELETE record; not state."""
    attributes: dict[str, object] = {}
    """What describes the event and not the entity; JSON in `erp.events`."""
    action_name: str | None = None
    origin_client: str | None = None
    origin_user: str | None = None
    origin_connect: str | None = None
    by_scheduler: bool | None = None
    vendor_tenant: str | None = None
    warnings: tuple[str, ...] = ()
    """Names of fields whose value did not convert; the text is in `extras`."""
    tolerances: tuple[str, ...] = ()
    """What was bent to read it beyond `zone_assumed`: names of `connector.core.tolerances`."""
    unknown_fields: tuple[str, ...] = ()
    """Names, as sent, of fields that no document of the vendor names and that are not null."""
    unknown_event: str = ""
    """Token of an event name that stands in no row of the vendor's table."""
    deprecated_for: str = ""
    """Source whose events take the place of this one, where the vendor announces its end."""
    forwards: tuple[tuple[EntityKey, State], ...] = ()
    """Effects on other keys; their versions are stamped by `flow`."""
    guid: str | None = None
    """Vendor GUID of the entity, lower case: what `erp.identity` learns from."""


class ChangeEvent(msgspec.Struct, frozen=True, gc=False):
    """A reading with its key, its time made safe and its effect as a state to be joined."""

    key: EntityKey
    reading: Reading
    version: int
    state: State
    meta: RawMeta
    clock_suspect: bool = False
    position: Position | None = None
    flags: tuple[str, ...] = ()
    """Tolerances of door and source together; the two of the clock have fields of their own."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """What the worker remembers of a key."""

    state: State
    timestamp_ms: int
    """Kafka timestamp of the key's last changelog record: the next one may not be older."""


class ChangelogRecord(msgspec.Struct, frozen=True, gc=False):
    """One record for `erp.changelog.<entity>`: a state, a DELETE, or (value None) a tombstone."""

    key: EntityKey
    op: Literal["UPSERT", "DELETE"]
    value: bytes | None
    """Framed Avro."""
    headers: Headers
    timestamp_ms: int


class Forward(msgspec.Struct, frozen=True, gc=False):
    """An effect on a second key, travelling to that key's owner as a raw record."""

    key: EntityKey
    body: bytes
    meta: RawMeta


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one event: its verdict, and the records that tell the world."""

    event: ChangeEvent
    verdict: Literal["applied", "duplicate", "stale", "noted"]
    history: bytes | None = None
    """Framed Avro for `<prefix>.events`; None where the event is only counted."""
    records: tuple[ChangelogRecord, ...] = ()
    forwards: tuple[Forward, ...] = ()
    known: Known | None = None
    """The key's new memory; None where nothing changed."""
    unguarded: bool = False
    """Whether it made an unknown key known with an event older than deletes are remembered."""
    renaming: Literal["", "unresolved", "resolved"] = ""
    """What a sighting of a GUID said of new numbers: the old key is not known, or was learnt after all."""
