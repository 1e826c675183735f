"""The pure stations with schemas made in memory, and a worker without Kafka: a map and a queue."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

from connector import flow
from connector.core.authenticate import Endpoint, Secret, UrlToken, vouch
from connector.core.avro import Codecs
from connector.core.changelog import EntityChangelog
from connector.core.identity import ENTITY as IDENTITY
from connector.core.privacy import Privacy
from connector.entities import ARRAYS, ENTITIES
from connector.flow import Desk
from connector.model import Callback, Facet, Known, Outcome, Position, Quarantined, RawRecord, State
from connector.runtime.endpoints import EndpointSettings
from connector.runtime.schemas import UNFRAMED, made
from connector.runtime.tuning import tuned
from connector.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connector.core.source import Source
    from connector.model import ChangeEvent, EntityKey

NOON_US: Final = 1_764_000_000_000_000
"""2025-11-24T16:00:00Z: every test callback arrives then unless it says otherwise."""
PROVENANCE: Final = frozenset(
    {
        "meta_received_at",
        "meta_event_id",
        "meta_event_type",
        "meta_clock_suspect",
        "meta_zone_assumed",
        "meta_detected_by",
        "meta_origin_client",
        "meta_origin_user",
        "meta_origin_connect",
        "meta_by_scheduler",
        "meta_vendor_tenant",
    }
)
"""Columns that name the event behind a record: not state, and not equal after a replay."""


@cache
def furnished() -> tuple[Desk, Codecs]:
    """Build the stations once per process."""
    schemas = {name: schema for name, schema in made().items() if name != UNFRAMED}
    codecs = Codecs({id_: (name, schema) for id_, (name, schema) in enumerate(schemas.items(), 1)})
    changelogs = {
        (source.name, entity): EntityChangelog(
            source,
            ENTITIES[entity],
            ARRAYS,
            codecs.writer(entity),
            minimal_headers=False,
            max_bytes=1_000_000,
        )
        for source in SOURCES.values()
        for entity in source.shapes
    }
    privacy = Privacy(b"a deployment key of 32 bytes ...", ENTITIES)
    return Desk(privacy, changelogs, codecs.writer("event"), codecs.writer("identity"), 1_000_000), codecs


def callback(source: str, body: bytes | object, **headers: str) -> Callback:
    """Make a callback as the door would; `headers` with `_` for `-`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Callback(source, "e1", named, raw, NOON_US, "01JDELIVERY")


def endpoint(source: str, tenant: str = "acme") -> Endpoint:
    """Make an endpoint that binds no company."""
    token = Secret.of(b"correct horse battery staple", "test")
    return Endpoint(source=source, id="e1", tenant=tenant, schemes=(UrlToken((token,)),))


def told_of(source: str, **reading: Any) -> dict[str, Source]:
    """Give the sources, with reading options of the one endpoint there is."""
    token = {"url_token": "env:TOKEN"}
    said = EndpointSettings(source=source, id="e1", tenant="acme", authenticate=token, reading=reading)
    return tuned([said])


def received(
    one: Callback, tenant: str = "acme", sources: Mapping[str, Source] = SOURCES
) -> list[RawRecord | Quarantined]:
    """Receive a callback whose proof is taken for granted."""
    authentic = vouch(one, endpoint(one.source, tenant))
    return flow.receive(authentic, sources[one.source], furnished()[0].privacy)


def raws(one: Callback, tenant: str = "acme", sources: Mapping[str, Source] = SOURCES) -> list[RawRecord]:
    """Receive a callback all of which must be usable."""
    taken = received(one, tenant, sources)
    assert all(isinstance(raw, RawRecord) for raw in taken), taken
    return [raw for raw in taken if isinstance(raw, RawRecord)]


class Bench:
    """A worker without Kafka: the same flow over a map of what is known; forwards come back as raws."""

    def __init__(self, sources: Mapping[str, Source] = SOURCES) -> None:
        self.sources = sources
        self.known: dict[str, Known] = {}
        self.outcomes: list[Outcome | Quarantined] = []

    def glance(self, key: EntityKey) -> Known | None:
        """Give clocks only, so that an event which keeps a field must ask for it."""
        if (known := self.known.get(key.text)) is None:
            return None
        facets = {name: Facet(one.version, one.rank) for name, one in known.state.facets.items()}
        return Known(State(known.state.deleted, facets, known.state.sets), known.timestamp_ms)

    def get(self, key: EntityKey) -> Known | None:
        return self.known.get(key.text)

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        assert outcome.known is not None
        self.known[key.text] = outcome.known

    def work(self, records: Iterable[RawRecord], chance: Random | None = None) -> Bench:
        """Carry records and everything they forward, in order or, given a chance, in any."""
        queue = list(records)
        while queue:
            raw = queue.pop(chance.randrange(len(queue)) if chance else 0)
            placed = RawRecord(raw.key, raw.body, raw.meta, Position(f"raw.{raw.key.source}", 0, 0))
            for one in flow.carry([placed], self.sources[raw.key.source], self, furnished()[0]):
                self.outcomes.append(one)
                if isinstance(one, Outcome):
                    queue += [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]
        return self

    def changelog(self) -> dict[str, dict[str, Any]]:
        """Give the compacted view by key: the state part of living entities, the clock of deleted ones."""
        view: dict[str, dict[str, Any]] = {}
        for one in self.outcomes:
            if not isinstance(one, Outcome) or one.event.key.entity == IDENTITY:
                continue
            for record in one.records:
                if record.value is None:
                    headers = dict(record.headers)
                    view[record.key.text] = {
                        "tombstone": headers["x-erp-version"],
                        "successor": headers.get("x-erp-successor"),
                    }
                else:
                    value = furnished()[1].decode(record.value, record.key.entity)
                    view[record.key.text] = {
                        column: held for column, held in value.items() if column not in PROVENANCE
                    }
        return view

    def row(self, key: str) -> dict[str, Any]:
        """Give the filled columns of one living entity."""
        return {column: held for column, held in self.changelog()[key].items() if held is not None}

    def verdicts(self) -> list[str]:
        """Give what became of each event, quarantine by its reason."""
        return [one.verdict if isinstance(one, Outcome) else one.reason for one in self.outcomes]


def read_event(sources: Mapping[str, Source], source: str, body: object, **headers: str) -> ChangeEvent:
    """Take a callback of one event through both roles."""
    bench = Bench(sources).work(raws(callback(source, body, **headers), sources=sources))
    (one,) = [one for one in bench.outcomes if isinstance(one, Outcome) and one.history is not None]
    return one.event
