"""Bodies nobody would send: the golden ones, broken in one to three ways, always the same for one seed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOLDEN: Final = Path(__file__).parents[1] / "golden"
RARE: Final = 2_000
"""One body in so many is a large one: a mebibyte of something."""
_MIB: Final = 1_048_576

_LITERAL: Final = rb"-?[0-9][0-9.eE+-]*|true|false|null"
_outer: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|' + _LITERAL, re.DOTALL)
_inner: Final = re.compile(rb'\\"[^"\\]*\\"|' + _LITERAL)
_member: Final = re.compile(rb'(\\?")[A-Za-z_]+\1\s*:\s*(?:\1[^"\\]*\1|[0-9.]+|true|false|null)')

ODD: Final = (
    *(b"null", b"true", b"false", b"0", b"-1", b"-0", b"1e1", b"1.0", b"0.1", b"1e400", b"-1e-400"),
    *(b"9" * 19, b"9" * 63, b"9" * 64, b"9" * 65, b"1." + b"3" * 63, b"1e999999999", b"1E+9999999999999999"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"2147483648"),
    *(b"638974335577900000", b"3155378975999999999", b"3155378976000000000", b"621355968000000000", b"01"),
    *(b"NaN", b"Infinity", b"+1", b".5", b"1.", b"0x10", b"1_000", b"'a'", b"undefined", b"//", b"/**/"),
    *(b"{}", b"[]", b"[[]]", b"[{}]", b'{"":""}', b'{"a":1,"a":2}', b'{"a":1,"A":2}', b'[1,"a",null,{}]'),
    *(b'""', b'" "', b'"0"', b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\x"'),
    *(
        b'"\xc3\xa6"',
        b'"\xc3"',
        b'"\xed\xa0\x80"',
        b'"\xf5\x80\x80\x80"',
        b'"\x01"',
        b'"\x7f"',
        b'"\\n\\r\\t"',
    ),
    *(b'"..\\/..\\/x"', b'"%2e%2e%2f"', b'"v1/customer/%"', b'"v1/customer/%zz"', b'"v1/customer/%C3%28"'),
    *(
        b'"https://[::1/v1/customer/5"',
        b'"http://h/v1/customer/a?b#c"',
        b'"/"',
        b'"//"',
        b'"a/"',
        b'"///a/b"',
    ),
    *(b'"v1/customer/' + b"9" * 1100 + b'"', b'"v1/salesorder/SO/' + b"a/" * 40 + b'"'),
    *(b'"2024-02-30T25:61:61"', b'"2024-08-23T11:00:32.22169661234Z"', b'"9999-12-31T23:59:59.9999999Z"'),
    *(b'"0001-01-01T00:00:00"', b'"0000-00-00"', b'"1970-01-01T00:00:00+99:99"', b'"2016-12-31T23:59:60Z"'),
    *(
        b'"{}"',
        b'"[]"',
        b'"{\\"id\\":1}"',
        b'"{\\"Id\\":{}}"',
        b'"{\\"id\\":1,\\"ID\\":2}"',
        b'"{"',
        b'"\\"{}\\""',
    ),
    *(b'"Voucher"', b'"delete"', b'"Update"', b'"customer_changed"', b'"Account_Deleted"', b'"x" * 3'),
    *(b"[" * 31 + b"]" * 31, b"[" * 33 + b"]" * 33, b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 2000, b"]" * 50),
)
"""Values that stand where another was."""


class Seed(NamedTuple):
    """One golden body and its headers."""

    body: bytes
    headers: dict[str, str]
    tokens: tuple[tuple[int, int], ...]
    members: tuple[tuple[int, int], ...]


def _tokens(body: bytes) -> Iterator[tuple[int, int]]:
    """Find names and values, those inside JSON text included."""
    for hit in _outer.finditer(body):
        yield hit.span()
        if b'\\"' in hit[0]:
            yield from (inner.span() for inner in _inner.finditer(body, hit.start() + 1, hit.end() - 1))


def seeds(source: str) -> list[Seed]:
    """Read all golden bodies of a source."""
    found = []
    for case in sorted((GOLDEN / source).glob("*/endpoint.json")):
        (file,) = case.parent.glob("body.*")
        headers = case.parent / "headers.json"
        body = file.read_bytes()
        found.append(
            Seed(
                body,
                json.loads(headers.read_text()) if headers.exists() else {},
                tuple(_tokens(body)) or ((0, 0),),
                tuple(hit.span() for hit in _member.finditer(body)) or ((0, 0),),
            )
        )
    return found


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


class Mutations:
    """An endless row of broken bodies of one source."""

    def __init__(self, source: str, seed: int) -> None:
        """Start the row; equal seeds give equal rows."""
        self._chance: Final = Random(f"{source}/{seed}")
        self._seeds: Final = seeds(source)
        words = {one.body[start:end] for one in self._seeds for start, end in one.tokens}
        # Of two odd values one is JSON at least, so that bodies get beyond the first look.
        self._words: Final = [*sorted(words), *ODD, *filter(_is_json, ODD), *filter(_is_json, ODD)]
        self._ways: Final[tuple[Callable[[bytes, Seed], bytes], ...]] = (
            *(self._another_value,) * 10,
            *(self._another_character,) * 4,
            *(
                self._twin,
                self._twin,
                self._flip,
                self._flip,
                self._cut,
                self._hole,
                self._again,
                self._splice,
            ),
            *(self._bytes, self._deep, self._other_case),
        )

    def __iter__(self) -> Iterator[tuple[bytes, dict[str, str]]]:
        """Give body and headers."""
        chance, pick = self._chance, self._chance.random
        while True:
            seed = self._seeds[int(pick() * len(self._seeds))]
            body = self._ways[int(pick() * len(self._ways))](seed.body, seed)
            while pick() < 0.3:
                body = self._ways[int(pick() * len(self._ways))](body, seed)
            if pick() * RARE < 1:
                body = self._large(body, seed)
            headers = seed.headers
            if headers and pick() < 0.1:
                name = chance.choice([*headers])
                headers = {**headers, name: chance.choice(("", " ", "\n", "9" * 400, "\x00é", "2024", "-1"))}
            yield body, headers

    def _place(self, places: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        return places[int(self._chance.random() * len(places))]

    def _at(self, body: bytes) -> int:
        return int(self._chance.random() * len(body))

    def _another_value(self, body: bytes, seed: Seed) -> bytes:
        start, end = self._place(seed.tokens)
        word = self._words[int(self._chance.random() * len(self._words))]
        if body[start : start + 1] == b"\\":  # inside JSON text
            word = word.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        return body[:start] + word + body[end:]

    def _another_character(self, body: bytes, seed: Seed) -> bytes:
        """Replace one inside a value by one of its kind: mostly still JSON, with another time, id or word."""
        start, end = self._place(seed.tokens)
        at = start + int(self._chance.random() * (end - start))
        digit = body[at : at + 1].isdigit()
        kind = b"0123456789" if digit else b"aeZ_/.- %,"
        return body[:at] + kind[int(self._chance.random() * 10) :][:1] + body[at + 1 :]

    def _twin(self, body: bytes, seed: Seed) -> bytes:
        start, end = self._place(seed.members)
        member = body[start:end]
        if self._chance.random() < 0.5:
            member = member.swapcase()
        return body[:end] + b"," + member + body[end:]

    def _flip(self, body: bytes, _: Seed) -> bytes:
        flipped = bytearray(body)
        for _n in range(int(self._chance.random() * 4) + 1 if body else 0):
            flipped[self._at(body)] ^= 1 << int(self._chance.random() * 8)
        return bytes(flipped)

    def _cut(self, body: bytes, _: Seed) -> bytes:
        return body[: self._at(body)]

    def _hole(self, body: bytes, _: Seed) -> bytes:
        at = self._at(body)
        return body[:at] + body[at + int(self._chance.random() * 40) :]

    def _again(self, body: bytes, _: Seed) -> bytes:
        at = self._at(body)
        piece = body[at : at + int(self._chance.random() * 200)]
        return body[:at] + piece * (1 + int(self._chance.random() * 3)) + body[at:]

    def _splice(self, body: bytes, _: Seed) -> bytes:
        other = self._seeds[int(self._chance.random() * len(self._seeds))].body
        return body[: self._at(body)] + other[self._at(other) :]

    def _bytes(self, body: bytes, _: Seed) -> bytes:
        at = self._at(body)
        return body[:at] + self._chance.randbytes(int(self._chance.random() * 8)) + body[at:]

    def _deep(self, body: bytes, _: Seed) -> bytes:
        levels = int(self._chance.random() * 40)
        opened, closed = (b"[", b"]") if self._chance.random() < 0.7 else (b'{"PayLoad":', b"}")
        return opened * levels + body + closed * levels

    def _other_case(self, body: bytes, _: Seed) -> bytes:
        return body.upper() if self._chance.random() < 0.5 else body.lower()

    def _large(self, body: bytes, seed: Seed) -> bytes:
        start, end = self._place(seed.tokens)
        piece = self._chance.choice(
            (
                b'"a"',
                b'"\\u0000"',
                b"[",
                b"1",
                b"[],",
                b'{"a":',
                b'"',
                b"\\",
                b'"a":1,',
                b" ",
                b'\\"',
                b"\xff",
                b"{}",
            )
        )
        whole = piece * (_MIB // len(piece))
        if piece.startswith(b'"') and self._chance.random() < 0.5:
            whole = b'"' + piece.strip(b'"').replace(b'"', b"") * (_MIB // len(piece)) + b'"'
        return body[:start] + whole[:_MIB] + body[end:]
