"""A vendor's event table at work: which row a name on the wire means.

A name never fails an event. In the order of trust: a row of the table or one of its aliases; else a
known entity word followed by a known verb, if the source keeps that entity in a way the verb can change;
else a row without entity, which is history only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal, Self, TypeAlias

import msgspec

from connector.core.join import Rank
from connector.core.read import token
from connector.core.source import EventRow, Shape
from connector.core.tolerances import ALIAS_GIVEN, EVENT_ALIAS, EVENT_BY_RULE, distinct
from connector.model import Reading

Operation: TypeAlias = Literal["upsert", "patch", "status", "delete", "merge", "rekey", "note"]

SYSTEM: Final = "system"
"""The entity word in keys of events that concern no entity; it has no topic."""
_LONGEST: Final = 100
_NAMELESS: Final = "unnamed"
_VERBS: Final[tuple[tuple[str, Operation, Rank, tuple[str, ...]], ...]] = (
    ("statuschanged", "status", Rank.STATUS, ("status",)),
    ("identitychanged", "rekey", Rank.UPDATE, ("rekey",)),
    ("actiontriggered", "note", Rank.IDS, ()),
    ("created", "upsert", Rank.CREATE, ("change", "body")),
    ("updated", "upsert", Rank.UPDATE, ("change", "body")),
    ("deleted", "delete", Rank.DELETE, ()),
    ("changed", "upsert", Rank.UPDATE, ("change", "body")),
)
"""Verb, operation, rank, and the facets of which the source must keep one; longer verbs first."""


_DOES: Final[Mapping[str, tuple[Operation, int]]] = {
    "create": ("upsert", Rank.CREATE),
    "update": ("upsert", Rank.UPDATE),
    "patch": ("patch", Rank.UPDATE),
    "status": ("status", Rank.STATUS),
    "delete": ("delete", Rank.DELETE),
    "merge": ("merge", Rank.UPDATE),
    "rekey": ("rekey", Rank.UPDATE),
    "note": ("note", Rank.IDS),
}


def row(
    number: str,
    name: str,
    entity: str | None,
    does: str,
    *aliases: str,
    phase: int = 0,
    deprecated_for: str = "",
) -> EventRow:
    """Write one row of a vendor's table.

    Args:
        number: Id of the row in the requirements, such as `VF-01`.
        name: As the vendor prints it; its token is what is matched.
        entity: Canonical entity, or None for events that concern none.
        does: An operation; for an upsert `create` or `update`, which decides its rank.
        aliases: Other tokens of the same event.
        phase: Breaks ties among status events, 0 to 99.
        deprecated_for: Source to subscribe to instead, where the vendor announces the event's end.
    """
    operation, rank = _DOES[does]
    return EventRow(number, name, token(name), entity, operation, rank + phase, aliases, deprecated_for)


def tell_row(reading: Reading, known: EventRow) -> None:
    """Note in a reading how its event's name was understood."""
    if known.deprecated_for:
        reading.deprecated_for = known.deprecated_for
    if known.tolerances:
        reading.tolerances = distinct(reading.tolerances, known.tolerances)
    if not known.row:
        reading.unknown_event = known.token


class EventTable:
    """Rows of one source, found by the name on the wire."""

    def __init__(
        self,
        rows: Iterable[EventRow],
        words: Mapping[str, str],
        shapes: Mapping[str, Shape],
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Lay out the rows by token.

        Args:
            rows: The vendor's table.
            words: The vendor's entity words as tokens -> canonical entity, for names in no row.
            shapes: What the source keeps; decides whether a verb can be taken at its word.
            aliases: An operator's: name as the vendor sends it -> name of a row.

        Raises:
            KeyError: An alias of no row.
        """
        rows = tuple(rows)
        self._rows: Final = {row.token: row for row in rows}
        printed = dict(self._rows)
        for row in rows:
            aliased = msgspec.structs.replace(row, tolerances=(EVENT_ALIAS,))
            self._rows.update((name, aliased) for name in row.aliases)
        for name, meant in (aliases or {}).items():
            row = printed[token(meant)]
            self._rows[token(name)[:_LONGEST]] = msgspec.structs.replace(row, tolerances=(ALIAS_GIVEN,))
        self._printed: Final = rows
        self._words: Final = words
        self._shapes: Final = shapes
        self.find: Final = lru_cache(maxsize=1024)(self._find)

    def aliased(self, aliases: Mapping[str, str]) -> Self:
        """Give the table with an operator's names in it; the table itself where there are none.

        Raises:
            KeyError: An alias of no row.
        """
        return type(self)(self._printed, self._words, self._shapes, aliases) if aliases else self

    def _find(self, name: str) -> EventRow:
        """Give the row a name means; `row` is empty where the vendor's table has none."""
        found = token(name)[:_LONGEST] or _NAMELESS
        if (row := self._rows.get(found)) is not None:
            return row
        for verb, operation, rank, needed in _VERBS:
            entity = self._words.get(found.removesuffix(verb)) if found.endswith(verb) else None
            if entity is None:
                continue
            if not needed or not self._shapes[entity].facets.keys().isdisjoint(needed):
                return EventRow("", name, found, entity, operation, rank, tolerances=(EVENT_BY_RULE,))
        return EventRow("", name, found, None, "note", Rank.IDS)
