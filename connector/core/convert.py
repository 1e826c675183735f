"""Vendor fields -> columns; what does not fit is kept in `extras`, and nothing is rounded or guessed.

A table says which vendor field feeds which column, by the names as printed; they bind in any case, and
another case than the printed one is noted. A dot steps into an inner object on the left, and into an array
column on the right:

    {"voucherNumber": "voucher_number", "voucherType.id": "voucher_type_id",
     "carriers": "carriers", "carriers.carrierType.name": "carriers.carrier_type_name"}

A field whose column is DROPPED goes nowhere, on purpose; one whose column is EXTRAS is known and has none. No
value passes through a float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from connector.core.binding import (
    DROPPED,
    EXTRAS,
    IGNORED,
    KEPT,
    NOTHING,
    UNKNOWN,
    Bound,
    Convert,
    Names,
    Table,
    bindings,
)
from connector.core.join import canonical
from connector.core.times import business_date, from_naive
from connector.core.tolerances import FIELD_TWICE, NAME_CASE, NOT_CONVERTED
from connector.entities.fields import MONEY, QUANTITY, Entity, Kind
from connector.model import TICKS_PER_MS, Fields

__all__ = ["DROPPED", "EXTRAS", "Fill"]

_INT64: Final = 2**63
_integer: Final = re.compile(r"[+-]?[0-9]{1,19}").fullmatch
_number: Final = re.compile(r"[+-]?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,4})?").fullmatch
_nul: Final = re.compile(rb"(?<!\\)((?:\\\\)*+)\\u0000")


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


def _decimal(precision: int, scale: int) -> Convert:
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


_CONVERT: Final[dict[Kind, Convert]] = {
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


class Fill:
    """Collects the columns of one facet from vendor objects.

    Args:
        entity: Whose columns are filled.

    Attributes:
        columns: What converted; a column without a value is not in it.
        extras: What did not, and what has no column, by the vendor's name as sent; inner fields as
            `voucherType.name`, fields of array elements as `carriers[0].name`.
        warnings: Names of fields that have a column and did not convert.
        unknown: Names of fields the table does not know.
        tolerances: What was bent: `name_case`, `field_twice`, `not_converted`, perhaps several times.
    """

    __slots__ = ("_entity", "columns", "extras", "tolerances", "unknown", "warnings")

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self.columns: Fields = {}
        self.extras: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.unknown: list[str] = []
        self.tolerances: list[str] = []

    def take(self, mapping: Mapping[str, Any], table: Table) -> Fill:
        """Fill columns from a decoded vendor object, its names as sent; null is the same as absent.

        Where two fields feed one column the first one wins and the other is kept in `extras`.

        Args:
            mapping: From `connector.core.read.decode`.
            table: Not changed later: its bindings are made once.
        """
        self._walk(mapping, bindings(self._entity, table, _CONVERT), "", self.columns)
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

    def _walk(self, mapping: Mapping[str, Any], names: Names, path: str, into: Fields) -> None:
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
                self._keep(bound, path + name, value, into)

    def _place(self, bound: Bound, name: str, value: Any, into: Fields) -> None:
        """Do with one value what `_walk` does with each, where speed does not matter."""
        found = None if bound.convert is None else bound.convert(value)
        if found is not None and into.get(bound.column) is None:
            into[bound.column] = found
        elif not self._special(bound, name, value, into):
            self._keep(bound, name, value, into)

    def _keep(self, bound: Bound, name: str, value: Any, into: Fields) -> None:
        if bound is UNKNOWN or bound is KEPT:
            self.extras.setdefault(name, value)
            if bound is UNKNOWN:
                self.unknown.append(name)
            return
        if bound.printed is not None:
            self.tolerances.append(NAME_CASE)
            self._place(bound.printed, name, value, into)
            return
        self.warnings.append(name)
        self.tolerances.append(NOT_CONVERTED if into.get(bound.column) is None else FIELD_TWICE)
        if not bound.secret:
            # A number as text: a reader of JSON would take it through a float.
            self.extras.setdefault(name, str(value) if type(value) in (int, Decimal) else value)

    def _special(self, bound: Bound, name: str, value: Any, into: Fields) -> bool:
        """Deal with all but single values; False where the value does not fit."""
        if bound is IGNORED:
            return True
        if bound.inner is not None and isinstance(value, dict) and not bound.elements:
            self._walk(value, bound.inner, f"{name}.", into)
            return True
        if into.get(bound.column) is not None:
            return False
        if bound.elements:
            return self._array(bound, name, value, into)
        return bound.kind is Kind.DATE and self._date(bound, name, value, into)

    def _array(self, bound: Bound, name: str, value: Any, into: Fields) -> bool:
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            return False
        names = NOTHING if bound.inner is None else bound.inner
        into[bound.column] = rows = [dict.fromkeys(bound.elements) for _ in value]
        for index, (one, row) in enumerate(zip(value, rows, strict=True)):
            self._walk(one, names, f"{name}[{index}].", row)
        return True

    def _date(self, bound: Bound, name: str, value: Any, into: Fields) -> bool:
        if type(value) is not str or len(value) > _LONGEST_DATE:
            return False
        try:
            into[bound.column], midnight = _day(value)
        except ValueError:
            return False
        if not midnight:
            self.extras.setdefault(name, value)
        return True
