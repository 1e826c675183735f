"""A changelog told anew: raw records over what the live topic says, and what came of it.

Where an event and the live state agree in the clock of a facet, the live columns that the event fills are
forgotten before it is joined: today's reading of the same bytes stands, even where `join` would have kept the
old one. But only of times for which raw is whole. Of older ones raw may hold the loser of a tie and not its
winner, so there the join decides as always; and what no raw record tells any more is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connector.model import NEVER, Facet, State

_OF_THE_STATE: Final = frozenset(
    {"meta_op", "meta_key", "meta_source", "meta_tenant", "meta_version", "meta_clocks"}
)
"""`meta_*` columns that are state; the others name the event behind a record or follow from these."""


class Retold:
    """Which columns of the live states raw records have told again, by key and facet."""

    def __init__(self) -> None:
        self._told: Final[dict[tuple[str, str], frozenset[str]]] = {}
        self._same: Final[dict[frozenset[str], frozenset[str]]] = {}
        """Events of one kind fill the same columns: each set is kept once, not per key."""

    def columns(
        self, key: str, live: State, event: State, whole_from: int = NEVER
    ) -> dict[str, frozenset[str]]:
        """Say which columns of a live state an event tells for the first time: facet -> columns.

        Of two events with one clock the second may not take from the first: between them `join` decides.

        Args:
            key: Of both states.
            live: What the live topic says.
            event: What the event says.
            whole_from: Version from which on raw has every event; `NEVER` where it has all there ever were.
        """
        found = {}
        for name, facet in event.facets.items():
            mine = live.facets.get(name)
            if mine is None or (mine.version, mine.rank) != (facet.version, facet.rank):
                continue
            if facet.version < whole_from:
                continue
            told = self._told.get((key, name), frozenset())
            new = frozenset(facet.fields.keys() - told)
            if new:
                united = told | new
                self._told[key, name] = self._same.setdefault(united, united)
                found[name] = new
        return found


def without(state: State, live: State, columns: Mapping[str, frozenset[str]]) -> State:
    """Give a state without some columns of the live one, wherever it still shows them; clocks stay."""
    facets = dict(state.facets)
    for name, gone in columns.items():
        facet, mine = facets.get(name), live.facets[name]
        if facet is not None and (facet.version, facet.rank) == (mine.version, mine.rank):
            kept = {column: value for column, value in facet.fields.items() if column not in gone}
            facets[name] = Facet(facet.version, facet.rank, kept)
    return State(state.deleted, facets, state.sets)


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the columns in which the state parts of two decoded records differ; never a value.

    A column one of the two schemas does not have counts as null.
    """
    return sorted(
        name
        for name in old.keys() | new.keys()
        if (not name.startswith("meta_") or name in _OF_THE_STATE) and old.get(name) != new.get(name)
    )
