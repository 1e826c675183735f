"""Broken bodies through receive, normalise and compact: refused by name or used, never anything else.

`CONNECTOR_TEST_FUZZ` says how many bodies per source, `CONNECTOR_TEST_FUZZ_SEED` which ones.
"""

import os
import time
import tracemalloc
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from furniture import NOON_US, Bench, endpoint, furnished
from mutations import GOLDEN, Mutations

from connector import flow
from connector.core.authenticate import Endpoint, vouch
from connector.core.changelog import guard
from connector.errors import REASONS
from connector.model import Callback, Outcome, Quarantined, RawRecord
from connector.sources import SOURCES

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

BODIES = int(os.environ.get("CONNECTOR_TEST_FUZZ", "100000"))
SEED = int(os.environ.get("CONNECTOR_TEST_FUZZ_SEED", "1"))
KNOWN = 16
"""After so many bodies nothing is known any more: else all are stale behind one whose time was clamped."""
SAMPLE = 50
"""Of so many bodies one has its records decoded and its states rebuilt."""
ENOUGH = 20_000
"""From so many bodies on every end must have been met."""
MEMORY_BODIES = 3000
PEAK_BYTES = 96 * 1_048_576


class Fuzzed:
    """Takes bodies the whole way and remembers what became of them."""

    def __init__(self, name: str) -> None:
        self.source = SOURCES[name]
        self.desk = furnished()[0]
        loose = endpoint(name)
        companies = {"1000001", "bbbbbbbb-0000-4000-8000-000000000001"}
        bound = Endpoint(
            source=name, id="e1", tenant="acme", companies=frozenset(companies), schemes=loose.schemes
        )
        self.endpoints = (loose, loose, loose, bound)
        self.bench = Bench()
        self.ends: Counter[str] = Counter()
        self.bodies = 0

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        self.bodies += 1
        callback = Callback(self.source.name, "e1", headers, body, NOON_US, "01JFUZZ")
        authentic = vouch(callback, self.endpoints[self.bodies % 4])
        taken = flow.receive(authentic, self.source, self.desk.privacy)
        raws = [one for one in taken if isinstance(one, RawRecord)]
        for one in taken:
            if isinstance(one, Quarantined):
                assert one.reason in REASONS
                self.ends[one.reason] += 1
        if not taken:
            self.ends["nothing in it"] += 1
        if self.bodies % KNOWN == 0:
            self.bench.known.clear()
        while raws:
            outcomes = list(flow.carry(raws, self.source, self.bench, self.desk))
            assert len(outcomes) == len(raws)
            raws = [raw for one in outcomes for raw in self._look(one)]

    def _look(self, one: Outcome | Quarantined) -> list[RawRecord]:
        """Assert that an end is one of the promised ones; give what it forwards."""
        if isinstance(one, Quarantined):
            assert one.reason in REASONS
            assert one.reason != "not_encodable", "what was converted fits its column"
            self.ends[one.reason] += 1
            return []
        self.ends[one.verdict] += 1
        assert bool(one.records) == (one.verdict == "applied")
        assert one.history is not None or one.event.meta.origin == "forward"
        if one.records and self.bodies % SAMPLE == 0:
            self._rebuild(one)
        return [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]

    def _rebuild(self, one: Outcome) -> None:
        last, key = one.records[-1], one.event.key
        assert one.known is not None
        if last.value is None:
            assert guard(last.headers) == one.known.state
        elif key.entity in self.source.shapes:
            changelog = self.desk.changelogs[self.source.name, key.entity]
            assert changelog.state(furnished()[1].decode(last.value)) == one.known.state


def fuzz(fuzzed: Fuzzed, bodies: int, seed: int, kept: Path) -> float:
    """Take bodies; give the processor seconds of the slowest. What breaks the code is kept as a file."""
    slowest = 0.0
    for body, headers in islice(Mutations(fuzzed.source.name, seed), bodies):
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

    slowest = fuzz(fuzzed, BODIES, SEED, tmp_path)

    each_us = (time.process_time() - began) / max(BODIES, 1) * 1e6
    print(f"\n{source}: {BODIES} bodies, {each_us:.0f} us each, slowest {slowest:.2f} s, {dict(fuzzed.ends)}")
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
