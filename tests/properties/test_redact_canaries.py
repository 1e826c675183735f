"""Whatever a body looks like, a credential does not survive and nothing else changes."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.redact import redact

NAMES = ("integrationKey", "clientKey", "ftpPassword")
CANARY = "CANARY"
NEAR = ("clientKeyId", "xclientKey", 'clientKey"', '"clientKey', "\\clientKey", "ftp", "client Key")


@st.composite
def _in_any_case(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    upper = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(a.upper() if up else a.lower() for a, up in zip(name, upper, strict=True))


SPICE = st.text(st.sampled_from("\"\\{}[],:'/\n ø\u2028\U0001f600anu0"), max_size=6)
FREE = st.text(st.sampled_from('"\\{}[],:/\n øu0nrt2x'), max_size=8)
SECRETS = st.tuples(SPICE, SPICE).map(lambda pair: f"{pair[0]}{CANARY}{pair[1]}")
SCALARS = st.none() | st.booleans() | st.integers() | FREE
CREDENTIALS = (
    SECRETS
    | st.integers()
    | st.none()
    | st.booleans()
    | st.lists(SECRETS, max_size=2)
    | st.dictionaries(FREE, SECRETS | st.lists(SECRETS, max_size=2), max_size=2)
)


class _Credential:
    """A value that must go."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"credential {self.value!r}"


class _Nested:
    """JSON text inside a string."""

    def __init__(self, value: Any, style: tuple[bool, bool, bool]) -> None:
        self.value, self.style = value, style

    def __repr__(self) -> str:
        return f"text of {self.value!r} {self.style}"


STYLES = st.tuples(st.booleans(), st.booleans(), st.booleans())


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.dictionaries(FREE | st.sampled_from(NEAR), values, max_size=3)
    secret = st.dictionaries(_in_any_case(), CREDENTIALS.map(_Credential), max_size=2)
    return st.tuples(plain, secret).map(lambda pair: {**pair[0], **pair[1]})


BODIES = st.recursive(
    SCALARS,
    lambda inner: (
        _objects(inner)
        | st.lists(inner, max_size=3)
        | st.builds(_Nested, _objects(inner) | st.lists(_objects(inner), max_size=2), STYLES)
    ),
    max_leaves=8,
)
ENVELOPES = st.tuples(_objects(BODIES), STYLES)


def _plain(value: Any, *, masked: bool) -> Any:
    """Turn a drawn value into what `json` writes, its credentials as they are or masked."""
    if isinstance(value, _Credential):
        stays = value.value is None or isinstance(value.value, bool)
        return "***" if masked and not stays else value.value
    if isinstance(value, _Nested):
        return _written(value.value, value.style, masked=masked)
    if isinstance(value, dict):
        return {name: _plain(one, masked=masked) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, masked=masked) for one in value]
    return value


def _written(value: Any, style: tuple[bool, bool, bool], *, masked: bool) -> str:
    ascii_only, spaced, dotnet = style
    text = json.dumps(
        _plain(value, masked=masked),
        ensure_ascii=ascii_only,
        indent="\t" if spaced else None,
        separators=(" ,", " : ") if spaced else (",", ":"),
    )
    if dotnet:  # System.Text.Json writes a quote inside text so
        text = re.sub(r"\\.", lambda escape: "\\u0022" if escape[0] == '\\"' else escape[0], text)
    return text


@settings(max_examples=300, deadline=None)
@given(ENVELOPES)
def test_a_body_is_what_it_would_be_had_the_vendor_sent_three_stars(
    envelope: tuple[Any, tuple[bool, bool, bool]],
) -> None:
    body = _written(*envelope, masked=False).encode()

    redacted, names = redact(body, NAMES)

    assert redacted == _written(*envelope, masked=True).encode()
    assert bool(names) == (redacted != body) or b"***" in body
    assert redact(redacted, NAMES)[0] == redacted


@settings(max_examples=300, deadline=None)
@given(ENVELOPES, st.data())
def test_a_body_cut_off_anywhere_shows_no_part_of_a_credential(
    envelope: tuple[Any, tuple[bool, bool, bool]], data: st.DataObject
) -> None:
    body = _written(*envelope, masked=False).encode()
    cut = data.draw(st.integers(0, len(body)))

    redacted, _ = redact(body[:cut], NAMES)

    assert b"CAN" not in redacted


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')


@settings(deadline=None)
@given(
    st.dictionaries(_in_any_case(), SECRETS, min_size=1, max_size=3),
    st.dictionaries(FREE, SCALARS, max_size=3),
    STYLES,
    st.integers(0, 3),
    st.data(),
)
def test_missing_punctuation_saves_no_credential(
    secrets: dict[str, str],
    others: dict[str, Any],
    style: tuple[bool, bool, bool],
    depth: int,
    data: st.DataObject,
) -> None:
    text = _written({**others, **secrets}, style, masked=False)
    for _ in range(depth):
        text = _written({"data": text}, style, masked=False)
    lost = data.draw(st.sets(st.sampled_from("{}[],"), max_size=5))
    body = _TOKENS.sub(lambda hit: "" if hit[0] in lost else hit[0], text)

    redacted, _ = redact(body.encode(), NAMES)

    assert CANARY.encode() not in redacted


@given(st.binary(max_size=200), st.sampled_from([b'"clientKey":"', b'\\"ClientKey\\" : \\"']))
def test_any_bytes_are_survived(noise: bytes, start: bytes) -> None:
    for body in (noise, start + noise, noise + start, noise + start + noise):
        redacted, names = redact(body, NAMES)

        assert (redacted == body) == (not names) or b"***" in body
