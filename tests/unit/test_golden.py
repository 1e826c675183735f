"""Every golden case: the vendor's exact bytes in, what the product makes of them out.

A case is a folder `tests/golden/<source>/<case>/`: `body.json` (or `body.txt` where it is no JSON),
`endpoint.json` (tenant or tenants, companies, reading options), perhaps `headers.json`. Add those, run
`pytest tests/unit/test_golden.py --bless`, and read `expected.json` before you commit it.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector import flow
from connector.core.authenticate import Endpoint, Secret, UrlToken, vouch
from connector.core.avro import Codec
from connector.core.changelog import EntityChangelog, guard
from connector.core.privacy import Privacy
from connector.core.schema import changelog_schema, event_schema, identity_schema
from connector.core.source import Source
from connector.entities import ARRAYS, ENTITIES
from connector.model import Callback, EntityKey, Known, Outcome, Quarantined, RawRecord
from connector.runtime.endpoints import EndpointSettings
from connector.runtime.tuning import tuned
from connector.sources import SOURCES

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/endpoint.json"))
RECEIVED_US = 1_762_000_000_000_000
"""2025-11-01T12:26:40Z: later than every printed sample."""
PRIVACY = Privacy(b"golden digest key, not a secret!", ENTITIES)
CODECS = {
    name: Codec(number, changelog_schema(entity, SOURCES.values(), ARRAYS))
    for number, (name, entity) in enumerate(ENTITIES.items(), start=1)
}
EVENT, IDENTITY = Codec(101, event_schema()), Codec(102, identity_schema())
DESK = flow.Desk(
    privacy=PRIVACY,
    changelogs={
        (source.name, entity): EntityChangelog(
            source, ENTITIES[entity], ARRAYS, CODECS[entity], minimal_headers=False, max_bytes=1_000_000
        )
        for source in SOURCES.values()
        for entity in source.shapes
    },
    history=EVENT,
    identity=IDENTITY,
    max_bytes=1_000_000,
)
SHOWN_HEADERS = ("x-erp-successor", "x-erp-hidden", "x-erp-warn")
CONSTANT = (
    "meta_key",
    "meta_source",
    "meta_tenant",
    "meta_received_at",
    "delivery_id",
    "raw_topic",
    "raw_partition",
    "raw_offset",
)
USUALLY_FALSE = ("meta_detail_stale", "meta_clock_suspect", "meta_zone_assumed")


class View(dict[EntityKey, Known]):
    """What is known, by key."""

    glance = dict.get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember an outcome, as the worker's overlay does."""
        assert outcome.known is not None
        self[key] = outcome.known


def source_of(case: Path) -> Source:
    """Give the source of a case, with the reading options of its endpoint."""
    said = json.loads((case / "endpoint.json").read_text()).get("reading")
    endpoint = EndpointSettings(
        source=case.parent.name,
        id="golden",
        tenant="golden",
        authenticate={"url_token": "env:TOKEN"},
        reading=said,
    )
    return tuned([endpoint])[case.parent.name]


def receive(case: Path) -> tuple[bytes, list[RawRecord | Quarantined]]:
    settings = json.loads((case / "endpoint.json").read_text())
    endpoint = Endpoint(
        source=case.parent.name,
        id="golden",
        tenant=settings["tenant"],
        tenants=settings.get("tenants", {}),
        companies=frozenset(settings.get("companies", ())),
        schemes=(UrlToken((Secret(b"0123456789abcdef-golden"),)),),
    )
    (body,) = [path.read_bytes() for path in case.glob("body.*")]
    headers = case / "headers.json"
    callback = Callback(
        source=case.parent.name,
        endpoint="golden",
        headers=json.loads(headers.read_text()) if headers.exists() else {},
        body=body,
        received_us=RECEIVED_US,
        delivery_id="01GOLDEN",
    )
    return body, flow.receive(vouch(callback, endpoint), source_of(case), PRIVACY)


def told(case: Path) -> dict[str, Any]:
    """Say everything that becomes of a case, in the form of `expected.json`."""
    source = source_of(case)
    body, received = receive(case)
    raws = [one for one in received if isinstance(one, RawRecord)]
    view = View()
    carried: list[dict[str, Any]] = []
    for round_ in ("callback", "forwards", "forwards of forwards"):
        outcomes = list(flow.carry(raws, source, view, DESK))
        carried += [{"round": round_, **show(one)} for one in outcomes]
        raws = [
            RawRecord(forward.key, forward.body, forward.meta)
            for outcome in outcomes
            if isinstance(outcome, Outcome)
            for forward in outcome.forwards
        ]
    assert not raws
    return {"received": [show_received(one, body) for one in received], "carried": carried}


def show_received(one: RawRecord | Quarantined, body: bytes) -> dict[str, Any]:
    meta = one.meta
    shown: dict[str, Any] = {"key": one.key.text if isinstance(one, RawRecord) else one.key}
    if isinstance(one, Quarantined):
        shown.update(reason=one.reason, where=one.where, why=one.why)
    shown["body"] = "as received" if one.body == body else one.body.decode("utf-8", "replace")
    shown["of"] = f"{meta.index + 1}/{meta.count}"
    for name in ("event", "event_id", "flags", "redacted", "company_hash", "headers"):
        if value := getattr(meta, name):
            shown[name] = value
    return shown


def show(one: Outcome | Quarantined) -> dict[str, Any]:
    if isinstance(one, Quarantined):
        return {"key": one.key, "reason": one.reason, "where": one.where, "why": one.why}
    shown: dict[str, Any] = {"key": one.event.key.text, "verdict": one.verdict}
    if one.history is not None:
        shown["event"] = present(EVENT.decode(one.history))
    records = []
    for record in one.records:
        headers = {name: value.decode() for name, value in record.headers if name in SHOWN_HEADERS}
        codec = CODECS.get(record.key.entity, IDENTITY)
        value = None if record.value is None else present(codec.decode(record.value))
        records.append({"op": record.op, **headers, "value": value})
    if records:
        shown["records"] = records
    return shown


def present(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is null, usually false, or the same in every case."""
    return {
        name: plain(value)
        for name, value in record.items()
        if name not in CONSTANT and value is not None and not (value is False and name in USUALLY_FALSE)
    }


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return [{name: plain(one) for name, one in row.items()} for row in value]
    return value


def names() -> Iterator[str]:
    for case in CASES:
        yield f"{case.parent.name}/{case.name}"


@pytest.mark.parametrize("case", CASES, ids=names())
def test_the_case_becomes_what_was_blessed(case: Path, request: pytest.FixtureRequest) -> None:
    expected = case / "expected.json"
    text = json.dumps(told(case), indent=2, ensure_ascii=False) + "\n"
    if request.config.getoption("--bless"):
        expected.write_text(text)

    assert text == expected.read_text()


@pytest.mark.parametrize("case", CASES, ids=names())
def test_the_state_is_rebuilt_from_the_records_it_was_written_to(case: Path) -> None:
    source = source_of(case)
    view = View()
    raws = [one for one in receive(case)[1] if isinstance(one, RawRecord)]
    written = 0
    for outcome in flow.carry(raws, source, view, DESK):
        if not isinstance(outcome, Outcome) or not outcome.records:
            continue
        assert outcome.known is not None
        last = outcome.records[-1]
        if last.value is None:
            rebuilt = guard(last.headers)
        else:
            changelog = DESK.changelogs[source.name, last.key.entity]
            rebuilt = changelog.state(CODECS[last.key.entity].decode(last.value))
        written += 1
        assert rebuilt == outcome.known.state
    assert written or not view
