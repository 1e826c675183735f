"""The one screen: receive, normalise, deduplicate, compact.

    receive     authentic bytes            -> raw records, one per entity event
    normalise   a raw record               -> a change event: its time made safe, its effect a state
    deduplicate the effect, joined into what is known of the key -> a verdict
    compact     a changed state            -> changelog records

No I/O, no clock, no vendor by name: a `Source` arrives as an argument. What cannot be used leaves as
`Quarantined`; any other exception is a bug and ends the process before anything is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, Protocol

import msgspec

from connector.core import erasure, identity
from connector.core.avro import Codec
from connector.core.changelog import EntityChangelog
from connector.core.erasure import AHEAD_TICKS
from connector.core.history import history, meta
from connector.core.join import apply, dump, load, supersedes, version_of, well_formed
from connector.core.privacy import Privacy
from connector.core.receive import receive
from connector.core.source import Source
from connector.core.times import MIN_PLAUSIBLE
from connector.core.tolerances import CLOCK_SUSPECT, ZONE_ASSUMED, distinct
from connector.errors import NoEntityId, TooLarge, TooOld, Unreadable, Unusable
from connector.model import (
    NEVER,
    NOTHING,
    TICKS_PER_US,
    ChangeEvent,
    EntityKey,
    Facet,
    Forward,
    Known,
    Outcome,
    Quarantined,
    RawMeta,
    RawRecord,
    Reading,
    State,
)

__all__ = ["Desk", "View", "carry", "compact", "normalise", "receive"]

DAY_TICKS: Final = 86_400 * 10_000_000
GUARD_TICKS: Final = 15 * DAY_TICKS
"""How long a delete is remembered: an older event of an unknown key may come behind a forgotten delete."""
_CHANGELESS: Final = frozenset({"note"})


class View(Protocol):
    """What is known of the keys of one source; changes are visible to the next record at once."""

    def glance(self, key: EntityKey) -> Known | None:
        """Give what is known of a key, perhaps without the fields of its facets; None: ask `get`."""

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key."""

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event changed."""


class Desk(msgspec.Struct, frozen=True):
    """What the worker's stations need and may not fetch themselves."""

    privacy: Privacy
    changelogs: Mapping[tuple[str, str], EntityChangelog]
    """(source, entity) -> its changelog."""
    history: Codec
    identity: Codec
    max_bytes: int
    """Largest record of the events topic."""
    max_age_ticks: int | None = None
    """Age from which events of unknown keys are set aside; None: they are applied and flagged."""


def normalise(raw: RawRecord, source: Source, privacy: Privacy) -> ChangeEvent:
    """Read a raw record, make its time safe and its effect a state.

    Raises:
        Unusable: Nothing usable in it.
    """
    if raw.meta.origin == "forward":
        return _forwarded(raw)
    if raw.meta.origin == erasure.ORIGIN:
        at = erasure.version(raw.meta)
        erased = State(deleted=at)
        return ChangeEvent(raw.key, erasure.reading(raw.meta), at, erased, raw.meta, position=raw.position)
    dialect = source.at(raw.meta.endpoint) if source.tuned else source
    reading = dialect.normalise(raw)
    version, suspect = _clamp(reading.occurred, raw.meta.received_us)
    key = raw.key
    facets = {}
    for name, (rank, fields) in reading.facets.items():
        kept = {column: value for column, value in fields.items() if value is not None}
        privacy.mask(key.tenant, key.entity, kept)
        facets[name] = Facet(version, rank, kept)
    state = State(facets=facets, sets=dict.fromkeys(reading.sets, version))
    if reading.deletes:
        state = well_formed(msgspec.structs.replace(state, deleted=version))
    reading.origin_user = _hashed(privacy, key.tenant, reading.origin_user)
    reading.origin_connect = _hashed(privacy, key.tenant, reading.origin_connect)
    flags = distinct(raw.meta.flags, reading.tolerances) if raw.meta.flags else reading.tolerances
    return ChangeEvent(key, reading, version, state, raw.meta, suspect, raw.position, flags)


def _hashed(privacy: Privacy, tenant: str, user: str | None) -> str | None:
    return None if user is None else privacy.digest(tenant, user)


def _clamp(occurred: int | None, received_us: int) -> tuple[int, bool]:
    """Give the version, and whether the vendor's clock was not believed."""
    received = received_us * TICKS_PER_US
    if occurred is None or occurred < MIN_PLAUSIBLE or occurred > received + AHEAD_TICKS:
        return received, True
    return occurred, False


def _forwarded(raw: RawRecord) -> ChangeEvent:
    """Read an effect that another key's owner sent: it carries its own versions.

    What was bent to read the event behind it is told and counted there, but for its clock: of that the
    records of this key speak, too.
    """
    try:
        state = load(raw.body)
    except msgspec.MsgspecError:
        raise Unreadable("forward", "not the effect of an event on a second key") from None
    operation: Literal["merge", "rekey"] = "merge" if state.sets else "rekey"
    flags = raw.meta.flags
    reading = Reading(
        event_id=raw.meta.event_id,
        event_type=raw.meta.event,
        operation=operation,
        occurred=None,
        zone_assumed=ZONE_ASSUMED in flags,
    )
    version = version_of(state)
    if version == NEVER:
        # An answer that names a predecessor alone: its time is that one's, or its records would tell none.
        received = raw.meta.received_us * TICKS_PER_US
        version = max((facet.version for facet in state.facets.values()), default=received)
    return ChangeEvent(raw.key, reading, version, state, raw.meta, CLOCK_SUSPECT in flags, raw.position)


def carry(
    raws: Iterable[RawRecord], source: Source, view: View, desk: Desk
) -> Iterator[Outcome | Quarantined]:
    """Take raw records through normalise, deduplicate and compact, in order.

    All are normalised before the first is joined: a few dozen at a time, code, tables and records all stay
    in the processor's cache.
    """
    for raw, event in [(raw, _normalised(raw, source, desk.privacy)) for raw in raws]:
        if isinstance(event, Unusable):
            yield _set_aside(raw, event)
            continue
        try:
            outcome = compact(event, source, view, desk)
        except Unusable as refusal:
            yield _set_aside(raw, refusal)
        else:
            if outcome.known is not None:
                view.put(raw.key, outcome)
            yield outcome


def _normalised(raw: RawRecord, source: Source, privacy: Privacy) -> ChangeEvent | Unusable:
    try:
        return normalise(raw, source, privacy)
    except Unusable as refusal:
        return refusal


def _set_aside(raw: RawRecord, refusal: Unusable) -> Quarantined:
    return Quarantined(
        key=raw.key.text,
        body=raw.body,
        reason=refusal.code,
        where=f"normalise {refusal.where}",
        why=refusal.why,
        meta=raw.meta,
        source=raw.key.source,
        position=raw.position,
        error=type(refusal).__name__,
    )


def compact(event: ChangeEvent, source: Source, view: View, desk: Desk) -> Outcome:
    """Join an event into what is known of its key and write down what changed.

    Raises:
        Unusable: The key's entity is none of the source's, or a record cannot be written.
    """
    key = event.key
    if key.entity == identity.ENTITY:
        return identity.observe(event, view.get(key), desk.identity)
    forwards = tuple(_forwards(event, source))
    told = meta(event)
    if event.reading.operation in _CHANGELESS:
        return Outcome(event, "noted", _history(event, told, "noted", desk), forwards=forwards)
    changelog = desk.changelogs.get((source.name, key.entity))
    if changelog is None:
        raise NoEntityId("key", f"{source.name} has no entity of this name")
    old = view.glance(key)
    if old is None or not supersedes(event.state, old.state):
        old = view.get(key)
    if event.meta.origin == erasure.ORIGIN and old is not None:
        gone = erasure.sightings(key, old.state, event.version)
        forwards = tuple(_forward(event, owner, effect) for owner, effect in gone)
    new, verdict = apply(NOTHING if old is None else old.state, event.state)
    if verdict != "applied":
        kept = None if event.meta.origin == "forward" else _history(event, told, verdict, desk)
        return Outcome(event, verdict, kept, forwards=forwards)
    age = event.meta.received_us * TICKS_PER_US - event.version
    if old is None and desk.max_age_ticks is not None and age > desk.max_age_ticks:
        raise TooOld("event time", "older than worker.max_event_age_days, and its key is unknown")
    unguarded = old is None and age > GUARD_TICKS
    records = changelog.records(event, told, old, new)
    known = Known(new, records[-1].timestamp_ms)
    kept = _history(event, told, verdict, desk, unguarded=unguarded)
    return Outcome(event, verdict, kept, records, forwards, known, unguarded)


def _history(
    event: ChangeEvent, told: Mapping[str, object], verdict: str, desk: Desk, *, unguarded: bool = False
) -> bytes:
    framed = history(event, told, verdict, desk.history, unguarded=unguarded)
    if len(framed) > desk.max_bytes:
        raise TooLarge("attributes", f"the event's record would exceed {desk.max_bytes} bytes")
    return framed


def _forwards(event: ChangeEvent, source: Source) -> Iterator[Forward]:
    """Say what the event means for other keys; every time, for a repeat may be the only one to tell."""
    if event.meta.origin == "forward":
        return
    version = event.version
    for key, effect in event.reading.forwards:
        stamped = State(
            facets={name: Facet(version, facet.rank, facet.fields) for name, facet in effect.facets.items()},
            sets=dict.fromkeys(effect.sets, version),
        )
        yield _forward(event, key, stamped)
    guid = event.reading.guid
    shape = source.shapes.get(event.key.entity)
    if guid is not None and shape is not None and "rekey" in shape.facets:
        key, seen = identity.sighting(event.key, guid, version)
        yield _forward(event, key, seen, *((identity.RENAMED,) if event.reading.operation == "rekey" else ()))


def _forward(event: ChangeEvent, key: EntityKey, effect: State, *flags: str) -> Forward:
    """Wrap an effect on a second key as a raw record of the same source."""
    if event.reading.zone_assumed:
        flags = (*flags, ZONE_ASSUMED)
    if event.clock_suspect:
        flags = (*flags, CLOCK_SUSPECT)
    meta = RawMeta(
        delivery_id=event.meta.delivery_id,
        received_us=event.meta.received_us,
        endpoint=event.meta.endpoint,
        origin="forward",
        event=event.reading.event_type,
        event_id=event.reading.event_id,
        flags=flags,
        traceparent=event.meta.traceparent,
    )
    return Forward(key, dump(effect), meta)
