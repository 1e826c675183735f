from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connector.core.convert import DROPPED, Fill
from connector.core.join import canonical
from connector.core.read import decode
from connector.entities import ARRAYS
from connector.entities.fields import Entity, Field, Kind

ENTITY = Entity(
    "row",
    "A row for these tests.",
    (
        Field("word", Kind.STRING, "A word."),
        Field("count", Kind.LONG, "A whole number."),
        Field("active", Kind.BOOLEAN, "A flag."),
        Field("amount", Kind.MONEY, "An amount."),
        Field("rate", Kind.QUANTITY, "A rate."),
        Field("day", Kind.DATE, "A date."),
        Field("at", Kind.TIMESTAMP, "An instant."),
        Field("bank_account", Kind.STRING, "A bank account.", "bank"),
        Field("carriers", Kind.CARRIERS, "Carriers."),
    ),
)
TABLE = {
    "word": "word",
    "count": "count",
    "active": "active",
    "amount": "amount",
    "rate": "rate",
    "day": "day",
    "at": "at",
    "type.id": "word",
    "type.show": "active",
    "invoice.bankaccount": "bank_account",
    "payment.password": DROPPED,
    "carriers": "carriers",
    "carriers.id": "carriers.id",
    "carriers.carriertype.name": "carriers.carrier_type_name",
    "carriers.carriertype.usedinhour": "carriers.used_in_hour",
}


def fill(text: str) -> Fill:
    return Fill(ENTITY).take(decode(text.encode(), "test"), TABLE)


def column(name: str, literal: str) -> Any:
    """What one literal becomes, and what is kept of it besides."""
    filled = fill(f'{{"{name}":{literal}}}')
    return filled.columns.get(name), filled.extras.get(name)


def test_names_bind_in_any_case_and_inner_objects_by_their_path() -> None:
    """0.4, D-37."""
    for text in ('{"type":{"id":290,"show":true}}', '{"TYPE":{"Id":290,"SHOW":true}}'):
        assert fill(text).fields == {"word": "290", "active": True}


def test_what_has_no_column_is_kept_under_the_name_as_sent() -> None:
    """0.1: unknown fields never fail a record."""
    fields = fill('{"word":"x","NewThing":[1.50,null],"Type":{"Id":"7","newInner":{"a":1}}}').fields

    assert fields == {"word": "x", "extras": '{"NewThing":[1.50,null],"Type.Id":"7","Type.newInner":{"a":1}}'}


def test_null_is_the_same_as_absent() -> None:
    assert fill('{"word":null,"count":null,"unknown":null,"carriers":null,"type":null}').fields == {}


@pytest.mark.parametrize(
    ("literal", "value", "kept"),
    [
        ('"x"', "x", None),
        ('""', "", None),
        ('" "', " ", None),
        ("2050", "2050", None),
        ("10.50", "10.50", None),
        ("1e999999999", "1E+999999999", None),
        ("true", None, True),
        ('{"a":1}', None, {"a": 1}),
        ('"a\\u0000b"', "a\\u0000b", None),
    ],
)
def test_text_is_kept_as_it_is_and_numbers_become_text(literal: str, value: object, kept: object) -> None:
    assert column("word", literal) == (value, kept)


@pytest.mark.parametrize(
    ("literal", "value", "kept"),
    [
        ("1", 1, None),
        ('"12"', 12, None),
        ('" -12 "', -12, None),
        ("9223372036854775807", 2**63 - 1, None),
        ("-9223372036854775808", -(2**63), None),
        ("9223372036854775808", None, "9223372036854775808"),
        ('"9223372036854775808"', None, "9223372036854775808"),
        ("12.0", 12, None),
        ("1e5", 100_000, None),
        ("0e999999999", 0, None),
        ("12.5", None, "12.5"),
        ("1e999999999", None, "1E+999999999"),
        ("1e-999999999", None, "1E-999999999"),
        ('"12.0"', None, "12.0"),
        ('"x"', None, "x"),
        ('"१२"', None, "१२"),
        ("true", None, True),
    ],
)
def test_whole_numbers_are_int64_or_kept_as_text(literal: str, value: object, kept: object) -> None:
    assert column("count", literal) == (value, kept)


@pytest.mark.parametrize(
    ("literal", "value", "kept"),
    [("true", True, None), ("false", False, None), ('"true"', None, "true"), ("1", None, "1")],
)
def test_only_true_and_false_are_flags(literal: str, value: object, kept: object) -> None:
    assert column("active", literal) == (value, kept)


@pytest.mark.parametrize(
    ("literal", "value", "kept"),
    [
        ("11541.30", "11541.3000", None),
        ("1200", "1200.0000", None),
        ('"250000.00"', "250000.0000", None),
        ('" 12 "', "12.0000", None),
        ("1e5", "100000.0000", None),
        ("1.00000000", "1.0000", None),
        ("999999999999999.9999", "999999999999999.9999", None),
        ("-999999999999999.9999", "-999999999999999.9999", None),
        ("-0.0", "0.0000", None),
        ("0e999999999", "0.0000", None),
        ("1000000000000000", None, "1000000000000000"),
        ("0.00001", None, "0.00001"),
        ("1.23456", None, "1.23456"),
        ("1e999999999", None, "1E+999999999"),
        ("1e-999999999", None, "1E-999999999"),
        ('"1e999999999"', None, "1e999999999"),
        ('"2024-02-28T00:00:00"', None, "2024-02-28T00:00:00"),
        ('"1,5"', None, "1,5"),
        ('"NaN"', None, "NaN"),
        ('"Infinity"', None, "Infinity"),
        ('"1_0"', None, "1_0"),
        ('""', None, ""),
        ("true", None, True),
    ],
)
def test_amounts_are_exact_at_four_digits_or_kept_as_text(
    literal: str, value: str | None, kept: object
) -> None:
    """A-33, A-44: overflow and a fifth digit are never rounded away; a date in a rate is kept."""
    found, rest = column("amount", literal)

    assert (None if found is None else str(found), rest) == (value, kept)


def test_rates_have_nine_digits() -> None:
    assert str(column("rate", "1.123456789")[0]) == "1.123456789"
    assert str(column("rate", "1234567890123456789.123456789")[0]) == "1234567890123456789.123456789"
    assert column("rate", "1.1234567891") == (None, "1.1234567891")
    assert column("rate", "12345678901234567890") == (None, "12345678901234567890")


def test_a_number_of_a_mebibyte_costs_no_more_than_reading_it() -> None:
    digits = "1" * 4000
    started = time.process_time()

    assert column("amount", digits) == (None, digits)
    assert column("word", digits) == (digits, None)
    assert column("amount", f'"{"1" * (1 << 20)}"')[0] is None
    assert column("amount", "0." + "1" * (1 << 20))[0] is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("literal", "value", "kept"),
    [
        ('"2024-02-28T00:00:00.000"', 19_781, None),
        ('"2024-02-28"', 19_781, None),
        ('"2024-02-28T15:00:00"', 19_781, "2024-02-28T15:00:00"),
        ('"2024-02-30"', None, "2024-02-30"),
        ('"tomorrow"', None, "tomorrow"),
        ("20240228", None, "20240228"),
    ],
)
def test_dates_are_days_and_a_time_that_is_not_midnight_is_kept(
    literal: str, value: object, kept: object
) -> None:
    """A-32."""
    assert column("day", literal) == (value, kept)


def test_a_time_part_is_no_failure_and_a_date_that_does_not_exist_is_one() -> None:
    assert fill('{"day":"2021-10-27T15:00:00"}').warnings == []
    assert fill('{"Day":"2021-10-37"}').warnings == ["Day"]


def test_instants_are_milliseconds() -> None:
    assert column("at", '"1970-01-01T00:00:01.2345"') == (1234, None)
    assert column("at", '"1969-12-31T23:59:59.9999Z"') == (-1, None)
    assert column("at", "5") == (None, "5")


def test_arrays_hold_every_element_in_the_vendors_order() -> None:
    """D-62."""
    filled = fill(
        '{"carriers":[{"id":2,"carrierType":{"name":"A","usedInHour":"yes","id":18}},{"Id":"1","key":null}]}'
    )

    first, second = filled.columns["carriers"]
    assert (first["id"], first["carrier_type_name"], first["used_in_hour"]) == ("2", "A", None)
    assert second["id"] == "1"
    assert set(first) == set(second) == {element.name for element in ARRAYS[Kind.CARRIERS].elements}
    assert filled.extras == {
        "carriers[0].carrierType.usedInHour": "yes",
        "carriers[0].carrierType.id": 18,
    }
    assert filled.warnings == ["carriers[0].carrierType.usedInHour"]


@pytest.mark.parametrize("literal", ['"x"', '{"id":1}', "[1]", '[{"id":1},null]'])
def test_an_array_of_anything_else_is_kept_as_it_came(literal: str) -> None:
    filled = fill(f'{{"carriers":{literal}}}')

    assert "carriers" not in filled.columns
    assert filled.fields["extras"] == f'{{"carriers":{literal}}}'
    assert filled.warnings == ["carriers"]


def test_an_empty_array_is_a_value() -> None:
    assert fill('{"carriers":[]}').fields == {"carriers": []}


def test_of_two_spellings_of_one_field_the_first_wins_and_the_other_is_kept() -> None:
    """0.4: inside the model the first match wins, counted."""
    filled = fill('{"Count":1,"count":2,"day":"2024-02-28","DAY":"2024-02-29"}')

    assert filled.columns == {"count": 1, "day": 19_781}
    assert filled.extras == {"count": "2", "DAY": "2024-02-29"}
    assert filled.warnings == ["count", "DAY"]


def test_bank_numbers_and_credentials_never_reach_extras() -> None:
    """Security, section 7: `extras` carries no field of these classes."""
    for text in (
        '{"invoice":{"bankAccount":{"canary":1}}}',
        '{"invoice":{"bankAccount":"kept","BankAccount":"canary"}}',
        '{"invoice":"canary"}',
        '{"payment":{"password":"canary"}}',
        '{"payment":["canary"]}',
    ):
        filled = fill(text)

        assert "canary" not in repr(filled.fields)


def test_fields_that_did_not_convert_are_named_once_and_in_the_vendors_words() -> None:
    assert fill('{"Amount":"x","Type":5,"new":1,"active":"no"}').warnings == ["Amount", "Type", "active"]


def test_extras_hold_no_nul_as_text_or_as_escape() -> None:
    """Relational sinks refuse NUL, also as an escape in JSON."""
    extras = fill('{"new":"a\\u0000b\\\\u0000c\\\\\\u0000","\\u0000":1}').fields["extras"]

    assert msgspec.json.decode(extras) == {"new": "a\\u0000b\\u0000c\\\\u0000", "\\u0000": 1}


def test_extras_are_canonical_and_order_does_not_show() -> None:
    one, two = fill('{"b":1.50,"a":{"y":1,"x":2}}'), fill('{"a":{"x":2,"y":1},"b":1.50}')

    assert one.fields == two.fields == {"extras": '{"a":{"x":2,"y":1},"b":1.50}'}


def test_several_objects_fill_one_facet() -> None:
    filled = fill('{"word":"x"}').take({"n": 5, "word": "y"}, {"n": "count", "word": "word"})

    assert filled.fields == {"word": "x", "count": 5, "extras": '{"word":"y"}'}


def test_a_table_that_names_a_column_the_entity_lacks_fails_at_once() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        Fill(ENTITY).take({}, {"x": "nowhere"})


def test_no_value_of_a_column_is_a_float() -> None:
    fields = fill('{"amount":0.1,"rate":0.1,"count":1e3,"word":0.1,"new":0.1,"type":{"x":1e-3}}').fields

    assert fields["amount"] == Decimal("0.1")
    assert not any(isinstance(one, float) for one in fields.values())
    assert b"0.1" in canonical(fields)
