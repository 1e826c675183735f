from __future__ import annotations

import contextlib
import time
from decimal import Decimal

import pytest

from connector.core.read import (
    check,
    decode,
    duplicated,
    elements,
    fold,
    members,
    repair,
    tidy,
    token,
)
from connector.errors import AmbiguousKeys, OverLimits, Unreadable

MIB = 1 << 20
HOSTILE = {
    "deep arrays": b"[" * MIB,
    "deep objects": b'{"a":' * (MIB // 5),
    "commas": b"[" + b",".join([b"1"] * 200_000) + b"]",
    "blank commas": b", " * (MIB // 2),
    "commas in text": b'{"a":"' + b"," * MIB + b'"}',
    "long text": b'{"a":"' + b"x" * MIB + b'"}',
    "escaped quotes": b'{"a":"' + b'\\"' * (MIB // 2) + b'"}',
    "escaped quotes that never end": b'{"a":"' + b'\\"' * (MIB // 2),
    "backslashes": b"\\" * MIB,
    "backslashes in text": b'{"' + b"\\" * MIB,
    "quotes": b'"' * MIB,
    "names without values": b"{" + b'"":' * (MIB // 3),
    "lines of text": b'{"a":' + b'"a"\n' * (MIB // 4),
    "digits": b"1" * MIB,
    "many long numbers": (b"1" * 64 + b" ") * (MIB // 65),
    "blanks": b"[ " + b" " * MIB + b"]",
    "closing brackets": b"]" * MIB,
    "pairs": b"[]" * (MIB // 2),
    "members": b"{" + b",".join(b'"%d":1' % one for one in range(90_000)) + b"}",
    "twins": b"{" + b",".join([b'"a":1'] * 100_000) + b"}",
}


def test_numbers_are_read_from_their_literal_text_and_never_through_a_float() -> None:
    """0.6: one digit lost here is money lost."""
    read = decode(b"[99999999999999.9999, 0.1, 1e5, 638974335577900000, 18446744073709551616]", "x")

    assert read == [
        Decimal("99999999999999.9999"),
        Decimal("0.1"),
        Decimal("1E+5"),
        638974335577900000,
        2**64,
    ]
    assert [type(one) for one in read] == [Decimal, Decimal, Decimal, int, int]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b'{"a":1', "truncated"),
        (b"NaN", "invalid character"),
        (b"[1,]", "trailing comma"),
        (b'"\xff"', "not UTF-8"),
        (b'"\\ud800"', "truncated"),
        (b"[" * 5000, "nested too deeply"),
        (b"1e99999999999999999999", "beyond every column"),
        (b"\xef\xbb\xbf{}", "invalid character"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place_and_the_fault(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as refusal:
        decode(body, "duett.data")

    assert refusal.value.where == "duett.data"


def test_a_refusal_never_repeats_what_it_refuses() -> None:
    for body in (b'{"canary":canary}', b'{"canary" "canary"}', b'"canary\xff"', b"canary"):
        with pytest.raises(Unreadable) as refusal:
            decode(body, "x")

        assert "canary" not in str(refusal.value)


def test_a_body_at_the_limits_passes_and_one_above_does_not() -> None:
    check(b"[" * 32 + b"]" * 32)
    with pytest.raises(OverLimits, match="deeper than 32"):
        check(b"[" * 33 + b"]" * 33)
    with pytest.raises(OverLimits, match="deeper than 32"):
        check(b"[" * 33)
    check(b"[" + b",".join([b"1"] * 19_999) + b"]")
    with pytest.raises(OverLimits, match="20000 values"):
        check(b"[" + b",".join([b"1"] * 20_000) + b"]")
    check(b"[%s]" % (b"1" * 64))
    with pytest.raises(OverLimits, match="64 digits"):
        check(b"[%s]" % (b"1" * 65))


def test_only_what_stands_outside_text_counts() -> None:
    check(b'{"a":"' + b"[{" * 1000 + b'", "b":"' + b"," * 30_000 + b'", "c":"' + b"1" * 100 + b'"}')
    check(rb'["\"[[[[", "\\", "\\\"[[["' + b', "["' * 40 + b"]")


def test_text_that_closes_brackets_hides_no_depth() -> None:
    with pytest.raises(OverLimits, match="deeper"):
        check(b'["]",' * 40 + b"1" + b"]" * 40)


def test_digits_are_counted_without_point_and_exponent() -> None:
    check(b"[" + b"1" * 32 + b"." + b"1" * 30 + b"e+12]")
    with pytest.raises(OverLimits, match="digits"):
        check(b"[" + b"1" * 32 + b"." + b"1" * 31 + b"e-12]")


def test_a_wide_and_flat_body_passes_although_it_has_many_brackets() -> None:
    check(b"[" + b",".join([b'{"a":[1,2],"b":{}}'] * 3000) + b"]")


def test_a_body_of_many_containers_is_counted_exactly() -> None:
    check(b"[" + b",".join([b"[]"] * 19_999) + b"]")
    with pytest.raises(OverLimits):
        check(b"[" + b",".join([b"{ }"] * 20_000) + b"]")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "ask",
    [
        check,
        duplicated,
        repair,
        lambda body: decode(body, "x"),
        lambda body: elements(body, "x"),
        lambda body: members(body, "x"),
    ],
    ids=["check", "duplicated", "repair", "decode", "elements", "members"],
)
def test_a_hostile_mebibyte_costs_less_than_two_seconds(name: str, ask: object) -> None:
    """Far above what it takes (below 0.2 s); a quadratic walk takes minutes."""
    started = time.process_time()
    with contextlib.suppress(OverLimits, Unreadable, AmbiguousKeys):
        ask(HOSTILE[name])  # type: ignore[operator]  # parametrised with functions

    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":12,"a":1}',
        b'{"a":1,"a":12}',
        b'{ "a" : 1 ,\n "b":2, "a":1 }',
        b'{"a":"x","b":{"c":1},"a":"x"}',
        b'{"a":1,"\\u0061":2}',
        b'{"a\\\\":1,"b":2,"b":3}',
        b'{"a" :1,"b":2,"b":3}',
        b'{"":1,"":1}',
        b'{"a":[1,2],"a":[1]}',
        '{"ø":1,"ø":2}'.encode(),
    ],
)
def test_a_name_that_stands_twice_in_the_envelope_is_ambiguous(body: bytes) -> None:
    with pytest.raises(AmbiguousKeys):
        duplicated(body)
    with pytest.raises(AmbiguousKeys):
        members(body, "x")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b" { } ",
        b'{"a":1}',
        b'{"a":{"x":1,"x":2},"b":[{"c":1},{"c":2}]}',
        b'{"a":"\\"a\\":1","b":"a"}',
        b'{\r\n\t"a" : 1 , "b":\n[ 1 ]\r\n}\n',
        b'{"\\u0061":1,"b":2}',
        '{"ø":1,"Ø":2}'.encode(),
        b"[1,1]",
        b'{"a":1,"a"',
        b"",
    ],
)
def test_names_that_stand_once_inner_names_and_other_bodies_pass(body: bytes) -> None:
    duplicated(body)


def test_names_fold_to_lower_case_unless_two_become_one() -> None:
    """0.4."""
    assert fold({"NotificationId": 1, "event": 2}, "x") == {"notificationid": 1, "event": 2}
    with pytest.raises(AmbiguousKeys, match="case"):
        fold({"HookId": 1, "Hookid": 2}, "x")


def test_elements_are_exact_slices_of_the_body() -> None:
    """A-20, raw means raw."""
    first, second = b'{ "a" : 1.50 ,"b":"\\u00f8" }', b'{"a":[1, 2]}'

    assert elements(b" [ " + first + b" ,\r\n" + second + b" ]\n", "x") == [first, second]
    assert elements(b"\xef\xbb\xbf \t" + first + b"\r\n", "x") == [first]


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"{}", b"{ \n}", b"\xef\xbb\xbf{}"])
def test_an_empty_array_or_object_has_no_elements(body: bytes) -> None:
    assert elements(body, "x") == []


@pytest.mark.parametrize("body", [b"", b" ", b'"text"', b"1", b"null", b"[1,", b"[1}", b"a=1&b=2", b"<a/>"])
def test_what_is_neither_object_nor_readable_array_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        elements(body, "x")


def test_members_are_exact_slices_in_their_order() -> None:
    assert members(b'{ "b" : [ 1,2 ] ,"a":{"x": 1.0} }', "x") == {"b": b"[ 1,2 ]", "a": b'{"x": 1.0}'}
    assert list(members(b'{"b":1,"a":2}', "x")) == ["b", "a"]
    with pytest.raises(Unreadable):
        members(b"[1]", "x")


def test_one_byte_order_mark_is_stripped_and_noted() -> None:
    assert tidy(b"\xef\xbb\xbf\xef\xbb\xbf{}") == (b"\xef\xbb\xbf{}", ("bom",))
    assert tidy(b"{}") == (b"{}", ())


def test_names_are_compared_by_token() -> None:
    """0.3."""
    assert {token(one) for one in ("Customer_Updated", "customer_updated", "CUSTOMER UPDATED")} == {
        "customerupdated"
    }
    assert token("ClientMerged (beta)") == "clientmergedbeta"
    assert token("\u212aunde Ø1") == "unde1"  # the Kelvin sign is no k
    assert token("A" * 100_000) == "a" * 100_000
