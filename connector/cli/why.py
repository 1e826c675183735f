"""Why an event got its verdict, in words: which facet, at which time, beat which.

It tells what `connector.core.join` has decided and decides nothing itself. Columns are named, values never.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from connector.core import identity
from connector.core.join import Rank, exists
from connector.core.source import Source
from connector.core.times import to_rfc3339
from connector.model import NEVER, NOTHING, Facet, Known, Outcome, State

Reason = dict[str, Any]
"""`part` (facet, delete clock or set), `effect`, `why`; versions where they decide."""

_WON: Final = ("set", "replaced", "joined", "deleted", "added")
_LOST: Final = ("older", "deleted before", "given up")


def explained(old: Known | None, outcome: Outcome, source: Source) -> tuple[str, list[Reason]]:
    """Give one sentence for the verdict, and one reason for each part of the event's effect.

    Args:
        old: What was known of the key before.
        outcome: What became of the event.
        source: Its vendor dialect.
    """
    event = outcome.event
    before = NOTHING if old is None else old.state
    if outcome.verdict == "noted":
        return _noted(outcome), []
    after = before if outcome.known is None else outcome.known.state
    reasons = [*_delete(before, event.state, after), *_facets(before, event.state, after)]
    reasons += _sets(before, event.state)
    if outcome.verdict == "duplicate":
        return "all it says is known already, at the same version", reasons
    lost = "; ".join(dict.fromkeys(one["why"] for one in reasons if one["effect"] in _LOST))
    if outcome.verdict == "stale":
        return lost or "nothing in it is newer than what is known", reasons
    won = [one["why"] for one in reasons if one["effect"] in _WON]
    if event.key.entity != identity.ENTITY:
        shape = source.shapes[event.key.entity]
        won.append(_existence(before, after, shape.state_facet, known=old is not None))
    won.append(f"not taken: {lost}" if lost else "")
    return "; ".join(filter(None, won)), reasons


def _noted(outcome: Outcome) -> str:
    reading = outcome.event.reading
    if reading.unknown_event:
        return "an event name that stands in no table: history only"
    if outcome.event.key.entity == "system":
        return "an event that concerns no entity: history only"
    return "a button was used, which changes no state: history only"


def _existence(before: State, after: State, state_facet: str, *, known: bool) -> str:
    was, stays = exists(before, state_facet), exists(after, state_facet)
    if not known:
        return "the key was not known"
    if was != stays:
        return "the entity is back" if stays else "the entity is gone"
    if not stays and "moved" in after.facets:
        return "the key stays gone: only a newer event with a GUID names it again"
    return "" if stays else "the entity stays deleted: only a newer create or update revives it"


def _at(version: int) -> str:
    try:
        return f"{version} ({to_rfc3339(version)})"
    except ValueError:
        return str(version)


def rank_word(rank: int) -> str:
    """Name a rank."""
    if Rank.STATUS < rank < Rank.DELETE:
        return f"status, phase {rank - Rank.STATUS}"
    try:
        return Rank(rank).name.lower()
    except ValueError:
        return str(rank)


def _delete(before: State, sent: State, after: State) -> Iterator[Reason]:
    if sent.deleted == NEVER:
        return
    told = {"part": "delete", "version": sent.deleted}
    if before.deleted != NEVER:
        told["known_version"] = before.deleted
    if sent.deleted > before.deleted:
        gone = sorted(before.facets.keys() - after.facets.keys())
        left = sorted(after.facets)
        why = f"deleted at {_at(sent.deleted)}"
        why += f"; what is older goes: {', '.join(gone)}" if gone else ""
        why += f"; what is newer stays: {', '.join(left)}" if left else ""
        yield {**told, "effect": "deleted", "gone": gone, "why": why}
    elif sent.deleted == before.deleted:
        yield {**told, "effect": "same", "why": f"the delete at {_at(sent.deleted)} is known"}
    else:
        why = f"a delete at {_at(before.deleted)} is known, newer than this one at {_at(sent.deleted)}"
        yield {**told, "effect": "older", "why": why}


def _facets(before: State, sent: State, after: State) -> Iterator[Reason]:
    for name, facet in sorted(sent.facets.items()):
        yield {
            "part": f"facet {name}",
            "version": facet.version,
            "rank": facet.rank,
            **_facet(name, facet, before, after),
        }


def _facet(name: str, facet: Facet, before: State, after: State) -> Reason:
    known = before.facets.get(name)
    if name not in after.facets:
        if facet.version <= after.deleted:
            return _deleted_before(facet, before, after)
        return {"effect": "given up", "why": f"facet {name}: its key was named again by a newer event"}
    if known is None:
        columns = sorted(facet.fields)
        with_ = f" with {', '.join(columns)}" if columns else ""
        return {
            "effect": "set",
            "columns": columns,
            "why": f"facet {name} is new at {_at(facet.version)}{with_}",
        }
    told = {"known_version": known.version, "known_rank": known.rank}
    return {**told, **_against_known(name, facet, known, after.facets[name])}


def _against_known(name: str, facet: Facet, known: Facet, now: Facet) -> Reason:
    mine, theirs = (facet.version, facet.rank), (known.version, known.rank)
    changed = _changed(known.fields, now.fields)
    if mine > theirs:
        how = f"goes from {_at(known.version)} to {_at(facet.version)}"
        if facet.version == known.version:
            how = f"is of the same time, {_at(facet.version)}, and {_against(name, facet, known)}"
        fields = f"changed: {', '.join(changed)}" if changed else "no column differs"
        return {"effect": "replaced", "columns": changed, "why": f"facet {name} {how}; {fields}"}
    if mine == theirs and changed:
        united = ", ".join(changed)
        why = f"facet {name} ties with the known one at {_at(facet.version)}; united by column: {united}"
        return {"effect": "joined", "columns": changed, "why": why}
    if mine == theirs:
        return {"effect": "same", "why": f"facet {name} is known at {_at(facet.version)}"}
    return {"effect": "older", "why": _older(name, facet, known)}


def _older(name: str, facet: Facet, known: Facet) -> str:
    if facet.version == known.version:
        beaten = _against(name, known, facet)
        return f"facet {name} of the same time, {_at(facet.version)}, is known, and {beaten}"
    return f"facet {name} is known at {_at(known.version)}, newer than {_at(facet.version)}"


def _deleted_before(facet: Facet, before: State, after: State) -> Reason:
    if before.deleted == after.deleted:
        age = "newer than" if facet.version < after.deleted else "of the same time as"
        why = f"a delete at {_at(after.deleted)} is known, {age} {_at(facet.version)}"
    else:
        why = "ended by the delete it came with"
    return {"effect": "deleted before", "known_version": after.deleted, "why": why}


def _against(name: str, winner: Facet, loser: Facet) -> str:
    if name == "moved":
        return "its successor is the newer one"
    return f"{rank_word(winner.rank)} counts more than {rank_word(loser.rank)}"


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _sets(before: State, sent: State) -> Iterator[Reason]:
    for (name, element), version in sorted(sent.sets.items()):
        told: Reason = {"part": f"set {name}", "element": element, "version": version}
        known = before.sets.get((name, element))
        what = "seen under" if name == "seen" else f"{name} has"
        if known is not None:
            told["known_version"] = known
        if known is None and version > before.deleted:
            yield {**told, "effect": "added", "why": f"{what} {element} at {_at(version)}, which is new"}
        elif known is None:
            why = f"a delete at {_at(before.deleted)} is known, newer than {_at(version)}"
            yield {**told, "effect": "deleted before", "known_version": before.deleted, "why": why}
        elif version > known:
            yield {**told, "effect": "added", "why": f"{what} {element}, now at {_at(version)}"}
        elif version == known:
            yield {**told, "effect": "same", "why": f"{what} {element} at {_at(version)}"}
        else:
            why = f"{what} {element} at {_at(known)}, newer than {_at(version)}"
            yield {**told, "effect": "older", "why": why}


def facets_of(state: State) -> list[dict[str, Any]]:
    """List the facets of a state: version, time, rank, names of columns."""
    return [
        {
            "facet": name,
            "version": facet.version,
            "time": time_of(facet.version),
            "rank": facet.rank,
            "rank_word": "successor's version" if name == "moved" else rank_word(facet.rank),
            "columns": sorted(facet.fields),
        }
        for name, facet in sorted(state.facets.items())
    ]


def known_of(known: Known | None) -> dict[str, Any] | None:
    """Say what was known of a key: delete clock, facets, sets."""
    if known is None:
        return None
    state = known.state
    told: dict[str, Any] = {"facets": facets_of(state)}
    if state.deleted != NEVER:
        told["deleted"] = {"version": state.deleted, "time": time_of(state.deleted)}
    if state.sets:
        told["sets"] = [
            {"set": name, "element": element, "version": version}
            for (name, element), version in sorted(state.sets.items())
        ]
    return told


def time_of(version: int) -> str | None:
    """Write a version as a time; None where it is none, as of a forward that names a predecessor alone."""
    try:
        return to_rfc3339(version)
    except ValueError:
        return None
