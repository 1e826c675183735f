"""Bodies taken the whole way, whatever they hold: receive, normalise, compact; and what became of them."""

from collections import Counter
from typing import Final

from furniture import NOON_US, Bench, endpoint, furnished

from connector import flow
from connector.core.authenticate import Endpoint, vouch
from connector.core.changelog import guard
from connector.errors import REASONS
from connector.model import Callback, Outcome, Quarantined, RawRecord
from connector.sources import SOURCES

KNOWN: Final = 16
"""After so many bodies nothing is known any more: else all are stale behind one whose time was clamped."""
SAMPLE: Final = 50
"""Of so many bodies one has its records decoded and its states rebuilt."""


class Fuzzed:
    """Takes bodies of one source and counts their ends."""

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
        """Take one body; AssertionError if it ends otherwise than promised."""
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
            assert changelog.state(furnished()[1].decode(last.value, key.entity)) == one.known.state
