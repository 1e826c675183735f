"""Vendor fields -> columns; what does not fit is kept in `extras`, and nothing is rounded or guessed.

A table says which vendor field feeds which column. Its names are in lower case, since vendors' cases
differ; a dot steps into an inner object on the left, and into an array column on the right:

    {"vouchernumber": "voucher_number", "vouchertype.id": "voucher_type_id",
     "carriers": "carriers", "carriers.carriertype.name": "carriers.carrier_type_name"}

A field whose column is DROPPED goes nowhere, on purpose. No value passes through a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from connector.core.join import canonical
from connector.core.times import business_date, from_naive
from connector.entities import ARRAYS
from connector.entities.fields import MONEY, QUANTITY, Element, Entity, Field, Kind
from connector.model import TICKS_PER_MS, Fields

DROPPED: Final = ""
"""Instead of a column: a field that is known and not kept, such as a credential."""

Table: TypeAlias = Mapping[str, str]
_Convert: TypeAlias = "Callable[[Any], Any]"

_INT64: Final = 2**63
_integer: Final = re.compile(r"[+-]?[0-9]{1,19}").fullmatch
_number: Final = re.compile(r"[+-]?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,4})?").fullmatch
_nul: Final = re.compile(rb"(?<!\\)((?:\\\\)*+)\\u0000")
_CACHED_NAMES: Final = 1024
_SECRET: Final = ("bank", "national_id")
"""Classes of personal data that `extras` may never carry."""


def _text(value: Any) -> str | None:
    if type(value) is str:
        # Relational sinks fail on NUL: it is written as the six characters of its JSON escape.
        return value.replace("\0", "\\u0000") if "\0" in value else value
    return str(value) if type(value) in (int, Decimal) else None


def _long(value: Any) -> int | None:
    if type(value) is str:
        value = int(value) if _integer(value := value.strip()) else None
    elif type(value) is Decimal:
        # `adjusted` first: the whole number of 1e999999999 would fill the memory.
        whole = not value or (value.adjusted() < 19 and value == value.to_integral_value())  # noqa: PLR2004
        value = int(value) if whole and value else 0 if whole else None
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _boolean(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _timestamp(value: Any) -> int | None:
    try:
        return from_naive(value)[0] // TICKS_PER_MS if type(value) is str else None
    except ValueError:
        return None


def _decimal(precision: int, scale: int) -> _Convert:
    """Make a conversion to exactly `scale` digits; None where a digit would be lost."""
    exactly = Context(prec=precision, traps=[Inexact, InvalidOperation])
    unit, zero = Decimal(1).scaleb(-scale), Decimal(0).scaleb(-scale)

    def convert(value: Any) -> Decimal | None:
        if type(value) is not Decimal:
            if type(value) is str:
                if not _number(value := value.strip()):
                    return None
            elif type(value) is not int:
                return None
            value = Decimal(value)
        try:
            return value.quantize(unit, context=exactly) if value else zero  # -0 would be a second zero
        except ArithmeticError:
            return None

    return convert


_CONVERT: Final[dict[Kind, _Convert]] = {
    Kind.STRING: _text,
    Kind.LONG: _long,
    Kind.BOOLEAN: _boolean,
    Kind.MONEY: _decimal(*MONEY),
    Kind.QUANTITY: _decimal(*QUANTITY),
    Kind.TIMESTAMP: _timestamp,
}
_day: Final = lru_cache(maxsize=4096)(business_date)
_LONGEST_DATE: Final = 40
"""What the cache of dates keeps is bounded: longer texts are not dates."""


class _Bound(msgspec.Struct, frozen=True):
    """What becomes of one vendor field."""

    column: str = ""
    """The column's or element's name; empty for a field without one."""
    kind: Kind | None = None
    convert: _Convert | None = None
    """For columns of one value that is not a date."""
    secret: bool = False
    """Whether its value, or one inside it, may not stand in `extras`."""
    inner: _Names | None = None
    """Fields of an inner object, or of each element of an array column."""
    elements: tuple[str, ...] = ()


class _Names(dict[str, _Bound]):
    """Vendor names -> what becomes of them; names in another case are found once and remembered."""

    def __missing__(self, name: str) -> _Bound:
        bound = self.get(name.lower(), _UNKNOWN)
        if bound is not _UNKNOWN and len(self) < _CACHED_NAMES:
            self[name] = bound
        return bound


_UNKNOWN: Final = _Bound()
_IGNORED: Final = _Bound()
_NOTHING: Final = _Names()


class Fill:
    """Collects the columns of one facet from vendor objects.

    Args:
        entity: Whose columns are filled.

    Attributes:
        columns: What converted; a column without a value is not in it.
        extras: What did not, and what has no column, by the vendor's name as sent; inner fields as
            `voucherType.name`, fields of array elements as `carriers[0].name`.
        warnings: Names of fields that have a column and did not convert.
    """

    __slots__ = ("_entity", "columns", "extras", "warnings")

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self.columns: Fields = {}
        self.extras: dict[str, Any] = {}
        self.warnings: list[str] = []

    def take(self, mapping: Mapping[str, Any], table: Table) -> Fill:
        """Fill columns from a decoded vendor object, its names as sent; null is the same as absent.

        Where two fields feed one column the first one wins and the other is kept in `extras`.

        Args:
            mapping: From `connector.core.read.decode`.
            table: Not changed later: its bindings are made once.
        """
        self._walk(mapping, _bindings(self._entity, table), "", self.columns)
        return self

    @property
    def fields(self) -> Fields:
        """The facet's fields: columns, and `extras` as canonical JSON text where there are any."""
        if not self.extras:
            return dict(self.columns)
        text = canonical(self.extras)
        if rb"\u0000" in text:
            text = _nul.sub(rb"\1\\\\u0000", text)
        return {**self.columns, "extras": text.decode()}

    def _walk(self, mapping: Mapping[str, Any], names: _Names, path: str, into: Fields) -> None:
        for name, value in mapping.items():
            if value is None:
                continue
            bound = names[name]
            if bound.convert is not None and into.get(bound.column) is None:
                found = bound.convert(value)
                if found is not None:
                    into[bound.column] = found
                    continue
            if not self._special(bound, path + name, value, into):
                self._keep(bound, path + name, value)

    def _keep(self, bound: _Bound, name: str, value: Any) -> None:
        if bound is _UNKNOWN:
            self.extras.setdefault(name, value)
            return
        self.warnings.append(name)
        if not bound.secret:
            # A number as text: a reader of JSON would take it through a float.
            self.extras.setdefault(name, str(value) if type(value) in (int, Decimal) else value)

    def _special(self, bound: _Bound, name: str, value: Any, into: Fields) -> bool:
        """Deal with all but single values; False where the value does not fit."""
        if bound is _IGNORED:
            return True
        if bound.inner is not None and isinstance(value, dict) and not bound.elements:
            self._walk(value, bound.inner, f"{name}.", into)
            return True
        if into.get(bound.column) is not None:
            return False
        if bound.elements:
            return self._array(bound, name, value, into)
        return bound.kind is Kind.DATE and self._date(bound, name, value, into)

    def _array(self, bound: _Bound, name: str, value: Any, into: Fields) -> bool:
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            return False
        names = _NOTHING if bound.inner is None else bound.inner
        into[bound.column] = rows = [dict.fromkeys(bound.elements) for _ in value]
        for index, (one, row) in enumerate(zip(value, rows, strict=True)):
            self._walk(one, names, f"{name}[{index}].", row)
        return True

    def _date(self, bound: _Bound, name: str, value: Any, into: Fields) -> bool:
        if type(value) is not str or len(value) > _LONGEST_DATE:
            return False
        try:
            into[bound.column], midnight = _day(value)
        except ValueError:
            return False
        if not midnight:
            self.extras.setdefault(name, value)
        return True


_made: Final[dict[tuple[str, int], tuple[Table, _Names]]] = {}
"""Bindings by entity and identity of the table; the table is held, so that its identity stays its own."""


def _bindings(entity: Entity, table: Table) -> _Names:
    made = _made.get((entity.name, id(table)))
    if made is None:
        made = _made[entity.name, id(table)] = (table, _bind(entity, table))
    return made[1]


def _bind(entity: Entity, table: Table) -> _Names:
    """Turn a flat table into one mapping of names per level.

    Raises:
        KeyError: The table names a column or element the entity does not have.
    """
    fields: dict[str, Field | Element] = {field.name: field for field in entity.fields}
    for field in entity.fields:
        for element in ARRAYS[field.kind].elements if field.kind in ARRAYS else ():
            fields[f"{field.name}.{element.name}"] = element
    root = _Names()
    for path in sorted(table, key=lambda path: path.count(".")):
        *outer, last = path.split(".")
        names = root
        for depth, part in enumerate(outer, 1):
            inner = names[part].inner if part in names else None
            if inner is None:
                inner = _Names()
                names[part] = _Bound(secret=_secret(fields, table, ".".join(outer[:depth])), inner=inner)
            names = inner
        names[last] = _bound(fields, table, path)
    return root


def _bound(fields: Mapping[str, Field | Element], table: Table, path: str) -> _Bound:
    if table[path] == DROPPED:
        return _IGNORED
    field = fields[table[path]]
    array = ARRAYS.get(field.kind)
    return _Bound(
        column=field.name,
        kind=field.kind,
        convert=_CONVERT.get(field.kind),
        secret=_secret(fields, table, path),
        inner=_Names() if any(other.startswith(f"{path}.") for other in table) else None,
        elements=() if array is None else tuple(element.name for element in array.elements),
    )


def _secret(fields: Mapping[str, Field | Element], table: Table, path: str) -> bool:
    """Say whether a field, or one inside it, is a credential or of a class `extras` may not carry."""
    return any(
        column == DROPPED or fields[column].pii in _SECRET
        for other, column in table.items()
        if other == path or other.startswith(f"{path}.")
    )
