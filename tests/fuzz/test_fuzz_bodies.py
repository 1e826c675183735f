"""Broken bodies through receive, normalise and compact: refused by name or used, never anything else.

`CONNECTOR_TEST_FUZZ` says how many bodies per source, `CONNECTOR_TEST_FUZZ_SEED` which ones.
"""

import os
import resource
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from fuzzed import SAMPLE, Fuzzed
from mutations import GOLDEN, Mutations

from connector.sources import SOURCES

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

BODIES = int(os.environ.get("CONNECTOR_TEST_FUZZ", "100000"))
SEED = int(os.environ.get("CONNECTOR_TEST_FUZZ_SEED", "1"))
ENOUGH = 20_000
"""From so many bodies on every end must have been met, and caches must be full."""
SLOWEST_S = 3.0
"""Processor time of one body; 0.3 s was the most that was seen."""
GROWTH_BYTES = 128 * 1_048_576
"""What a process may still grow by after its first bodies, however many follow."""
MEMORY_BODIES = 3000
PEAK_BYTES = 96 * 1_048_576


def resident_bytes() -> int:
    """Give the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(fuzzed: Fuzzed, bodies: int, seed: int, kept: Path, done: int = 0) -> float:
    """Take bodies; give the processor seconds of the slowest. What breaks the code is kept as a file."""
    slowest = 0.0
    for body, headers in islice(Mutations(fuzzed.source.name, seed), min(done, bodies), bodies):
        began = time.process_time()
        try:
            fuzzed.take(body, headers)
        except BaseException:
            (kept / "body").write_bytes(body)
            print(f"\nbody {fuzzed.bodies} of seed {seed}, kept in {kept}: {headers} {body[:2000]!r}")
            raise
        slowest = max(slowest, time.process_time() - began)
    return slowest


@pytest.mark.parametrize("source", SOURCES)
def test_a_broken_body_is_used_noted_or_refused_by_name(source: str, tmp_path: Path) -> None:
    """R-07: a changelog record, a line of history or quarantine; and no exception but a refusal."""
    fuzzed = Fuzzed(source)
    began = time.process_time()

    slowest = fuzz(fuzzed, min(BODIES, ENOUGH), SEED, tmp_path)
    before = resident_bytes()
    slowest = max(slowest, fuzz(fuzzed, BODIES, SEED, tmp_path, done=ENOUGH))

    each_us = (time.process_time() - began) / max(BODIES, 1) * 1e6
    grown = resident_bytes() - before
    print(
        f"\n{source}: {BODIES} bodies, {each_us:.0f} us each, slowest {slowest:.2f} s, "
        f"grown by {grown >> 20} MiB, {dict(fuzzed.ends)}"
    )
    assert slowest < SLOWEST_S
    assert grown < GROWTH_BYTES
    assert {"applied", "duplicate", "stale", "unreadable", "limits"} <= set(fuzzed.ends) or BODIES < ENOUGH


@pytest.mark.parametrize("source", SOURCES)
def test_no_broken_body_needs_more_memory_than_a_few_dozen_of_its_size(source: str, tmp_path: Path) -> None:
    fuzzed = Fuzzed(source)
    fuzz(fuzzed, SAMPLE, SEED, tmp_path)
    large = [one for one in islice(Mutations(source, SEED), 20_000) if len(one[0]) > 1_000_000]
    tracemalloc.start()
    try:
        for body, headers in large:
            fuzzed.take(body, headers)
        fuzz(fuzzed, min(MEMORY_BODIES, BODIES), SEED + 1, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(large) >= 3, "the seed makes too few large bodies to say anything"
    assert peak < PEAK_BYTES


def test_every_golden_body_is_a_seed() -> None:
    bodies = {path.parent for path in GOLDEN.glob("*/*/body.*")}

    assert len(bodies) == sum(len(Mutations(source, 1)._seeds) for source in SOURCES)  # noqa: SLF001
    assert len(bodies) > 200
