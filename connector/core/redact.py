r"""Credentials out of the bytes, before anything is produced.

Works on bytes by field name, so that unreadable bodies are covered too and every other byte stays.
Duett sends its model as JSON text inside JSON, where a quote is `\"` or, as .NET writes it, `\u0022`;
one level deeper it is `\\\"`. A string of level n ends at a quote whose backslashes, halved n times,
leave an even number, so counting them is all the parsing there is. Linear in the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

MASK: Final = b"***"

_BLANK: Final = rb"(?:[ \t\r\n]|\\++[nrt])*+"
_colon: Final = re.compile(_BLANK + rb":" + _BLANK).match
# The lookbehind lets a run of backslashes be read from its first one only, so each byte is read once.
_RUN: Final = rb'(?<!\\)(\\*+)"|(?<!\\)(\\++)[uU]0022'
_quote: Final = re.compile(rb'(\\*+)"|(\\++)[uU]0022').match
_quotes: Final = re.compile(_RUN)
_structure: Final = re.compile(_RUN + rb"|([\[{])|([\]}])")
_bare: Final = re.compile(rb'[^,}\]"\\\r\n]++').match
_outer_end: Final = re.compile(_BLANK + rb"(?:[,}\]:]|\Z)").match
_inner_end: Final = re.compile(_BLANK + rb'(?:[,}\]:\\"]|\Z)').match
_hidden_letter: Final = re.compile(rb"\\u00[4-7]").search
_PLAIN: Final = (
    (b'"', re.compile(rb'"[ \t\r\n]*+:[ \t\r\n]*+"([^"\\]*+)"').match),
    (rb"\"", re.compile(rb'\\"[ ]*+:[ ]*+\\"([^"\\]*+)\\"').match),
)
_CODED: Final = 5
"""Bytes of `u0022`."""
_BACKSLASH: Final = 0x5C
_ALIKE: Final = 3
"""Names with so many first letters in common are searched for together."""


def redact(body: bytes, names: Sequence[str], *, plain: bool = False) -> tuple[bytes, tuple[str, ...]]:
    r"""Replace the values of credentials by `***`, at any depth and in any case of the name.

    Text becomes `***` between its own quotes, a number or an inner object the text `***`; null, true
    and false stay. A string that never ends is replaced up to the end of the body.

    Args:
        body: Anything; it need not be JSON.
        names: Names of fields, whole: `clientKey` does not mean `clientKeyId`.
        plain: Whether it is known that nothing is escaped but quotes, as in a `Flat` body: then no letter of
            a name is hidden, and nobody looks for one.

    Returns:
        The body, the same object where nothing was found, and the names whose values were replaced.

    Example:
        >>> redact(b'{"clientKey": "x", "data": "{\\"ClientKey\\":\\"y\\"}"}', ["clientKey"])
        (b'{"clientKey": "***", "data": "{\\"ClientKey\\":\\"***\\"}"}', ('clientKey',))
    """
    if (usual := _usual(body, _plan(tuple(names)), plain=plain)) is not None:
        return usual
    places = _places(body, tuple(names))
    kept, done, redacted = [], 0, []
    for start, end, name in sorted(places):
        if start < done or (cut := _plain(body, start, end) or _value(body, start, end)) is None:
            continue
        kept += [body[done : cut[0]], cut[2]]
        done = cut[1]
        redacted.append(name)
    if not redacted:
        return body, ()
    return b"".join([*kept, body[done:]]), tuple(dict.fromkeys(redacted))


def _usual(body: bytes, plan: _Plan, *, plain: bool) -> tuple[bytes, tuple[str, ...]] | None:
    """Do it where each name stands once at most, in this order, outside and without blanks: the usual body.

    Without patterns and lists of places it costs half; None where any condition is not met.
    """
    lowered = body.lower()
    if not plain and _hidden_letter(lowered):
        return None
    for kin in plan.kin_search:
        if kin(lowered):
            return None
    kept: list[bytes] = []
    redacted: tuple[str, ...] = ()
    done = 0
    for name, needle, member in plan.alone:
        times = lowered.count(needle)
        if not times:
            continue
        at = lowered.find(member)
        begin = at + len(member)
        end = body.find(b'"', begin)
        if times > 1 or at < 1 or end < 0 or body[at - 1] == _BACKSLASH or body.find(b"\\", begin, end) >= 0:
            return None
        if begin < done:
            return None
        kept += (body[done:begin], MASK)
        redacted += (name,)
        done = end
    if not redacted:
        return body, ()
    kept.append(body[done:])
    return b"".join(kept), redacted


def _places(body: bytes, names: tuple[str, ...]) -> list[tuple[int, int, str]]:
    r"""Find where names stand, letters written as `\u004b` included."""
    lowered, places = body.lower(), []
    if _hidden_letter(lowered):
        for name in names:
            places += [(*hit.span(), name) for hit in _pattern(name).finditer(body)]
        return places
    for name, needle, _ in (plan := _plan(names)).alone:
        at = lowered.find(needle)
        while at >= 0:
            places.append((at, at + len(needle), name))
            at = lowered.find(needle, at + len(needle))
    for kin in plan.kin:
        places += [(*hit.span(), plan.names[hit[0]]) for hit in kin(lowered)]
    return places


class _Plan(NamedTuple):
    """How names are searched for: those that begin alike in one pass, at the cost of one of them."""

    alone: tuple[tuple[str, bytes, bytes], ...]
    """Name, what is searched for, and the same up to the value of a usual member."""
    kin: tuple[Callable[[bytes], Iterator[re.Match[bytes]]], ...]
    kin_search: tuple[Callable[[bytes], object], ...]
    names: dict[bytes, str]


@lru_cache(maxsize=32)
def _plan(names: tuple[str, ...]) -> _Plan:
    families: dict[bytes, list[tuple[str, bytes]]] = {}
    for name in names:
        families.setdefault(name.lower().encode()[:_ALIKE], []).append((name, name.lower().encode()))
    alone = tuple((*family[0], b'"%b":"' % family[0][1]) for family in families.values() if len(family) == 1)
    kin = [(first, family) for first, family in families.items() if len(family) > 1]
    patterns = [re.compile(re.escape(first) + _either(first, family)) for first, family in kin]
    return _Plan(
        alone,
        tuple(pattern.finditer for pattern in patterns),
        tuple(pattern.search for pattern in patterns),
        {needle: name for _, family in kin for name, needle in family},
    )


def _either(first: bytes, family: list[tuple[str, bytes]]) -> bytes:
    """Write a pattern for the rest of names; the longest first, since only a whole name counts."""
    rests = sorted((needle[len(first) :] for _, needle in family), key=len, reverse=True)
    return b"(?:%s)" % b"|".join(map(re.escape, rests))


@lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[bytes]:
    letters = (
        rf"(?:{re.escape(letter)}|(?<!\\)\\++u00(?:{ord(letter.lower()):02x}|{ord(letter.upper()):02x}))"
        for letter in name
    )
    return re.compile("".join(letters).encode(), re.IGNORECASE)


def _plain(body: bytes, start: int, end: int) -> tuple[int, int, bytes] | None:
    """Find a value without escapes on the two usual levels: nearly all, at a tenth of the cost."""
    for quote, member in _PLAIN:
        before = start - len(quote)
        if before > 0 and body.startswith(quote, before) and body[before - 1] != _BACKSLASH:
            hit = member(body, end)
            return None if hit is None else (hit.start(1), hit.end(1), MASK)
    return None


def _value(body: bytes, start: int, end: int) -> tuple[int, int, bytes] | None:
    """Find the value of the member whose name may stand at start:end; what to cut, what to put there."""
    mark = _mark_before(body, start)
    if not mark or not body.startswith(mark, end) or (colon := _colon(body, end + len(mark))) is None:
        return None
    at = colon.end()
    opening = _quote(body, at)
    if opening is not None:
        level = _level(opening)
        # Of a lower level: the string around this one ends here, and there is no value. In readable
        # JSON that is certain; elsewhere only what may follow such an end is taken for one.
        lower = level < _level(_quote(mark))
        if lower and (_inner_end if level else _outer_end)(body, opening.end()):
            return None
        return opening.end(), _end_of_string(body, opening.end(), level), MASK
    if body[at : at + 1] in (b"{", b"["):
        return at, _end_of_container(body, at, _level(_quote(mark))), mark + MASK + mark
    word = (bare := _bare(body, at)) and bare[0].rstrip()
    if not word or word.lower() in (b"null", b"true", b"false"):
        return None
    return at, at + len(word), mark + MASK + mark


def _mark_before(body: bytes, start: int) -> bytes:
    """Give the quote that ends at start with its backslashes; empty where there is none."""
    coded = body[start - 1 : start] != b'"'
    if coded and body[max(start - _CODED, 0) : start].lower() != b"u0022":
        return b""
    at = start - (_CODED if coded else 1)
    first = at
    while first > 0 and body[first - 1] == _BACKSLASH:
        first -= 1
    return b"" if coded and first == at else body[first:start]


def _level(quote: re.Match[bytes] | None) -> int:
    """Say how many strings are around a quote that opens or closes one."""
    if quote is None:
        return 0
    run, level = len(quote[1] or quote[2] or b""), 0
    if quote[1] is None:
        run, level = _decoded(run)
    return level + (run + 1).bit_length() - 1


def _decoded(run: int) -> tuple[int, int]:
    r"""Undo the levels up to the one where `\u0022` is a quote; backslashes then before it, that level."""
    level = 1
    while run % 2 == 0:
        run, level = run // 2, level + 1
    return (run - 1) // 2, level


def _ends(quote: re.Match[bytes], level: int) -> tuple[int, int] | None:
    """Say which string a quote inside one of this level ends, if any, and where its text ends."""
    run, at = len(quote[1] or quote[2] or b""), 0
    if quote[1] is None:
        run, at = _decoded(run)
    while run % 2:
        run, at = (run - 1) // 2, at + 1
    return (at, quote.start() + (run << at)) if at <= level else None


def _end_of_string(body: bytes, start: int, level: int) -> int:
    for quote in _quotes.finditer(body, start):
        if (ends := _ends(quote, level)) is not None:
            return ends[1]
    return len(body)


def _end_of_container(body: bytes, start: int, level: int) -> int:
    depth, inside = 0, False
    for hit in _structure.finditer(body, start):
        if hit[3] is None and hit[4] is None:
            ends = _ends(hit, level)
            if ends is not None and ends[0] < level:
                return ends[1]
            inside ^= ends is not None
        elif not inside:
            depth += 1 if hit[3] else -1
            if depth == 0:
                return hit.end()
    return len(body)
