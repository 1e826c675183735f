"""Values of a state file: as people write them, and back to what a state holds. A refusal never shows one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

from connector.core.times import business_date, from_iso, to_rfc3339
from connector.entities import ARRAYS
from connector.entities.fields import MONEY, QUANTITY, Kind
from connector.model import TICKS_PER_MS

_INT64: Final = 2**63
_DAY_TICKS: Final = 864_000_000_000


class Fault(Exception):
    """What is wrong, and where below the file."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")


def shown(kind: Kind | None, value: Any) -> Any:
    """Write one value of a column."""
    if kind in ARRAYS:
        kinds = {element.name: element.kind for element in ARRAYS[kind].elements}
        return [
            {name: None if one is None else shown(kinds[name], one) for name, one in row.items()}
            for row in value
        ]
    if kind is Kind.DATE:
        return to_rfc3339(value * _DAY_TICKS)[:10]
    if kind is Kind.TIMESTAMP:
        return to_rfc3339(value * TICKS_PER_MS)
    return format(value, "f") if isinstance(value, Decimal) else value


def members(told: Any, where: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Read an object that has no members but these; each may be missing.

    Raises:
        Fault: No object, or another member.
    """
    if not isinstance(told, dict):
        raise Fault(where, f"no object; write one with {', '.join(names)}")
    if strange := [name for name in told if name not in names]:
        raise Fault(
            where, f"member {list(told).index(strange[0]) + 1} is unknown; known are {', '.join(names)}"
        )
    return told


def whole(value: Any, where: str) -> int:
    """Read a whole number.

    Raises:
        Fault: It is none, or of more than 64 bits.
    """
    if type(value) is not int or not -_INT64 <= value < _INT64:
        raise Fault(where, "missing, or no whole number of 64 bits; write one")
    return value


_TYPES: Final[dict[Kind, tuple[type, str]]] = {
    Kind.STRING: (str, "write text"),
    Kind.LONG: (int, "write a whole number"),
    Kind.BOOLEAN: (bool, "write true or false"),
    Kind.MONEY: (str, 'write an amount as text, such as "12.5000"'),
    Kind.QUANTITY: (str, 'write a number as text, such as "12.500000000"'),
    Kind.DATE: (str, "write a date such as 2025-11-01"),
    Kind.TIMESTAMP: (str, "write a time such as 2025-11-01T12:00:00Z"),
}


def value(kind: Kind, told: Any, where: str) -> Any:
    """Read one value of a column.

    Raises:
        Fault: Of another type, or it does not fit.
    """
    if kind in ARRAYS:
        return _rows(kind, told, where)
    expected, remedy = _TYPES[kind]
    if type(told) is not expected:
        raise Fault(where, f"of another type; {remedy}, or leave it out")
    try:
        return _CONVERT.get(kind, _same)(told)
    except (ValueError, ArithmeticError):
        raise Fault(where, f"does not fit; {remedy}") from None


def _rows(kind: Kind, told: Any, where: str) -> list[dict[str, Any]]:
    elements = {element.name: element.kind for element in ARRAYS[kind].elements}
    if not isinstance(told, list):
        raise Fault(where, "no list; write a list of objects")
    rows = []
    for number, row in enumerate(told, 1):
        at = f"{where}[{number}]"
        said = members(row, at, tuple(elements))
        rows.append(
            {
                name: None if said.get(name) is None else value(inner, said[name], f"{at}.{name}")
                for name, inner in elements.items()
            }
        )
    return rows


def _same(value: Any) -> Any:
    return value


def _long(value: int) -> int:
    if not -_INT64 <= value < _INT64:
        raise ValueError("beyond 64 bits")
    return value


def _decimal(precision: int, scale: int) -> Callable[[str], Decimal]:
    exactly = Context(prec=precision, traps=[Inexact, InvalidOperation])

    def convert(text: str) -> Decimal:
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError("not a number")
        return number.quantize(Decimal(1).scaleb(-scale), context=exactly)

    return convert


_CONVERT: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.LONG: _long,
    Kind.DATE: lambda text: business_date(text)[0],
    Kind.TIMESTAMP: lambda text: from_iso(text) // TICKS_PER_MS,
    Kind.MONEY: _decimal(*MONEY),
    Kind.QUANTITY: _decimal(*QUANTITY),
}
