"""A source's table of fields, laid out so that conversion looks up one name per field.

Names bind as printed. Another case finds the same column by a second look, which is how conversion learns
of it without asking for every field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from connector.entities import ARRAYS
from connector.entities.fields import Element, Entity, Field, Kind

DROPPED: Final = ""
"""Instead of a column: a field that is known and not kept, such as a credential."""
EXTRAS: Final = "extras"
"""Instead of a column: a field that is known and kept in `extras`; it is not counted as unknown."""

Table: TypeAlias = Mapping[str, str]
Convert: TypeAlias = "Callable[[Any], Any]"
_CACHED_NAMES: Final = 1024
_SECRET: Final = ("bank", "national_id")
"""Classes of personal data that `extras` may never carry."""


class Bound(msgspec.Struct, frozen=True):
    """What becomes of one vendor field."""

    column: str = ""
    """The column's or element's name; empty for a field without one."""
    kind: Kind | None = None
    convert: Convert | None = None
    """For columns of one value that is not a date."""
    secret: bool = False
    """Whether its value, or one inside it, may not stand in `extras`."""
    inner: Names | None = None
    """Fields of an inner object, or of each element of an array column."""
    elements: tuple[str, ...] = ()
    printed: Bound | None = None
    """Set where the name came in another case: what becomes of it in the printed one."""


class Names(dict[str, Bound]):
    """Vendor names as printed -> what becomes of them; another case is found once and remembered."""

    def __init__(self) -> None:
        self._lowered: dict[str, Bound] = {}

    def bind(self, name: str, bound: Bound) -> None:
        """Enter a printed name."""
        self[name] = bound
        self._lowered[name.lower()] = Bound(printed=bound)

    def __missing__(self, name: str) -> Bound:
        bound = self._lowered.get(name.lower(), UNKNOWN)
        if bound is not UNKNOWN and len(self) < _CACHED_NAMES:
            self[name] = bound
        return bound


UNKNOWN: Final = Bound()
IGNORED: Final = Bound()
KEPT: Final = Bound()
NOTHING: Final = Names()

_made: Final[dict[tuple[str, int], tuple[Table, Names]]] = {}
"""Bindings by entity and identity of the table; the table is held, so that its identity stays its own."""


def bindings(entity: Entity, table: Table, converts: Mapping[Kind, Convert]) -> Names:
    """Give the laid out table; made once for each table object."""
    made = _made.get((entity.name, id(table)))
    if made is None:
        made = _made[entity.name, id(table)] = (table, _bind(entity, table, converts))
    return made[1]


def _bind(entity: Entity, table: Table, converts: Mapping[Kind, Convert]) -> Names:
    """Turn a flat table into one mapping of names per level.

    Raises:
        KeyError: The table names a column or element the entity does not have.
    """
    fields: dict[str, Field | Element] = {field.name: field for field in entity.fields}
    for field in entity.fields:
        for element in ARRAYS[field.kind].elements if field.kind in ARRAYS else ():
            fields[f"{field.name}.{element.name}"] = element
    root = Names()
    for path in sorted(table, key=lambda path: path.count(".")):
        *outer, last = path.split(".")
        names = root
        for depth, part in enumerate(outer, 1):
            inner = names[part].inner if part in names else None
            if inner is None:
                inner = Names()
                secret = _secret(fields, table, ".".join(outer[:depth]))
                names.bind(part, Bound(secret=secret, inner=inner))
            names = inner
        names.bind(last, _bound(fields, table, path, converts))
    return root


def _bound(
    fields: Mapping[str, Field | Element], table: Table, path: str, converts: Mapping[Kind, Convert]
) -> Bound:
    if table[path] == DROPPED:
        return IGNORED
    if table[path] == EXTRAS:
        return KEPT
    field = fields[table[path]]
    array = ARRAYS.get(field.kind)
    return Bound(
        column=field.name,
        kind=field.kind,
        convert=converts.get(field.kind),
        secret=_secret(fields, table, path),
        inner=Names() if any(other.startswith(f"{path}.") for other in table) else None,
        elements=() if array is None else tuple(element.name for element in array.elements),
    )


def _secret(fields: Mapping[str, Field | Element], table: Table, path: str) -> bool:
    """Say whether a field, or one inside it, is a credential or of a class `extras` may not carry."""
    return any(
        column == DROPPED or (column != EXTRAS and fields[column].pii in _SECRET)
        for other, column in table.items()
        if other == path or other.startswith(f"{path}.")
    )
