"""Re-keys: the business number of an entity changed, its GUID stayed.

Every envelope that names a GUID sends a *sighting* (GUID, key, version) to the GUID's owner, who keeps the
newest version each key was seen with. The living key is the greatest (version, key). From that alone
follow the answers to the keys:

    rekey:<guid>  on every key that has another one: `previous_key` = the newest other key, with its version
    moved         on every key but the living one: `replaced_by` = the living key, with the key's own version
                  and the living key's version as rank

Both only grow with what was seen, so any order of sightings ends in the same answers, and a key that is
named again later (renamed back, number reused) sheds its `moved` by itself: see `join`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from connector.core.avro import Codec
from connector.core.join import Rank, dump, join
from connector.model import (
    NEVER,
    NOTHING,
    ChangeEvent,
    ChangelogRecord,
    EntityKey,
    Facet,
    Forward,
    Known,
    Outcome,
    RawMeta,
    State,
)

RENAMED: Final = "renamed"
"""Flag of a sighting whose event announced a new number."""
ENTITY: Final = "identity"
"""Third segment of an identity key: source/tenant/identity/<entity>.<guid>."""
_SEEN: Final = "seen"


def owner(key: EntityKey, guid: str) -> EntityKey:
    """Give the key under which a GUID of an entity is remembered."""
    return EntityKey.of(key.source, key.tenant, ENTITY, f"{key.entity}.{guid}")


def sighting(key: EntityKey, guid: str, version: int) -> tuple[EntityKey, State]:
    """Say to a GUID's owner that it was seen under a key: the owner's key, and the effect on it."""
    return owner(key, guid), State(sets={(_SEEN, key.text): version})


def answers(state: State, guid: str) -> dict[str, State]:
    """Give, for every key of a GUID, what the sightings mean for it."""
    seen = {key: version for (_, key), version in state.sets.items()}
    if len(seen) < 2:  # noqa: PLR2004  one key has neither predecessor nor successor
        return {}
    newest, second = sorted(((version, key) for key, version in seen.items()), reverse=True)[:2]
    told = {}
    for key, version in seen.items():
        other = second if key == newest[1] else newest
        facets = {f"rekey:{guid}": Facet(other[0], Rank.UPDATE, {"previous_key": other[1]})}
        if key != newest[1]:
            facets["moved"] = Facet(version, newest[0], {"replaced_by": newest[1]})
        told[key] = State(facets=facets)
    return told


def observe(event: ChangeEvent, known: Known | None, codec: Codec) -> Outcome:
    """Take a sighting: remember it, and answer every key whose answer it changes.

    An erasure leaves a tombstone. The next sighting that is newer begins afresh: its record has no place
    for the delete, which so ends in memory, too.
    """
    old = NOTHING if known is None else known.state
    new = join(old, event.state)
    if new == old:
        return Outcome(event, "duplicate")
    if new.sets:
        new = State(sets=new.sets)
    guid = event.key.id.partition(".")[2]
    before = answers(old, guid)
    forwards = tuple(
        Forward(EntityKey.parse(key), dump(effect), _meta(event))
        for key, effect in answers(new, guid).items()
        if before.get(key) != effect
    )
    timestamp_ms = event.meta.received_us // 1000
    if known is not None:
        timestamp_ms = max(timestamp_ms, known.timestamp_ms)
    if new.sets:
        record = ChangelogRecord(event.key, "UPSERT", codec.encode(_value(event.key, new)), [], timestamp_ms)
    else:
        headers = [("x-erp-version", b"%d" % new.deleted), ("x-erp-op", b"DELETE")]
        record = ChangelogRecord(event.key, "DELETE", None, headers, timestamp_ms)
    return Outcome(
        event,
        "applied",
        records=(record,),
        forwards=forwards,
        known=Known(new, timestamp_ms),
        renaming=_renaming(event, old, new),
    )


def _renaming(event: ChangeEvent, old: State, new: State) -> Literal["", "unresolved", "resolved"]:
    """Say whether a new number came whose old one nobody has seen, or the old one of such came after all.

    The second is told by the order of versions: a key that is older than the only one known so far.
    """
    if len(new.sets) == 1:
        return "unresolved" if RENAMED in event.meta.flags else ""
    if len(old.sets) != 1 or len(new.sets) == len(old.sets):
        return ""
    return "resolved" if event.version < max(old.sets.values()) else ""


def _meta(event: ChangeEvent) -> RawMeta:
    meta = event.meta
    return RawMeta(
        delivery_id=meta.delivery_id,
        received_us=meta.received_us,
        endpoint=meta.endpoint,
        origin="forward",
        event=meta.event,
        event_id=meta.event_id,
        flags=tuple(flag for flag in meta.flags if flag != RENAMED),
        traceparent=meta.traceparent,
    )


def _value(key: EntityKey, state: State) -> dict[str, Any]:
    rows = sorted((one, version) for (_, one), version in state.sets.items())
    return {
        "meta_key": key.text,
        "meta_version": max((version for _, version in rows), default=NEVER),
        "keys": [{"key": one, "version": version} for one, version in rows],
    }


def state(value: dict[str, Any]) -> State:
    """Rebuild what an identity record was written from."""
    return State(sets={(_SEEN, row["key"]): row["version"] for row in value["keys"]})
