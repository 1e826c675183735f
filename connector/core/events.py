"""A vendor's event table at work: which row a name on the wire means.

A name never fails an event. In the order of trust: a row of the table or one of its aliases; else a
known entity word followed by a known verb, if the source keeps that entity in a way the verb can change;
else a row without entity, which is history only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from connector.core.join import Rank
from connector.core.read import token
from connector.core.source import EventRow, Shape

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


def row(number: str, name: str, entity: str | None, does: str, *aliases: str, phase: int = 0) -> EventRow:
    """Write one row of a vendor's table.

    Args:
        number: Id of the row in the requirements, such as `VF-01`.
        name: As the vendor prints it; its token is what is matched.
        entity: Canonical entity, or None for events that concern none.
        does: An operation; for an upsert `create` or `update`, which decides its rank.
        aliases: Other tokens of the same event.
        phase: Breaks ties among status events, 0 to 99.
    """
    operation, rank = _DOES[does]
    return EventRow(number, name, token(name), entity, operation, rank + phase, aliases)


class EventTable:
    """Rows of one source, found by the name on the wire."""

    def __init__(
        self, rows: Iterable[EventRow], words: Mapping[str, str], shapes: Mapping[str, Shape]
    ) -> None:
        """Lay out the rows by token.

        Args:
            rows: The vendor's table.
            words: The vendor's entity words as tokens -> canonical entity, for names in no row.
            shapes: What the source keeps; decides whether a verb can be taken at its word.
        """
        self._rows: Final = {name: row for row in rows for name in (row.token, *row.aliases)}
        self._words: Final = words
        self._shapes: Final = shapes
        self.find: Final = lru_cache(maxsize=1024)(self._find)

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
                return EventRow("", name, found, entity, operation, rank)
        return EventRow("", name, found, None, "note", Rank.IDS)
