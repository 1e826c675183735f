"""What an operator says of one endpoint's bodies: settings, names of events, and whom it concerns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from furniture import Bench, callback, endpoint, furnished, raws, read_event, received, told_of

from connector.cli import main
from connector.core.again import again
from connector.core.times import from_iso, to_rfc3339
from connector.errors import Misconfigured
from connector.model import Outcome, Quarantined, RawRecord
from connector.runtime import configuration
from connector.runtime.endpoints import EndpointSettings
from connector.runtime.tuning import tuned
from connector.sources import SOURCES

ORDER: Final = {"kind": "SALESORDER_CREATED", "order": {"nr": 41, "what": "SO"}, "at": "2025-06-02T10:00:00"}
POINTERS: Final = {"event": "/kind", "id": "/order/nr", "order_type": "/order/what", "time": "/at"}


def load(folder: Path, source: str, **reading: Any) -> Any:
    one = {
        "source": source,
        "id": "e1",
        "tenant": "acme",
        "authenticate": {"url_token": "env:T"},
        "reading": reading,
    }
    more = {"digest_key": "env:KEY"} if source == "duett" else {}
    file = folder / "connector.yaml"
    file.write_text(yaml.safe_dump({"endpoints": [one], **more}, sort_keys=False))
    return configuration.load(file)


@pytest.mark.parametrize(
    ("source", "reading", "told"),
    [
        ("quickfile", {"zone": "Oslo"}, "reading.zone: no such time zone; close are Europe/Oslo; write"),
        ("quickfile", {"zone": "europe/oslo"}, "reading.zone: no such time zone; close are Europe/Oslo"),
        ("quickfile", {"zone": "../../etc/passwd"}, "reading.zone: no such time zone; write an IANA name"),
        ("quickfile", {"zone": "Europe"}, "reading.zone: no such time zone"),
        ("quickfile", {"zone": "+02:00"}, "reading.zone: no such time zone"),
        ("quickfile", {"zones": "UTC"}, "reading.zones: unknown key; did you mean zone?"),
        ("quickfile", {"aliases": {"InvoiceMade": 5}}, "reading.aliases.InvoiceMade: must be text"),
        (
            "visma-sales",
            {"aliases": {"OrderPlaced": "SalesOrder_Create"}},
            "as docs/requirements.md names them; close are SALESORDER_CREATED, SALESORDER_UPDATED",
        ),
        (
            "visma-sales",
            {"aliases": {"salesorder created": "SALESORDER_UPDATED"}},
            "reading.aliases.salesorder created: visma-sales has an event of this name already; remove",
        ),
        (
            "visma-sales",
            {"aliases": {"Order-Placed": "SALESORDER_CREATED", "ORDER_PLACED": "SALESORDER_UPDATED"}},
            "reading.aliases.ORDER_PLACED: the same name as Order-Placed, since only a-z and 0-9 count",
        ),
        ("visma-sales", {"aliases": {"-": "SALESORDER_UPDATED"}}, "reading.aliases.-: holds no letter"),
        ("visma-sales", {"aliases": {"a\nb": "x"}}, "reading.aliases.(a name): must be an event"),
        (
            "visma-sales",
            {"pointers": {"id": "order/number"}},
            "reading.pointers.id[0]: a JSON pointer begins with /, such as /order/number",
        ),
        (
            "visma-sales",
            {"pointers": {"id": ["/a", "/b~"]}},
            "reading.pointers.id[1]: in a JSON pointer ~ is",
        ),
        ("visma-sales", {"pointers": {"id": []}}, "reading.pointers.id: "),
        (
            "visma-sales",
            {"pointers": {"reference": "/a"}},
            "pointers.reference: visma-sales takes none for it, only for event, event_id, time, company, id,",
        ),
        (
            "visma-net",
            {"pointers": {"id": "/a"}},
            "reading.pointers: the bodies of visma-net are documented, and read by their names; only",
        ),
    ],
)
def test_an_option_that_means_nothing_is_refused_with_its_remedy(
    tmp_path: Path, source: str, reading: dict[str, Any], told: str
) -> None:
    """0.3, A-07, A-17, A-41."""
    with pytest.raises(Misconfigured) as refusal:
        load(tmp_path, source, **reading)

    text = str(refusal.value)
    assert text.startswith("endpoints[0]")
    assert told in text.replace("endpoints[0]: ", "").replace("endpoints[0].", "")
    assert "\n" not in text


def test_one_pointer_needs_no_list_and_what_was_set_is_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, "visma-sales", zone="Europe/Oslo", pointers={"id": "/a", "time": ["/b", "/c"]})

    reading = settings.endpoints[0].reading
    assert reading.pointers == {"id": ("/a",), "time": ("/b", "/c")}
    told = CliRunner().invoke(
        main, ["--config", str(tmp_path / "connector.yaml"), "config", "show", "--json"]
    )
    assert json.loads(told.output)["endpoints"][0]["reading"] == {
        "zone": "Europe/Oslo",
        "aliases": {},
        "pointers": {"id": ["/a"], "time": ["/b", "/c"]},
    }


def test_endpoints_without_options_cost_nothing(tmp_path: Path) -> None:
    """The sources are the very same objects, so no record looks anything up."""
    for reading in ({}, {"zone": None, "aliases": {}, "pointers": {}}):
        sources = tuned(load(tmp_path, "visma-sales", **reading).endpoints)
        assert all(sources[name] is source for name, source in SOURCES.items())

    sources = tuned(load(tmp_path, "visma-sales", zone="UTC").endpoints)
    assert [name for name in SOURCES if sources[name] is not SOURCES[name]] == ["visma-sales"]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_takes_a_zone_and_aliases(source: str) -> None:
    """0.3."""
    plain = SOURCES[source]
    target = next(row for row in plain.events if row.entity is not None)
    sources = told_of(source, zone="Europe/Oslo", aliases={"Something Else": target.name})

    dialect = sources[source].at("e1")
    assert dialect is not sources[source]
    assert (dialect.name, dialect.shapes, dialect.credentials) == (source, plain.shapes, plain.credentials)
    assert sources[source].at("e2") is sources[source]


def test_an_alias_is_compared_by_its_letters_and_keeps_its_name_in_history() -> None:
    """0.3."""
    sources = told_of("visma-net", aliases={"Kunde.Slettet": "Account_Deleted"})
    body = {"event": "KUNDE slettet", "companyId": "1", "entityLocation": "api/v1/account/7", "timeStamp": 1}

    read = read_event(sources, "visma-net", body)
    assert (read.key.text, read.reading.operation) == ("visma-net/acme/account/7", "delete")
    assert (read.reading.event_type, read.reading.unknown_event) == ("KUNDE slettet", "")
    assert "alias_given" in read.flags


def test_an_alias_of_one_endpoint_is_unknown_at_the_others() -> None:
    sources = told_of("visma-sales", aliases={"OrderPlaced": "SALESORDER_CREATED"})
    body = {"event": "OrderPlaced", "contextId": "1", "orderId": 5}

    assert read_event(sources, "visma-sales", body).key.entity == "sales_order"
    assert read_event(SOURCES, "visma-sales", body).key.entity == "system"
    other = msgspec.structs.replace(callback("visma-sales", body), endpoint="e2")
    (raw,) = received(other, sources=told_of("visma-sales"))
    assert isinstance(raw, RawRecord)
    assert raw.key.entity == "system"


def test_every_endpoint_of_a_source_has_options_of_its_own() -> None:
    token = {"url_token": "env:TOKEN"}
    said = [
        EndpointSettings(
            source="quickfile", id=id_, tenant="acme", authenticate=token, reading={"zone": zone}
        )
        for id_, zone in (("e1", "Europe/London"), ("e2", "Europe/Oslo"), ("e3", None))
    ]
    sources = tuned(said)
    body = {"ClientsUpdated": [{"TimeStamp": "2025-06-02T09:45:12", "Id": 1}], "Hookid": "h"}
    (raw,) = raws(callback("quickfile", body), sources=sources)

    told = {}
    for id_ in ("e1", "e2", "e3"):
        at = msgspec.structs.replace(raw, meta=msgspec.structs.replace(raw.meta, endpoint=id_))
        (outcome,) = Bench(sources).work([at]).outcomes
        assert isinstance(outcome, Outcome)
        told[id_] = to_rfc3339(outcome.event.version)[11:16]
    assert told == {"e1": "08:45", "e2": "07:45", "e3": "09:45"}


def test_a_raw_record_of_an_endpoint_that_is_no_more_is_read_as_the_source_assumes() -> None:
    sources = told_of("quickfile", zone="Europe/London")
    body = {"ClientsUpdated": [{"TimeStamp": "2025-06-02T09:45:12", "Id": 1}], "Hookid": "h"}
    (raw,) = raws(callback("quickfile", body), sources=sources)
    gone = msgspec.structs.replace(raw, meta=msgspec.structs.replace(raw.meta, endpoint="gone"))

    outcomes = Bench(sources).work([raw, gone]).outcomes
    told = [
        (one.event.version, one.event.reading.zone_assumed) for one in outcomes if isinstance(one, Outcome)
    ]
    assert told == [(from_iso("2025-06-02T08:45:12Z"), False), (from_iso("2025-06-02T09:45:12Z"), True)]


def test_what_landed_under_system_before_its_alias_is_set_aside_and_then_taken_under_its_key() -> None:
    body = {"event": "OrderPlaced", "contextId": "1", "orderId": 5}
    (raw,) = raws(callback("visma-sales", body))
    assert raw.key.entity == "system"
    sources = told_of("visma-sales", aliases={"OrderPlaced": "SALESORDER_CREATED"})

    (met,) = Bench(sources).work([raw]).outcomes
    assert isinstance(met, Quarantined)
    assert met.reason == "no_entity_id"
    (one,) = again(met, sources["visma-sales"], endpoint("visma-sales"), furnished()[0].privacy)
    assert isinstance(one, RawRecord)
    assert one.key.text == "visma-sales/acme/sales_order/5"


def explain(folder: Path, *arguments: str, given: str) -> Any:
    file = folder / "connector.yaml"
    return CliRunner().invoke(
        main,
        ["--config", str(file), "explain", "--received", "2025-11-24T16:00:00Z", *arguments, "-"],
        input=given,
    )


def test_explain_reads_as_an_endpoint_does(tmp_path: Path) -> None:
    load(tmp_path, "visma-sales", zone="Europe/Oslo", pointers=POINTERS)

    told = explain(tmp_path, "--endpoint", "e1", "--json", given=json.dumps(ORDER))
    assert told.exit_code == 0, told.output
    (part,) = json.loads(told.output)
    assert (part["key"], part["time"]) == (
        "visma-sales/acme/sales_order/SO%2F41",
        "2025-06-02T08:00:00.0000000Z",
    )
    assert part["flags"] == ["pointer_given", "zone_given", "event_id_made"]
    (plain,) = json.loads(
        explain(tmp_path, "--source", "visma-sales", "--json", given=json.dumps(ORDER)).output
    )
    assert plain["reason"] == "no_entity_id"
    (other,) = json.loads(
        explain(tmp_path, "--endpoint", "e1", "--tenant", "t", "--json", given=json.dumps(ORDER)).output
    )
    assert other["key"] == "visma-sales/t/sales_order/SO%2F41"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--endpoint", "e2"], "no such one; known: visma-sales e1"),
        (["--endpoint", "e1", "--source", "duett"], "no such one; known: visma-sales e1"),
    ],
)
def test_explain_says_which_endpoints_there_are(tmp_path: Path, arguments: list[str], told: str) -> None:
    load(tmp_path, "visma-sales", zone="UTC")

    result = explain(tmp_path, *arguments, given="{}")
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
