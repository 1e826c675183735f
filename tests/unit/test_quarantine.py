"""Quarantined records: found again with their tenant, tried by today's code, shown without harm."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner
from furniture import Bench, callback, endpoint, furnished, raws
from mutations import GOLDEN

from connector.cli import main
from connector.cli.quarantine import tame
from connector.core.again import again
from connector.core.authenticate import Binding, Endpoint, company_digest, vouch
from connector.core.privacy import Privacy
from connector.core.receive import receive
from connector.entities import ENTITIES
from connector.errors import REASONS
from connector.model import Callback, Outcome, Position, Quarantined, RawRecord
from connector.runtime.quarantine import Held
from connector.runtime.retry import retry
from connector.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS, THEIRS = "b31d8b5a-0000-4000-8000-000000000001", "b31d8b5a-0000-4000-8000-000000000002"
PLACE = Position("erp.raw.x", 1, 7)
PRIVACY = furnished()[0].privacy
BODIES = sorted(GOLDEN.glob("*/*/body.*"))
NAMES = [f"{path.parent.parent.name}/{path.parent.name}" for path in BODIES]


def notice(company: str = OURS, when: str = "2024-08-23T11:00:32.2216966Z", **more: Any) -> dict[str, Any]:
    return {
        "integrationKey": "a canary of an integration",
        "clientKey": company,
        "subscription": "Voucher",
        "event": "update",
        "eventTime": when,
        "data": json.dumps({"Id": 4220, **more}),
    }


def bound(tenant: str | None = "acme", **more: Any) -> Endpoint:
    return Endpoint(source="duett", id="e1", tenant=tenant, schemes=endpoint("duett").schemes, **more)


def taken(
    one: Callback, at: Endpoint, privacy: Privacy = PRIVACY, **limits: int
) -> list[RawRecord | Quarantined]:
    return receive(vouch(one, at), SOURCES[one.source], privacy, **limits)


def set_aside(one: Callback, at: Endpoint, privacy: Privacy = PRIVACY) -> Quarantined:
    (record,) = taken(one, at, privacy)
    assert isinstance(record, Quarantined)
    return record


def tried(record: Quarantined, at: Binding | None, privacy: Privacy = PRIVACY) -> RawRecord | Quarantined:
    (one,) = again(record, SOURCES[record.source], at, privacy)
    return one


def retried(records: Iterable[RawRecord | Quarantined]) -> list[RawRecord | Quarantined]:
    """Say what records must be after a retry: the same, and their origin told."""
    return [
        msgspec.structs.replace(one, meta=msgspec.structs.replace(one.meta, origin="quarantine"))
        for one in records
    ]


def usable(records: Iterable[RawRecord | Quarantined]) -> list[RawRecord | Quarantined]:
    return [one for one in records if isinstance(one, RawRecord)]


def reasons(records: Iterable[RawRecord | Quarantined]) -> list[str]:
    return [one.reason for one in records if isinstance(one, Quarantined)]


def golden(path: Path) -> Callback:
    headers = path.parent / "headers.json"
    said = json.loads(headers.read_text()) if headers.exists() else {}
    return Callback(path.parent.parent.name, "e1", said, path.read_bytes(), 1_762_000_000_000_000, "01GOLDEN")


def test_a_company_that_was_added_since_finds_its_tenant_though_its_id_is_redacted() -> None:
    record = set_aside(callback("duett", notice()), bound(companies=frozenset({THEIRS})))
    assert OURS.encode() not in msgspec.json.encode(record)

    one = tried(record, bound(companies=frozenset({THEIRS, company_digest(OURS)})))

    assert isinstance(one, RawRecord)
    assert one.key.text == "duett/acme/voucher_line/4220"
    assert OURS.encode() not in msgspec.json.encode(one)


def test_the_tenant_is_the_one_of_the_company_whose_hash_was_kept() -> None:
    record = set_aside(callback("duett", notice(OURS.upper())), bound(companies=frozenset({THEIRS})))
    several = bound(None, tenants={company_digest(THEIRS): "them", company_digest(OURS): "us"})

    one = tried(record, several)

    assert isinstance(one, RawRecord)
    assert one.key.tenant == "us"


def test_a_company_that_is_still_foreign_stays() -> None:
    record = set_aside(callback("duett", notice()), bound(companies=frozenset({THEIRS})))

    one = tried(record, bound(companies=frozenset({THEIRS})))

    assert isinstance(one, Quarantined)
    assert one.reason == "foreign_tenant"
    assert one.meta.company_hash == record.meta.company_hash


@pytest.mark.parametrize("then", [None, b"another key of the deployment, 32b"])
def test_without_the_key_of_then_no_tenant_is_guessed(then: bytes | None) -> None:
    record = set_aside(
        callback("duett", notice()), bound(companies=frozenset({THEIRS})), Privacy(then, ENTITIES)
    )

    one = tried(record, bound(companies=frozenset({company_digest(OURS)})))

    assert isinstance(one, Quarantined)
    assert one.reason == "foreign_tenant"


def test_a_body_that_names_two_companies_keeps_no_hash() -> None:
    body = json.dumps([notice(OURS), notice(THEIRS)]).encode()[:-1]

    assert set_aside(callback("duett", body), bound()).meta.company_hash == ""


def test_an_unreadable_body_keeps_the_hash_of_its_one_company() -> None:
    at = bound(companies=frozenset({company_digest(OURS)}))
    (read,) = taken(callback("duett", notice()), at)
    broken = set_aside(callback("duett", json.dumps(notice()).encode()[:-1]), at)

    assert broken.reason == "unreadable"
    assert broken.meta.company_hash == read.meta.company_hash


def test_a_clamped_time_comes_out_as_it_would_have_then() -> None:
    future = callback("duett", notice(when="2999-01-01T00:00:00Z"))
    (at_once,) = taken(future, bound())
    later = tried(set_aside(future, bound(companies=frozenset({THEIRS}))), bound())

    assert isinstance(at_once, RawRecord)
    assert isinstance(later, RawRecord)
    states = [Bench().work([one]).changelog() for one in (at_once, later)]
    assert states[0] == states[1] != {}


def test_a_retry_that_is_repeated_is_a_duplicate() -> None:
    one = tried(set_aside(callback("duett", notice()), bound(companies=frozenset({THEIRS}))), bound())

    assert isinstance(one, RawRecord)
    assert Bench().work([one, one]).verdicts() == ["applied", "duplicate"]


@pytest.mark.parametrize("path", BODIES, ids=NAMES)
def test_a_whole_body_set_aside_is_received_later_as_it_would_have_been_at_once(path: Path) -> None:
    one = golden(path)
    at = endpoint(one.source)
    at_once = taken(one, at)

    (record,) = taken(one, at, max_records=-1)

    assert isinstance(record, Quarantined)
    later = again(record, SOURCES[one.source], at, PRIVACY)
    if record.reason == "limits":
        assert usable(later) == retried(usable(at_once))
    assert reasons(later) == (reasons(at_once) if record.reason == "limits" else [record.reason])


@pytest.mark.parametrize("path", BODIES, ids=NAMES)
def test_a_raw_record_set_aside_by_the_worker_comes_back_under_its_key(path: Path) -> None:
    one = golden(path)
    for raw in taken(one, endpoint(one.source)):
        if isinstance(raw, RawRecord):
            record = Quarantined(raw.key.text, raw.body, "by_operator", "w", "y", raw.meta, one.source, PLACE)
            assert again(record, SOURCES[one.source], None, PRIVACY) == retried([raw])


def test_a_forwarded_effect_comes_back_as_it_was() -> None:
    merge = {"ClientMerged": [{"TimeStamp": "2025-06-02T09:00:00", "SourceId": 1, "TargetId": 2}]}
    outcome = Bench().work(raws(callback("quickfile", merge))).outcomes[0]
    assert isinstance(outcome, Outcome)
    (sent,) = outcome.forwards
    record = Quarantined(sent.key.text, sent.body, "too_large", "w", "y", sent.meta, "quickfile", PLACE)

    assert tried(record, None) == RawRecord(sent.key, sent.body, sent.meta)


def test_what_another_program_wrote_and_what_has_no_endpoint_any_more_stays() -> None:
    record = set_aside(callback("duett", notice()), bound(companies=frozenset({THEIRS})))
    alien = msgspec.structs.replace(record, key="a key of theirs", position=PLACE)

    assert [
        one.reason for one in (tried(record, None), tried(alien, bound())) if isinstance(one, Quarantined)
    ] == ["foreign_tenant"] * 2


def test_a_record_that_would_end_the_worker_is_not_usable_and_says_so() -> None:
    def normalise(raw: RawRecord) -> Any:
        raise LookupError(raw.body)

    (raw,) = raws(callback("duett", notice()))
    record = Quarantined(raw.key.text, raw.body, "by_operator", "w", "y", raw.meta, "duett", PLACE)
    broken = {"duett": msgspec.structs.replace(SOURCES["duett"], normalise=normalise)}

    outcome = retry(Held((0, 1), record), {}, furnished()[0], max_records=9, sources=broken)

    assert outcome.usable == ()
    assert ["LookupError" in one.why for one in outcome.left] == [True]
    assert "4220" not in outcome.left[0].why


def test_what_compact_refuses_is_not_usable() -> None:
    (raw,) = raws(callback("duett", notice(description="x" * 1_000_001)))
    record = Quarantined(raw.key.text, raw.body, "too_large", "w", "y", raw.meta, "duett", PLACE)

    outcome = retry(Held((0, 1), record), {}, furnished()[0], max_records=9)

    assert outcome.usable == ()
    assert [one.reason for one in outcome.left] == ["too_large"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain æøå\n\ttext", "plain æøå\n\ttext"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\rb\x9b2J", "a\\rb\\x9b2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_nothing_a_terminal_acts_on_is_printed(text: str, shown: str) -> None:
    assert tame(text) == shown


@pytest.mark.parametrize(
    "words",
    [
        ["show", "17"],
        ["show", "3/x"],
        ["list", "--since", "yesterday"],
        ["list", "--reason", "odd"],
        ["retry", "--json"],
    ],
)
def test_what_cannot_be_meant_is_a_fault_of_usage(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["quarantine", *words]).exit_code == 2


def test_the_page_tells_every_reason_once_and_in_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "quarantine.md").read_text()

    assert tuple(re.findall(r"(?m)^\| `(\w+)` \|", page)) == REASONS
