"""Bytes -> slices and values, within limits, saying where it failed.

Everything is linear in the body: no recursion over input, and no pattern that can look at a byte
more than a fixed number of times. A walk over bytes in Python costs 24 µs per KiB, so upper bounds
that C can count come first, and the exact count only where a bound is exceeded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from connector.errors import AmbiguousKeys, OverLimits, Unreadable

MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000
"""Values in one body, containers included, member names not."""
MAX_DIGITS: Final = 64

_value: Final = msgspec.json.Decoder(float_hook=Decimal)
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text: Final = msgspec.json.Decoder(str)

_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r\n"
_NUMERIC: Final = bytes(0x30 if byte in b"0123456789.eE+-" else byte for byte in range(256))
"""Makes every byte of a number a zero, so that one search finds a number that is too long."""
_TOO_LONG: Final = b"0" * (MAX_DIGITS + 1)
_STRIDE: Final = 8
_SAMPLED: Final = b"0" * ((MAX_DIGITS + 1) // _STRIDE)
"""What a number that is too long leaves of itself where only every eighth byte is looked at."""
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_NOT_DIGITS: Final = bytes(byte for byte in range(256) if byte not in b"0123456789")
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")

# Possessive (`*+`): nothing is given back, so a long string is read once and holds no stack.
# The closing quote is optional: otherwise an unclosed string would be read again from each quote in it.
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_CLOSED: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_numbers: Final = re.compile(rb"[0-9.eE+-]++")
_member: Final = re.compile(
    rb"[ \t\r\n]*+[{,][ \t\r\n]*+(" + _CLOSED + rb")[ \t\r\n]*+:[ \t\r\n]*+", re.DOTALL
)
_fault: Final = re.compile(
    rb"(" + _CLOSED + rb")(?=[ \t\r]*+\n[ \t\r\n]*+" + _CLOSED + rb"[ \t\r\n]*+:)"
    rb"|[\[{,][ \t\r\n]*+,"  # a comma with nothing before it is no trailing comma: left as it is
    rb"|(,)(?=[ \t\r\n]*+[}\]])|" + _STRING,
    re.DOTALL,
)
_not_token: Final = re.compile(r"[^A-Za-z0-9]+")
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)


def decode(body: bytes, where: str) -> Any:
    """Read JSON; a number that is no whole number becomes a Decimal made from its literal text.

    Args:
        body: UTF-8, already checked.
        where: Station and field, such as `duett.data`.

    Raises:
        Unreadable: Not JSON.
    """
    try:
        return _value.decode(body)
    except _UNREADABLE as error:
        raise Unreadable(where, _why(error)) from None


def check(body: bytes, where: str = "body") -> bool:
    """Bound what reading a body may cost; also to be asked of JSON text inside a string.

    Args:
        body: Anything; it need not be JSON.
        where: Station and field.

    Returns:
        Whether upper bounds were enough. They hold for every part of the body, and for a text inside it
        that stands there as it is.

    Raises:
        OverLimits: Deeper than 32, more than 20,000 values, or a number of more than 64 digits.
    """
    # Taking them away is quicker than counting: a search for one byte skips the others in great strides.
    others = len(body.replace(b"{", b"")) + len(body.replace(b"[", b""))
    opened = 2 * len(body) - others
    if (
        opened <= MAX_DEPTH
        and (len(body) < MAX_NODES or opened + body.count(b",") < MAX_NODES)
        and (_SAMPLED not in body[::_STRIDE].translate(_NUMERIC) or _TOO_LONG not in body.translate(_NUMERIC))
    ):
        return True
    # Without its escapes a body splits at the quotes: every second piece stands outside strings.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    bare = b'"'.join(bare.split(b'"')[::2]).translate(None, _BLANKS)
    brackets = bare.translate(_SQUARE, _NOT_BRACKETS)
    empty = bare.count(b"[]") + bare.count(b"{}")
    if 1 + brackets.count(b"[") - empty + bare.count(b",") > MAX_NODES:
        raise OverLimits(where, f"more than {MAX_NODES} values")
    for _ in range(MAX_DEPTH):  # each round takes the innermost level away
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise OverLimits(where, f"deeper than {MAX_DEPTH}")
    if _TOO_LONG in bare.translate(_NUMERIC) and any(map(_too_long, _numbers.findall(bare))):
        raise OverLimits(where, f"a number of more than {MAX_DIGITS} digits")
    return False


def _too_long(number: bytes) -> bool:
    return len(number.translate(None, _NOT_DIGITS)) > MAX_DIGITS


def duplicated(body: bytes, where: str = "envelope") -> None:
    """Refuse an object that names one member twice: a decoder would keep the last one in silence.

    Args:
        body: One object; anything else passes, `decode` speaks about it.
        where: Station and field.

    Raises:
        AmbiguousKeys: A name stands twice in the outermost object. Inner objects are not judged.
    """
    try:
        found = _object.decode(body)
    except _UNREADABLE:
        return
    _each_once(body, found, where)


def _each_once(body: bytes, found: dict[str, msgspec.Raw], where: str) -> None:
    """Compare what was found with what stands there.

    Without blanks the lengths of names, values and punctuation add up to the body's: a twin would
    make it longer. Otherwise walk from member to member by the length of each value: a twin is
    where the walk goes wrong.
    """
    lengths = sum(map(len, found)) + sum(map(len, found.values()))
    if not found or len(body.strip(_BLANKS)) == 1 + 4 * len(found) + lengths:
        return
    at, seen = 0, set()
    while hit := _member.match(body, at):
        name = _text.decode(hit[1])
        if name in seen or not body.startswith(value := bytes(found[name]), hit.end()):
            raise AmbiguousKeys(where, "a name stands twice")
        seen.add(name)
        at = hit.end() + len(value)
    if body[at:].strip(_BLANKS) != b"}":
        raise AmbiguousKeys(where, "a name stands twice")


def fold(mapping: dict[str, Any], where: str) -> dict[str, Any]:
    """Lower the names of one object, so that they bind whatever their case.

    Raises:
        AmbiguousKeys: Two names differ in case only.
    """
    folded = {name.lower(): value for name, value in mapping.items()}
    if len(folded) != len(mapping):
        raise AmbiguousKeys(where, "two names differ in case only")
    return folded


def elements(body: bytes, where: str) -> list[bytes]:
    """Cut a body into its events: exact slices, never written anew.

    Args:
        body: An object, or an array of anything.
        where: Station.

    Returns:
        The slices of an array's elements; an object alone; nothing for `[]` and `{}`. A BOM and
        blanks around the body belong to no slice.

    Raises:
        Unreadable: Neither object nor array, or an array that is not JSON. A lone object is not
            read here.
    """
    body = tidy(body)[0].strip(_BLANKS)
    if body[:1] == b"{":
        return [] if body[-1:] == b"}" and not body[1:-1].strip(_BLANKS) else [body]
    if body[:1] != b"[":
        raise Unreadable(where, "neither an object nor an array")
    try:
        return [bytes(one) for one in _array.decode(body)]
    except _UNREADABLE as error:
        raise Unreadable(where, _why(error)) from None


def members(body: bytes, where: str) -> dict[str, bytes]:
    """Cut an object into exact slices of its values, by name and in their order.

    Raises:
        Unreadable: Not an object, or not JSON.
        AmbiguousKeys: A name stands twice: one of the two values would be lost.
    """
    try:
        found = _object.decode(body)
    except _UNREADABLE as error:
        raise Unreadable(where, _why(error)) from None
    _each_once(body, found, where)
    return {name: bytes(value) for name, value in found.items()}


def tidy(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Strip one byte order mark, which no JSON may start with; flagged `bom`."""
    return (body[3:], ("bom",)) if body.startswith(_BOM) else (body, ())


def repair(body: bytes) -> bytes | None:
    """Mend the two faults of printed samples in one pass; the caller flags the event `repaired`.

    They are a missing comma between a string and the member name on the next line, and a comma
    before `}` or `]`. Text inside strings is never touched.

    Returns:
        The body itself if it is JSON already; None if the pass does not make it JSON.

    Source: Duett webhooks, the printed notification lacks a comma (D-38, A-29).
    """
    for text in (body, None):
        mended = _fault.sub(_mend, body) if text is None else text
        try:
            _value.decode(mended)
        except _UNREADABLE:
            continue
        return mended
    return None


def _mend(fault: re.Match[bytes]) -> bytes:
    if fault[1] is not None:
        return fault[1] + b","
    return b"" if fault[2] is not None else fault[0]


def token(name: str) -> str:
    """Reduce a vendor's name to what it is compared by: lower case, only a-z and 0-9.

    Example:
        >>> token("Customer_Updated") == token("CUSTOMER UPDATED") == "customerupdated"
        True
    """
    # A cache of texts from outside is bounded in entries and in the length of each.
    return _token(name) if len(name) <= 100 else _not_token.sub("", name).lower()  # noqa: PLR2004


@lru_cache(maxsize=1024)
def _token(name: str) -> str:
    return _not_token.sub("", name).lower()


def _why(error: Exception) -> str:
    """Say what is wrong without a word of the body."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, ArithmeticError):
        return "a number beyond every column"
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"
