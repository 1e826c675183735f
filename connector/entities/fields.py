"""What an entity is made of: columns, their Avro types and their class of personal data.

This is the single table behind `schemas/*.avsc`, masking, conversion and the generated documents.
Which vendor field feeds a column, and which facet it belongs to, is said by the source modules.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

import msgspec

Pii = Literal["none", "person", "contact", "bank", "national_id"]
"""Class of personal data; credentials have none because they never reach a column."""

MONEY: Final = (19, 4)
QUANTITY: Final = (28, 9)


class Kind(Enum):
    """Avro type of a column; the letter is the one of the entity tables."""

    STRING = "S"
    LONG = "L"
    BOOLEAN = "B"
    MONEY = "M"
    """decimal(19,4): amounts."""
    QUANTITY = "Q"
    """decimal(28,9): rates, quantities, unit prices, weights."""
    DATE = "D"
    """Days since 1970-01-01; a business date without zone."""
    TIMESTAMP = "T"
    """timestamp-millis."""
    CARRIERS = "carriers"
    LINES = "lines"
    MERGED = "merged"
    ALLOCATIONS = "allocations"


class Field(msgspec.Struct, frozen=True):
    """One column; nullable with default null."""

    name: str
    kind: Kind
    doc: str
    pii: Pii = "none"
    identifier: bool = False
    """Repeated on a DELETE record as a courtesy."""


class Entity(msgspec.Struct, frozen=True):
    """One canonical entity = one topic `<prefix>.changelog.<name>`."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    phases: tuple[str, ...] = ()
    """Order of the elements of the set `phases`; the greatest seen shows as `furthest_phase`."""

    @property
    def record_name(self) -> str:
        """Avro record name: `voucher_line` -> `VoucherLine`."""
        return "".join(part.capitalize() for part in self.name.split("_"))


class Element(msgspec.Struct, frozen=True):
    """A field of a record that stands inside an array column."""

    name: str
    kind: Kind
    doc: str
    pii: Pii = "none"
    required: bool = False


class Array(msgspec.Struct, frozen=True):
    """The record type inside an array column; `connector.entities.ARRAYS` maps `Kind` to it."""

    record_name: str
    doc: str
    elements: tuple[Element, ...]
    sorted_by: str = ""
    """Element an array made from a set is keyed and sorted by; empty where the vendor's order is kept."""


def text(name: str, doc: str, pii: Pii = "none", *, identifier: bool = False) -> Field:
    """Give a text column; ids and vendor vocabularies are text too."""
    return Field(name, Kind.STRING, doc, pii, identifier)


def whole(name: str, doc: str, *, identifier: bool = False) -> Field:
    """Give an integer column."""
    return Field(name, Kind.LONG, doc, "none", identifier)


def flag(name: str, doc: str) -> Field:
    """Give a boolean column."""
    return Field(name, Kind.BOOLEAN, doc)


def money(name: str, doc: str) -> Field:
    """Give an amount, decimal(19,4)."""
    return Field(name, Kind.MONEY, doc)


def quantity(name: str, doc: str) -> Field:
    """Give a rate, quantity or unit price, decimal(28,9)."""
    return Field(name, Kind.QUANTITY, doc)


def date(name: str, doc: str) -> Field:
    """Give a business date without zone."""
    return Field(name, Kind.DATE, doc)


def instant(name: str, doc: str) -> Field:
    """Give a point in time, milliseconds."""
    return Field(name, Kind.TIMESTAMP, doc)


def hash_of(name: str) -> Field:
    """Give the companion of a masked column: with it masked values can still be joined.

    It is filled only while masking is on, and only by the masking itself.
    """
    return text(
        f"{name}_hash", f"Keyed hash of `{name}`, hexadecimal; equal inputs of a tenant are equal here."
    )
