"""Our bytes are fastavro's bytes, and every reader reads them."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from furniture import furnished
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.avro import FRAME_BYTES, Codec, scaled, unscaled
from connector.errors import NotEncodable
from connector.runtime.schemas import UNFRAMED, made

SCHEMAS = {name: schema for name, schema in made().items() if name != UNFRAMED}
MONEY = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**14), max_value=10**14)
QUANTITY = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**18), max_value=10**18)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
LONG = st.integers(-(2**63), 2**63 - 1)


def _values(avro: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911  one line per type of the contract
    if isinstance(avro, list):
        return st.none() | _values(avro[1])
    if avro == "string":
        return TEXT
    if avro == "long":
        return LONG
    if avro == "boolean":
        return st.booleans()
    kind = avro.get("logicalType")
    if kind == "decimal":
        return MONEY if avro["scale"] == 4 else QUANTITY
    if kind == "date":
        return st.integers(-100_000, 100_000)
    if kind == "timestamp-millis":
        return st.integers(-(2**53), 2**53)
    if avro["type"] == "enum":
        return st.sampled_from(avro["symbols"])
    if avro["type"] == "array":
        return st.lists(_record(avro["items"]), max_size=2)
    return _record(avro)


def _record(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({field["name"]: _values(field["type"]) for field in schema["fields"]})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_record_decodes_as_itself_and_its_bytes_are_fastavros(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SCHEMAS)))
    record = data.draw(_record(SCHEMAS[name]))
    codec = Codec(7, SCHEMAS[name])

    framed = codec.encode(dict(record))

    assert framed[:FRAME_BYTES] == b"\x00\x00\x00\x00\x07"
    assert codec.decode(framed) == record
    assert framed[FRAME_BYTES:] == _by_fastavro(SCHEMAS[name], record)


def _by_fastavro(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    """Encode with logical types on: fastavro prepares decimals itself, and takes integers for times."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


@given(MONEY)
def test_an_unscaled_decimal_reads_back(value: Decimal) -> None:
    assert scaled(unscaled(value, 4), 4) == value


def test_a_value_that_does_not_fit_its_column_is_refused_by_name_of_the_record_only() -> None:
    codec = furnished()[1].writer("voucher_line")

    with pytest.raises(NotEncodable, match=r"^VoucherLine: a value does not fit its column") as refusal:
        codec.encode({"meta_key": "k", "meta_version": "4711secret", "id": "1"})

    assert "4711secret" not in str(refusal.value)


def test_a_column_that_is_not_given_is_its_default() -> None:
    codec = furnished()[1].writer("item")
    given = {"meta_key": "k", "meta_source": "s", "meta_tenant": "t", "meta_version": 1, "id": "1"}

    read = codec.decode(codec.encode(dict(given)))

    assert {name: read[name] for name in given} == given
    assert read["name"] is None
    assert read["meta_op"] == "UNKNOWN"
