"""Bodies made to cost: as large as the door lets in, and each of one kind. Time and memory stay bounded."""

import time
import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest
from fuzzed import Fuzzed
from mutations import seeds

from connector.sources import SOURCES

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

MIB = 1_048_576
SLOWEST_S = 3.0
"""Processor time of one body: far more than any needs, far less than a walk that is not linear would."""
PEAK_BYTES = 160 * MIB
"""Seen: 110 MiB, by an id of 450,000 letters that is escaped before it is refused; all others need half."""
PLACES = 6
"""Where in the golden bodies of a source each value is put."""

HOSTILE = {
    "nested arrays": b"[" * 450_000 + b"]" * 450_000,
    "nested arrays without an end": b"[" * 900_000,
    "nested objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "arrays side by side": b"[" + b"[]," * 300_000 + b"[]]",
    "an endless whole number": b"9" * 900_000,
    "an endless fraction": b"1." + b"3" * 900_000,
    "an exponent nobody can hold": b"1e999999999",
    "an exponent below nothing": b"-1E-9999999999999999",
    "many long numbers": b"[" + b",".join([b"9" * 64] * 13_000) + b"]",
    "one long string": b'"' + b"a" * 900_000 + b'"',
    "one string of escapes": b'"' + b"\\u0000" * 150_000 + b'"',
    "one string of backslashes": b'"' + b"\\\\" * 450_000 + b'"',
    "one string of letters beyond ASCII": b'"' + "Ø".encode() * 450_000 + b'"',
    "a string without an end": b'"' + b"a" * 900_000,
    "one name again and again": b"{" + b'"id":1,' * 128_000 + b'"id":2}',
    "one name in both cases": b'{"id":1,"ID":2}',
    "many names": b"{" + b",".join(b'"n%d":1' % number for number in range(19_000)) + b"}",
    "half a character": b'"\\ud800"',
    "many halves of characters": b'"' + b"\\ud800" * 150_000 + b'"',
    "halves in the wrong order": b'"\\udc00\\ud800"',
    "half a character as bytes": b'"\xed\xa0\x80"',
    "half a character as a name": b'{"\\ud800":"\\udfff"}',
}


def bodies(source: str, value: bytes, places: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Put a value where another one was, JSON text inside JSON included."""
    chance, known = Random(f"{source}/hostile"), seeds(source)
    for _ in range(places):
        seed = chance.choice(known)
        start, end = chance.choice(seed.tokens)
        word = value
        if seed.body[start : start + 1] == b"\\":
            word = word.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        yield (seed.body[:start] + word + seed.body[end:])[:MIB], seed.headers


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("source", SOURCES)
def test_a_body_made_to_cost_is_used_or_refused_in_bounded_time_and_memory(source: str, kind: str) -> None:
    """R-07: nesting, numbers, strings, names and halves of characters, up to the size the door lets in."""
    fuzzed = Fuzzed(source)
    for body, headers in bodies(source, HOSTILE[kind], PLACES):
        began = time.process_time()
        fuzzed.take(body, headers)
        took_s = time.process_time() - began
        assert took_s < SLOWEST_S, body[:300]

    tracemalloc.start()
    try:
        for body, headers in bodies(source, HOSTILE[kind], 2):
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            fuzzed.take(body, headers)
            assert tracemalloc.get_traced_memory()[1] - held < PEAK_BYTES, body[:300]
    finally:
        tracemalloc.stop()
    assert fuzzed.ends
