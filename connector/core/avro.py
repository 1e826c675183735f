"""Avro bytes in Confluent's frame: byte 0, four bytes of schema id, the record.

Dates and timestamps are integers already, and decimals become unscaled bytes here. Reading is fastavro's,
with the logical types taken out of the schema. Writing is ours: fastavro tries the branches of every nullable
column, which was the largest single cost of the worker (33 µs of a record, ours 13; measured). The bytes are
fastavro's (a test proves it for every schema), and no naive datetime can sneak in.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

import fastavro
from fastavro.types import Schema

from connector.errors import NotEncodable

_FRAME: Final = struct.Struct(">bI")
FRAME_BYTES: Final = _FRAME.size
_EXACT: Final = Context(prec=64)
_UNENCODABLE: Final = (ValueError, TypeError, OverflowError, AttributeError)


def unscaled(value: Decimal, scale: int) -> bytes:
    """Give a decimal as big-endian two's complement of its unscaled integer.

    Example:
        >>> unscaled(Decimal("-1.2800"), 4).hex()
        'ce00'
    """
    number = int(value.scaleb(scale, _EXACT))
    return number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True)


def scaled(raw: bytes, scale: int) -> Decimal:
    """Read what `unscaled` wrote; the exponent is the column's scale."""
    return Decimal(int.from_bytes(raw, "big", signed=True)).scaleb(-scale, _EXACT)


def _plain(schema: Any) -> Any:
    """Copy a schema without logical types and without what only documents it."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "logicalType" in schema:
        return schema["type"]
    keep = {
        name: one for name, one in schema.items() if name not in ("doc", "pii", "x-facet", "x-vendor-name")
    }
    for name in ("type", "items", "values", "fields"):
        if name in keep:
            keep[name] = _plain(keep[name])
    return keep


def _decimals(fields: list[dict[str, Any]]) -> dict[str, int]:
    """Find the decimal columns of a flat record and their scales."""
    found = {}
    for field in fields:
        for one in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(one, dict) and one.get("logicalType") == "decimal":
                found[field["name"]] = one["scale"]
    return found


def _nested_decimals(fields: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Find array columns whose records hold decimals: column -> element -> scale."""
    found = {}
    for field in fields:
        for one in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(one, dict) and one.get("type") == "array" and isinstance(one["items"], dict):
                inside = _decimals(one["items"]["fields"])
                if inside:
                    found[field["name"]] = inside
    return found


_Write: TypeAlias = Callable[[Any], bytes]
_LISTED: Final = 256
"""Lengths of text whose heads are made once."""
_SHORT: Final = 0x7F
"""Greatest number in one byte of a varint."""


@lru_cache(maxsize=16_384)
def _varint(number: int) -> bytes:
    """Give a 64-bit whole number as Avro's int or long; times and lengths come again and again."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > _SHORT:
        out.append(rest & _SHORT | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _wholes(head: bytes, bits: int) -> _Write:
    limit = 1 << (bits - 1)

    def write(value: int) -> bytes:
        if type(value) is not int or not -limit <= value < limit:
            raise ValueError
        return head + _varint(value)

    return write


def _texts(head: bytes) -> _Write:
    def write(value: str) -> bytes:
        raw = value.encode()
        return head + _varint(len(raw)) + raw

    return write


def _amounts(head: bytes, scale: int) -> _Write:
    def write(value: Decimal) -> bytes:
        raw = unscaled(value, scale)
        return head + _varint(len(raw)) + raw

    return write


def _rows(head: bytes, schema: Mapping[str, Any]) -> _Write:
    form = _Form(schema["fields"])

    def write(value: list[Mapping[str, Any]]) -> bytes:
        rows = [form.written(row) for row in value]
        return b"".join((head, _varint(len(rows)), *rows, b"\0")) if rows else head + b"\0"

    return write


def _flags(head: bytes) -> _Write:
    listed = {True: head + b"\1", False: head + b"\0"}

    def write(value: bool) -> bytes:  # noqa: FBT001  a value, not a switch
        if type(value) is not bool:
            raise TypeError
        return listed[value]

    return write


def _symbols(head: bytes, symbols: Iterable[str]) -> _Write:
    listed = {symbol: head + _varint(at) for at, symbol in enumerate(symbols)}

    def write(value: str) -> bytes:
        if value not in listed:
            raise ValueError
        return listed[value]

    return write


def _writer(avro: Any, head: bytes) -> _Write:
    """Make the writer of one type; KeyError for a type outside the contract."""
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "bytes":
        return _amounts(head, avro["scale"])
    if kind == "array":
        return _rows(head, avro["items"])
    if kind == "enum":
        return _symbols(head, avro["symbols"])
    plain = {
        "string": lambda: _texts(head),
        "boolean": lambda: _flags(head),
        "int": lambda: _wholes(head, 32),
        "long": lambda: _wholes(head, 64),
    }
    return plain[kind]()


class _Form:
    """A record with every default filled in; what is given is written into its place.

    Most columns of most records are null, so the work is by what is there, not by what might be.
    """

    def __init__(self, columns: Iterable[Mapping[str, Any]], frame: bytes = b"") -> None:
        self._blank: list[bytes | None] = [frame]
        self._places: dict[str, tuple[int, tuple[bytes, ...], _Write]] = {}
        """Name -> place, for text the heads of short lengths, writer."""
        for column in columns:
            nullable = isinstance(column["type"], list)
            avro, head = (column["type"][1], b"\2") if nullable else (column["type"], b"")
            write, default = _writer(avro, head), column.get("default")
            heads = tuple(head + _varint(size) for size in range(_LISTED)) if avro == "string" else ()
            self._places[column["name"]] = (len(self._blank), heads, write)
            if default is not None:
                self._blank.append(write(default))
            else:
                self._blank.append(b"\0" if nullable else None)

    def written(self, record: Mapping[str, Any]) -> bytes:
        """Write one record; None counts as not given.

        Raises:
            TypeError: A column without default is not given, or a value is not of its type.
            KeyError: No such column.
        """
        parts, places = self._blank.copy(), self._places
        for name, value in record.items():
            if value is None:
                continue
            at, heads, write = places[name]
            if heads:  # two of three values are short texts: a call for each would cost as much again
                raw = value.encode()
                size = len(raw)
                parts[at] = heads[size] + raw if size < _LISTED else write(value)
            else:
                parts[at] = write(value)
        return b"".join(parts)  # type: ignore[arg-type]  # a None left in it is the TypeError promised


class Codec:
    """Writes and reads the records of one schema id."""

    def __init__(self, schema_id: int, schema: Mapping[str, Any]) -> None:
        """Compile a schema (a record without nested records but in arrays) under its locked id."""
        self.schema_id: Final = schema_id
        self.name: Final = str(schema["name"])
        self.columns: Final = tuple(str(field["name"]) for field in schema["fields"])
        self._decimals: Final = tuple(_decimals(schema["fields"]).items())
        self._nested: Final = _nested_decimals(schema["fields"])
        self._plain: Final[Schema] = fastavro.parse_schema(_plain(dict(schema)))
        self._form: Final = _Form(schema["fields"], _FRAME.pack(0, schema_id))

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Write one framed record; a column that is not given is its default.

        Raises:
            NotEncodable: A value outside what its column holds.
        """
        try:
            return self._form.written(record)
        except _UNENCODABLE as error:
            raise NotEncodable(
                self.name, f"a value does not fit its column ({type(error).__name__})"
            ) from None

    def decode(self, framed: bytes) -> dict[str, Any]:
        """Read one framed record of this schema; decimals come at their column's scale."""
        out = io.BytesIO(framed)
        out.seek(FRAME_BYTES)
        record: dict[str, Any] = fastavro.schemaless_reader(out, self._plain, None)  # type: ignore[assignment]  # a record schema gives a dict
        for name, scale in self._decimals:
            raw = record[name]
            if raw is not None:
                record[name] = scaled(raw, scale)
        for name, inside in self._nested.items():
            for row in record[name] or ():
                for element, scale in inside.items():
                    if row[element] is not None:
                        row[element] = scaled(row[element], scale)
        return record


Named: TypeAlias = Mapping[int, tuple[str, Mapping[str, Any]]]
"""Id -> (name, schema)."""


class Codecs:
    """Every schema that may be met, by name and id; one of each name writes."""

    def __init__(self, schemas: Named, *older: Named) -> None:
        """Take schemas under their ids, the one that writes last of its name; and `older` ids, to read by.

        Ids of two origins may be the same number for two names, so a name belongs to each.
        """
        self._by_name: Final[dict[str, dict[int, Codec]]] = {}
        for ids in (*older, schemas):
            for id_, (name, schema) in ids.items():
                self._by_name.setdefault(name, {})[id_] = Codec(id_, schema)
        self._writers: Final = {name: self._by_name[name][id_] for id_, (name, _) in schemas.items()}
        self.frames: Final = frozenset(_FRAME.pack(0, id_) for ids in (*older, schemas) for id_ in ids)
        """The first five bytes a known record may begin with."""

    def writer(self, name: str) -> Codec:
        """Give the codec that writes `name` (an entity, `event` or `identity`)."""
        return self._writers[name]

    def decode(self, framed: bytes, name: str) -> dict[str, Any]:
        """Read a framed record of `name`.

        Raises:
            KeyError: Its schema id is none of this name.
            ValueError: Not framed.
        """
        if len(framed) < FRAME_BYTES or framed[0] != 0:
            raise ValueError("not in Confluent's frame: byte 0 and a schema id are missing")
        return self._by_name[name][_FRAME.unpack_from(framed)[1]].decode(framed)
