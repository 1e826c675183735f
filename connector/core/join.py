"""State + event -> state. The only place that decides which of two truths is newer.

`join` is commutative, associative and idempotent, so any duplication, order or grouping of the same
events ends in the same state. Per facet the greatest (version, rank) wins; a full tie is settled
field by field. A delete is a clock: what is not newer than it does not count.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, Literal

import msgspec

from connector.model import NEVER, NOTHING, Facet, Fields, State

_canonical: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")
_KEPT: Final = "merge"
"""A later plain delete must not lose the successor: this facet is never pruned."""
_MOVED: Final = "moved"
REKEY: Final = "rekey:"
"""Prefix of the facets that name a predecessor: one per GUID, the record shows that of its own GUID."""


class Rank(IntEnum):
    """Order of events that carry the same vendor time."""

    IDS = 0
    CREATE = 100
    UPDATE = 200
    STATUS = 300
    DELETE = 400


def canonical(value: object) -> bytes:
    """Give the one JSON text of a value: sorted names, no blanks, decimals as they stand."""
    return _canonical.encode(value)


def greater(x: Any, y: Any) -> Any:
    """Choose between two values of one column at a full tie: null loses, else canonical bytes decide."""
    if x is None or x == y:
        return y
    if y is None:
        return x
    return max(x, y, key=canonical)


def join_facet(a: Facet, b: Facet) -> Facet:
    """Keep the newer facet; at a full tie unite field by field."""
    if a is b:
        return a
    left, right = (a.version, a.rank), (b.version, b.rank)
    if left != right:
        return a if left > right else b
    if a.fields == b.fields:
        return a
    fields: Fields = dict(a.fields)
    for name, value in b.fields.items():
        fields[name] = greater(fields.get(name), value)
    return Facet(a.version, a.rank, fields)


def join(a: State, b: State) -> State:
    """Unite two states of one key."""
    if a is NOTHING or a == NOTHING:
        return b
    deleted = max(a.deleted, b.deleted)
    facets = dict(a.facets)
    for name, facet in b.facets.items():
        mine = facets.get(name)
        facets[name] = facet if mine is None else join_facet(mine, facet)
    sets = dict(a.sets)
    for element, version in b.sets.items():
        if version > sets.get(element, NEVER):
            sets[element] = version
    return _prune(deleted, facets, sets)


def _prune(deleted: int, facets: dict[str, Facet], sets: dict[tuple[str, str], int]) -> State:
    ids = facets.get("ids")
    named = NEVER if ids is None else ids.version
    kept = {
        name: facet
        for name, facet in facets.items()
        if name == _KEPT or (facet.version > deleted and (name != _MOVED or facet.version >= named))
    }
    if deleted != NEVER:
        sets = {element: version for element, version in sets.items() if version > deleted}
    return State(deleted, kept, sets)


def well_formed(state: State) -> State:
    """Apply the pruning rule to a state built by hand; `join` expects both sides so."""
    return _prune(state.deleted, dict(state.facets), dict(state.sets))


def exists(state: State, state_facet: str) -> bool:
    """Say whether consumers see the entity: UPSERT if so, else DELETE and tombstone."""
    if _MOVED in state.facets:
        return False
    return state_facet in state.facets or (state.deleted == NEVER and state != NOTHING)


def apply(old: State, event: State) -> tuple[State, Literal["applied", "duplicate", "stale"]]:
    """Join an event into a state and say what came of it."""
    new = join(old, event)
    if new != old:
        return new, "applied"
    return old, "duplicate" if _contained_at_equal_version(old, event) else "stale"


def _contained_at_equal_version(old: State, event: State) -> bool:
    if event.deleted not in (NEVER, old.deleted):
        return False
    for name, facet in event.facets.items():
        mine = old.facets.get(name)
        if mine is None or (mine.version, mine.rank) != (facet.version, facet.rank):
            return False
    return all(old.sets.get(element) == version for element, version in event.sets.items())


def supersedes(event: State, old: State) -> bool:
    """Say whether a join keeps nothing of the old state, so that its fields need not be read.

    Deletes never do: a DELETE record repeats identifiers of the old state.
    """
    if event.deleted != NEVER or old.deleted != NEVER or old.sets:
        return False
    for name, facet in old.facets.items():
        newer = event.facets.get(name)
        if newer is None or (newer.version, newer.rank) <= (facet.version, facet.rank):
            return False
    return True


def version_of(state: State) -> int:
    """Give the greatest version in a state, hidden facets and delete clock included: it never falls.

    A predecessor does not count: it carries another key's time, and a key that moved away keeps its own.
    """
    newest = state.deleted
    for name, facet in state.facets.items():
        if facet.version > newest and not name.startswith(REKEY):
            newest = facet.version
    for version in state.sets.values():
        newest = max(newest, version)
    return newest


def dump(state: State) -> bytes:
    """Write a whole state as canonical JSON: `x-erp-hidden` and the body of a forward."""
    return _canonical.encode(
        {
            "deleted": None if state.deleted == NEVER else state.deleted,
            "facets": {
                name: [
                    facet.version,
                    facet.rank,
                    {
                        column: {"decimal": format(value, "f")} if isinstance(value, Decimal) else value
                        for column, value in facet.fields.items()
                        if value is not None
                    },
                ]
                for name, facet in state.facets.items()
            },
            "sets": [[name, element, version] for (name, element), version in sorted(state.sets.items())],
        }
    )


class _Dumped(msgspec.Struct):
    deleted: int | None
    facets: dict[str, tuple[int, int, dict[str, Any]]]
    sets: list[tuple[str, str, int]]


_dumped: Final = msgspec.json.Decoder(_Dumped)


def load(text: bytes) -> State:
    """Read what `dump` wrote.

    Raises:
        msgspec.DecodeError: Not a dumped state.
    """
    read = _dumped.decode(text)
    return State(
        NEVER if read.deleted is None else read.deleted,
        {
            name: Facet(version, rank, {column: _value(value) for column, value in fields.items()})
            for name, (version, rank, fields) in read.facets.items()
        },
        {(name, element): version for name, element, version in read.sets},
    )


def _value(value: Any) -> Any:
    return Decimal(value["decimal"]) if isinstance(value, dict) else value
