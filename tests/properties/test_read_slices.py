"""The cheap ways to look at bytes agree with a plain, slow reading of the same JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core import read
from connector.core.read import check, decode, duplicated, elements, fold, members, repair
from connector.errors import AmbiguousKeys, OverLimits, Unreadable

TEXT = st.text(st.sampled_from('"\\{}[],:/\n \r\tøabAB\u2028\U0001f600'), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")])


class Pairs(list[tuple[str, Any]]):
    """An object whose members are kept as they stand, twins included."""


@st.composite
def written(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    value, separators = draw(values), draw(STYLES)
    indent = draw(st.sampled_from([None, 1]))
    return json.dumps(value, separators=separators, indent=indent, ensure_ascii=draw(st.booleans())).encode()


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def nodes(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(nodes, inner))


def digits(value: Any) -> int:
    if isinstance(value, (dict, list)):
        return max(map(digits, value.values() if isinstance(value, dict) else value), default=0)
    return len(str(abs(value))) if isinstance(value, int) and not isinstance(value, bool) else 0


@settings(max_examples=400, deadline=None)
@given(written(VALUES), st.integers(0, 8), st.integers(1, 24), st.integers(1, 20))
def test_limits_are_exact_wherever_they_stand(
    body: bytes, max_depth: int, max_nodes: int, max_digits: int
) -> None:
    value = json.loads(body)
    allowed = depth(value) <= max_depth and nodes(value) <= max_nodes and digits(value) <= max_digits

    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(read, "MAX_DEPTH", max_depth)
        smaller.setattr(read, "MAX_NODES", max_nodes)
        smaller.setattr(read, "MAX_DIGITS", max_digits)
        smaller.setattr(read, "_TOO_LONG", b"0" * (max_digits + 1))
        smaller.setattr(read, "_SAMPLED", b"0" * ((max_digits + 1) // read._STRIDE))  # noqa: SLF001  as it is made
        if allowed:
            check(body)
        else:
            with pytest.raises(OverLimits):
                check(body)


def _twins(body: bytes) -> bool:
    """Say, by another reader, whether the outermost object names a member twice."""
    pairs = json.loads(body, object_pairs_hook=Pairs)
    return isinstance(pairs, Pairs) and len({name for name, _ in pairs}) < len(pairs)


NAMES = st.sampled_from(["a", "b", "A", "ø", "", '"', "\\", "a\\"])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), STYLES, st.data())
def test_twins_in_the_envelope_are_found_and_nothing_else(
    pairs: list[tuple[str, Any]], separators: tuple[str, str], data: st.DataObject
) -> None:
    ascii_only = data.draw(st.booleans())
    comma, colon = separators
    pieces = []
    for name, value in pairs:
        text = json.dumps(name, ensure_ascii=ascii_only)
        if data.draw(st.booleans()):
            text = text.replace("a", "\\u0061")
        pieces.append(text + colon + json.dumps(value, separators=separators))
    body = ("{" + comma.join(pieces) + "}").encode()

    if _twins(body):
        for ask in (duplicated, lambda body: members(body, "x")):
            with pytest.raises(AmbiguousKeys):
                ask(body)
    else:
        duplicated(body)
        assert {name: json.loads(one) for name, one in members(body, "x").items()} == json.loads(body)


@given(written(VALUES))
def test_inner_twins_and_other_bodies_pass(body: bytes) -> None:
    duplicated(body)
    duplicated(b'{"x":' + body + b"}")


@given(st.lists(written(VALUES), max_size=4), STYLES)
def test_elements_are_the_bytes_between_the_commas(slices: list[bytes], separators: tuple[str, str]) -> None:
    body = b"[" + separators[0].encode().join(slices) + b"]"

    assert elements(b" \n" + body + b"\t", "x") == slices


@given(written(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4)))
def test_a_lone_object_is_its_own_element(body: bytes) -> None:
    assert elements(b"\xef\xbb\xbf " + body + b"\r\n", "x") == [body]


@given(written(VALUES))
def test_json_is_never_repaired(body: bytes) -> None:
    assert repair(body) is body


@settings(max_examples=300, deadline=None)
@given(written(st.dictionaries(TEXT, TEXT | VALUES, min_size=2, max_size=5)), st.data())
def test_a_lost_comma_behind_text_is_put_back_where_it_was(body: bytes, data: st.DataObject) -> None:
    value = json.loads(body)
    pretty = json.dumps(value, indent=1, ensure_ascii=False)
    lines = pretty.split("\n")
    losable = [at for at, line in enumerate(lines) if line.startswith(' "') and line.endswith('",')]
    broken = list(lines)
    for at in data.draw(st.sets(st.sampled_from(losable))) if losable else ():
        broken[at] = broken[at][:-1]

    assert repair("\n".join(broken).encode()) == pretty.encode()


@given(written(st.lists(VALUES, min_size=1, max_size=3) | st.dictionaries(TEXT, VALUES, min_size=1)))
def test_a_comma_too_many_goes_and_nothing_with_it(body: bytes) -> None:
    broken = body[:-1] + b"," + body[-1:]

    assert repair(broken) == body


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[],:"\\ \n1a'), max_size=40).map(str.encode))
def test_any_bytes_meet_only_the_declared_refusals(body: bytes) -> None:
    asked = (check, duplicated, repair)
    for ask in (*asked, *(lambda body, one=one: one(body, "x") for one in (decode, elements, members))):
        with contextlib.suppress(Unreadable, OverLimits, AmbiguousKeys):
            ask(body)
    mended = repair(body)
    if mended is not None:
        decode(mended, "x")


@given(st.dictionaries(TEXT, st.integers(), max_size=6))
def test_folding_keeps_every_member_or_refuses(mapping: dict[str, int]) -> None:
    try:
        folded = fold(mapping, "x")
    except AmbiguousKeys:
        assert len({name.lower() for name in mapping}) < len(mapping)
    else:
        assert sorted(folded.values()) == sorted(mapping.values())


def test_a_slice_that_is_cut_off_is_unreadable_everywhere() -> None:
    body = b'[{"a":"x"},{"b":[1,{"c":2}]}]'
    for cut in range(1, len(body)):
        with pytest.raises(Unreadable):
            elements(body[:cut], "x")
