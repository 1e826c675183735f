"""`connector explain` against what is known: the state file, and the verdict in words."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from furniture import callback, furnished, received

from connector.cli import known, main
from connector.cli.explain import Memory, trace, vouched
from connector.cli.samples import SAMPLES
from connector.errors import Misconfigured
from connector.model import EntityKey, Outcome, RawRecord
from connector.sources import SOURCES

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/endpoint.json"))
KEY = "duett/acme/customer/5"
SECRET = "Ola Nordmann"


def body(verb: str, hour: int, **model: Any) -> str:
    told = {"clientKey": "c", "subscription": "Customer", "event": verb}
    told |= {"eventTime": f"2025-11-01T{hour:02}:00:00Z", "data": json.dumps({"id": 5, **model})}
    return json.dumps(told)


def run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", *(str(one) for one in arguments)], input=given)


class Chain:
    """Callbacks explained one after the other, each against the file the one before it left."""

    def __init__(self, folder: Path, source: str = "duett") -> None:
        self.file = folder / "known.json"
        self.source = source

    def explain(self, given: str, *more: str) -> dict[str, Any]:
        state = ["--state", self.file] if self.file.exists() else []
        told = run(
            *("--source", self.source, "--tenant", "acme", "--received", "2025-11-02T00:00:00Z", *state),
            *("--save-state", self.file, "--json", *more, "-"),
            given=given,
        )
        assert told.exit_code == 0, told.output
        (part,) = json.loads(told.output)
        return dict(part)

    def verdict(self, given: str, *more: str) -> tuple[str, str]:
        part = self.explain(given, *more)
        return part["verdict"], part["because"]


def test_a_chain_of_callbacks_says_why_each_got_its_verdict(tmp_path: Path) -> None:
    chain = Chain(tmp_path)

    created = chain.verdict(body("Create", 10, name=SECRET, customerNumber="10"))
    updated = chain.verdict(body("Update", 11, name="Kari", customerNumber="10"))
    repeated = chain.verdict(body("Update", 11, name="Kari", customerNumber="10"))
    late = chain.verdict(body("Create", 10, name=SECRET))
    deleted = chain.verdict(body("Delete", 12))
    old = chain.verdict(body("Update", 11, name="Nils"))
    older_delete = chain.verdict(body("Delete", 11))
    revived = chain.verdict(body("Update", 13, name="Nils"))

    ten = "17619912000000000 (2025-11-01T10:00:00.0000000Z)"
    eleven = "17619948000000000 (2025-11-01T11:00:00.0000000Z)"
    twelve = "17619984000000000 (2025-11-01T12:00:00.0000000Z)"
    assert created == ("applied", f"facet body is new at {ten} with name, number; the key was not known")
    assert updated == ("applied", f"facet body goes from {ten} to {eleven}; changed: name")
    assert repeated == ("duplicate", "all it says is known already, at the same version")
    assert late == ("stale", f"facet body is known at {eleven}, newer than {ten}")
    assert deleted == ("applied", f"deleted at {twelve}; what is older goes: body; the entity is gone")
    assert old == ("stale", f"a delete at {twelve} is known, newer than {eleven}")
    assert older_delete == ("stale", f"a delete at {twelve} is known, newer than this one at {eleven}")
    assert revived[0] == "applied"
    assert revived[1].endswith("the entity is back")


def test_a_tie_is_told_by_rank_and_by_column(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.verdict(body("Update", 11, name="Kari"))

    lower = chain.verdict(body("Create", 11, name="Nils"))
    tie = chain.verdict(body("Update", 11, name="Ola", customerNumber="10"))

    assert lower[0] == "stale"
    assert lower[1].endswith("is known, and update counts more than create")
    assert tie[0] == "applied"
    assert tie[1].endswith("united by column: name, number")


def test_what_of_an_event_is_not_taken_is_told_too(tmp_path: Path) -> None:
    """A-10: the second envelope of one change adds the GUID and nothing else."""
    chain = Chain(tmp_path, "visma-net")
    place = "api/v1/shipment/7"
    newer = {
        "event": "Shipment_Changed",
        "entityLocation": place,
        "companyId": "1",
        "timeStamp": 638976000000000009,
    }
    older = {**newer, "timeStamp": 638976000000000000, "entityId": "G1"}
    chain.verdict(json.dumps(newer))

    verdict, because = chain.verdict(json.dumps(older))

    assert verdict == "applied"
    assert because.startswith("facet ids is new at 17620032000000000")
    assert "not taken: facet change is known at 17620032000000009" in because


def test_history_only_and_quarantine_say_why(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "visma-net")
    place = {"entityLocation": "api/v1/customer/7", "companyId": "1", "timeStamp": 638976000000000009}

    button = chain.verdict(json.dumps({"event": "Customer Action Triggered", **place}))
    unknown = chain.explain(json.dumps({"event": "Moon_Landed", **place}))
    startup = chain.verdict(json.dumps({"event": "First Time Startup Completed", **place}))
    nothing = chain.explain(json.dumps({"event": "Customer_Changed", "timeStamp": 1}))

    assert button == ("noted", "a button was used, which changes no state: history only")
    assert (unknown["because"], unknown["unknown_event"]) == (
        "an event name that stands in no table: history only",
        "moonlanded",
    )
    assert startup[1] == "an event that concerns no entity: history only"
    assert nothing["because"].startswith("no_entity_id: receive visma-net.location: ")
    assert nothing["error"] == "NoEntityId"


def test_everything_of_an_event_is_shown(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.explain(body("Create", 10, name=SECRET))
    ahead = json.loads(body("Update", 11, NAME="Kari", mood="good")) | {"eventTime": "2031-01-01T00:00:00"}

    part = chain.explain(json.dumps([ahead]))

    assert (part["source"], part["title"], part["tenant"], part["key"]) == ("duett", "Duett", "acme", KEY)
    assert part["flags"] == ["list", "name_case", "zone_assumed", "clock_suspect"]
    assert part["clock"].startswith("2031-01-01T00:00:00.0000000Z is more than 10 minutes ahead")
    assert part["unknown_fields"] == ["mood"]
    (facet,) = part["facets"]
    assert facet == {
        "facet": "body",
        "version": 17620416000000000,
        "time": "2025-11-02T00:00:00.0000000Z",
        "rank": 200,
        "rank_word": "update",
        "columns": ["extras", "name"],
    }
    (before,) = part["known"]["facets"]
    assert (before["version"], before["rank_word"]) == (17619912000000000, "create")
    (reason,) = part["reasons"]
    assert (reason["effect"], reason["known_version"]) == ("replaced", 17619912000000000)
    assert reason["columns"] == ["extras", "name"]


def test_people_see_verdict_reason_and_what_was_known(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.explain(body("Create", 10, name=SECRET))
    chain.explain(body("Delete", 12))

    told = run(
        "--source", "duett", "--tenant", "acme", "--state", chain.file, "-", given=body("Update", 11)
    ).output

    assert "verdict       stale\n" in told
    assert "known before: deleted at 17619984000000000 (2025-11-01T12:00:00.0000000Z)" in told
    assert "because       a delete at 17619984000000000" in told


def test_nothing_a_vendor_sends_reaches_the_terminal_unescaped() -> None:
    told = run("--source", "duett", "-", given=body("Update", 11, name="\x1b[2J", **{"\x1b[31mmood": 1}))

    assert told.exit_code == 0
    assert "\x1b" not in told.output


def test_the_state_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    chain = Chain(tmp_path)

    chain.explain(body("Create", 10, name=SECRET))

    assert stat.S_IMODE(chain.file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["known.json"]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.name}" for case in CASES])
def test_what_is_known_comes_back_from_the_file_as_it_was(case: Path, tmp_path: Path) -> None:
    from connector import flow

    view, file = Memory(), tmp_path / "known.json"
    headers = case / "headers.json"
    given = json.loads(headers.read_text()) if headers.exists() else {}
    (sent,) = [path.read_bytes() for path in case.glob("body.*")]
    source = SOURCES[case.parent.name]
    raws = [one for one in received(callback(source.name, sent, **given)) if isinstance(one, RawRecord)]
    while raws:
        for one in list(flow.carry([raws.pop(0)], source, view, furnished()[0])):
            if isinstance(one, Outcome):
                raws += [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]

    known.write(file, view.known)

    assert known.read(file) == view.known


def test_a_chain_through_files_ends_as_one_memory_does(tmp_path: Path) -> None:
    view, file = Memory(), tmp_path / "known.json"
    for sample in SAMPLES.values():
        if sample.source != "visma-net":
            continue
        authentic = vouched(SOURCES["visma-net"], "t", sample.body, sample.headers, 1_762_000_000_000_000)
        list(trace(authentic, SOURCES["visma-net"], furnished()[0], view))
        through = Memory(known.read(file) if file.exists() else None)
        list(trace(authentic, SOURCES["visma-net"], furnished()[0], through))
        known.write(file, through.known)

    assert known.read(file) == view.known
    assert any(EntityKey.parse(key).entity == "identity" for key in view.known)


def facet(**changed: Any) -> dict[str, Any]:
    told = {"version": 17619912000000000, "rank": 100, "fields": {"name": SECRET, "budget_amount": "12.5000"}}
    return {"facets": {"body": {name: one for name, one in {**told, **changed}.items() if one is not ...}}}


def test_a_file_can_be_written_by_hand_with_times_alone(tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    by_hand = facet(version=..., time="2025-11-01T10:00:00Z", fields={"contract_end_date": "2026-01-01"})
    file.write_text(json.dumps({"format": known.FORMAT, "version": 1, "keys": {KEY: by_hand}}))

    (one,) = known.read(file).values()

    assert one.state.facets["body"].version == 17619912000000000
    assert one.state.facets["body"].fields == {"contract_end_date": 20454}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "keys: missing, or no object; write an object of keys"),
        ({"duett/acme/customer": {}}, "keys[1]: no key of four segments; write source/tenant/entity/id"),
        ({f"duett/acme/customer/{SECRET}": {}}, "keys[1]: not escaped as keys are"),
        ({"inkwell/acme/customer/5": {}}, "keys[1]: no such source; known are duett"),
        ({"duett/acme/payment/5": {}}, "keys[1]: duett keeps no such entity; known are item"),
        ({KEY: {SECRET: 1}}, f"{KEY}: member 1 is unknown; known are timestamp_ms, deleted"),
        ({KEY: {"timestamp_ms": "now"}}, f"{KEY} timestamp_ms: missing, or no whole number"),
        ({KEY: {"deleted": 5}}, f"{KEY} deleted: no object; write"),
        ({KEY: {"deleted": {}}}, f"{KEY} deleted: neither version nor time"),
        ({KEY: {"deleted": {"time": SECRET}}}, f"{KEY} deleted.time: no ISO 8601 time with a zone"),
        ({KEY: {"deleted": {"time": "2025-11-01T10:00:00Z", "version": 5}}}, "version and time disagree"),
        ({KEY: {"facets": {SECRET: {}}}}, f"{KEY} facets: a facet that is not kept; known are body"),
        ({KEY: facet(rank=...)}, f"{KEY} facets.body.rank: missing"),
        ({KEY: facet(version=2**63)}, f"{KEY} facets.body.version: missing, or no whole number of 64 bits"),
        ({KEY: facet(fields={SECRET: 1})}, f"{KEY} facets.body.fields.?: not of this facet; known are"),
        ({KEY: facet(fields={"amount": 1})}, f"{KEY} facets.body.fields.amount: not of this facet"),
        ({KEY: facet(fields={"name": 5})}, "facets.body.fields.name: of another type; write text"),
        (
            {KEY: facet(fields={"name": None})},
            "facets.body.fields.name: of another type; write text, or leave",
        ),
        (
            {KEY: facet(fields={"budget_amount": SECRET})},
            "fields.budget_amount: does not fit; write an amount",
        ),
        ({KEY: facet(fields={"budget_amount": "1.00001"})}, "fields.budget_amount: does not fit"),
        ({KEY: facet(fields={"budget_amount": "NaN"})}, "fields.budget_amount: does not fit"),
        (
            {KEY: facet(fields={"contract_end_date": SECRET})},
            "fields.contract_end_date: does not fit; write a date",
        ),
        ({KEY: facet(fields={"pay_days": 2**63})}, "fields.pay_days: does not fit; write a whole number"),
        ({KEY: facet(fields={"extras": SECRET})}, "fields.extras: not the canonical JSON text"),
        ({KEY: facet(fields={"extras": '{"b": 1}'})}, "fields.extras: not the canonical JSON text"),
        ({KEY: {"sets": {"phases": {}}}}, f"{KEY} sets: a set that is not kept; known are none"),
        ({KEY: {**facet(), "deleted": {"version": 17619912000000000}}}, f"{KEY}: holds what its own delete"),
    ],
)
def test_a_fault_of_the_file_is_one_line_with_field_and_remedy_and_no_value(
    tmp_path: Path, keys: Any, says: str
) -> None:
    file = tmp_path / "known.json"
    file.write_text(json.dumps({"format": known.FORMAT, "version": 1, "keys": keys}))

    told = run("--source", "duett", "--state", file, "-", given=body("Update", 11))

    assert (told.exit_code, told.output.count("\n")) == (1, 1)
    assert says in told.output
    assert SECRET not in told.output
    with pytest.raises(Misconfigured):
        known.read(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: not JSON; name a file that --save-state wrote"),
        ("[]", "the file: no object"),
        ("{}", 'format: not "erp-connector state"'),
        ('{"format": "erp-connector state", "version": 2}', "version: not 1, the only one"),
        ('{"format": 1, "format": 2}', "the file: an object names one member twice"),
        ('{"format": 1.5}', "the file: a number with a fraction"),
        ('{"format": NaN}', "the file: a number with a fraction"),
        ('{"format": ' + "9" * 5000 + "}", "the file: a number of too many digits"),
        ("[" * 100_000, "the file: nested too deeply"),
    ],
    ids=lambda one: str(one)[:20],
)
def test_what_is_no_state_file_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "known.json"
    file.write_text(text)

    with pytest.raises(Misconfigured) as refused:
        known.read(file)

    assert says in str(refused.value)


def test_a_missing_state_file_and_a_folder_that_is_not_there_are_told_with_the_remedy(tmp_path: Path) -> None:
    missing = run("--source", "duett", "--state", tmp_path / "none.json", "-", given=body("Update", 11))
    nowhere = run(
        "--source", "duett", "--save-state", tmp_path / "no" / "x.json", "-", given=body("Update", 11)
    )

    assert (missing.exit_code, nowhere.exit_code) == (1, 1)
    assert "--save-state writes such a file, and the first callback needs none" in missing.output
    assert "name a file in a folder you may write to" in nowhere.output


def test_a_time_of_receipt_without_a_zone_is_misuse() -> None:
    assert run("--source", "duett", "--received", "2025-11-01", "-", given="{}").exit_code == 2


def forwarded(part: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["key"].split("/", 2)[2], one["verdict"], one["because"]) for one in part["forwards"]]


def test_both_sides_of_a_merge_say_what_it_did(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "quickfile")
    item = {"TimeStamp": "2025-11-01T10:00:00Z", "SourceId": 1, "TargetId": 2, "Deleted": True}
    merge = json.dumps({"PayLoad": {"ClientMerged": [item], "HookId": "h"}})
    older = merge.replace("T10", "T09").replace("true", "false")
    deleted = {"ClientsDeleted": [{"TimeStamp": "2025-11-01T11:00:00Z", "Id": 2}], "HookId": "h"}

    first, again, late = chain.explain(merge), chain.explain(merge), chain.explain(older)
    chain.explain(json.dumps({"PayLoad": deleted}))
    gone = chain.explain(older)

    ten = "17619912000000000 (2025-11-01T10:00:00.0000000Z)"
    assert first["because"].startswith(
        f"deleted at {ten}; what is newer stays: merge; facet merge is new at {ten}"
    )
    assert forwarded(first) == [
        ("customer/2", "applied", f"merged_from has 1 at {ten}, which is new; the key was not known")
    ]
    assert forwarded(again)[0][1] == "duplicate"
    assert (
        forwarded(late)[0][2]
        == f"merged_from has 1 at {ten}, newer than 17619876000000000 (2025-11-01T09:00:00.0000000Z)"
    )
    assert forwarded(gone)[0][2].startswith("a delete at 17619948000000000")


def test_a_new_number_says_who_succeeds_whom(tmp_path: Path) -> None:
    """A-14."""
    chain = Chain(tmp_path, "visma-net")

    def account(number: int, tick: int, event: str = "Account_Updated", **more: Any) -> str:
        told = {"event": event, "entityLocation": f"api/v1/account/{number}", "companyId": "1"}
        return json.dumps({**told, "timeStamp": 638975952000000000 + tick, "entityId": "g1", **more})

    chain.explain(account(3010, 0))
    renamed = chain.explain(account(3011, 5, "Account_Identity_Changed"))
    silent = chain.explain(account(3010, 7, entityId=None))
    back = chain.explain(account(3010, 9))

    told = {key: because for key, _, because in forwarded(renamed)}
    assert told["identity/account.g1"].startswith("seen under visma-net/acme/account/3011 at ")
    assert "facet moved is new at" in told["account/3010"]
    assert told["account/3010"].endswith("the entity is gone")
    assert "facet rekey:g1 is new at" in told["account/3011"]
    assert silent["because"].endswith("the key stays gone: only a newer event with a GUID names it again")
    assert back["because"].endswith("the entity is back")


def test_a_status_behind_a_delete_waits(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "visma-net")

    def shipment(event: str, tick: int, **more: Any) -> str:
        told = {"event": event, "entityLocation": "api/v1/shipment/7", "companyId": "1"}
        return json.dumps({**told, "timeStamp": 638975952000000000 + tick, **more})

    chain.explain(shipment("Shipment_Changed", 0))
    chain.explain(shipment("Shipment_Status_Changed", 5, status="Open"))
    deleted = chain.explain(shipment("Shipment_Deleted", 3))
    newer = chain.explain(shipment("Shipment_Status_Changed", 9, status="Done"))

    assert "what is older goes: change; what is newer stays: status" in deleted["because"]
    assert newer["facets"][0]["rank_word"] == "status"
    assert newer["because"].endswith("the entity stays deleted: only a newer create or update revives it")


def test_why_a_time_was_not_believed_is_told(tmp_path: Path) -> None:
    chain = Chain(tmp_path)

    told = [
        chain.explain(json.dumps({**json.loads(body("Update", 10)), "eventTime": one}))["clock"]
        for one in ("soon", "1999-12-31T00:00:00Z")
    ]

    assert told == [
        "missing or unreadable: the time of receipt counts",
        "before 2000: the time of receipt counts",
    ]


def test_phases_of_a_voucher_are_ranks(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "visma-journal")
    told = {"event": "VOUCHER_PROCESSED", "contextId": "1", "voucherId": 7, "timeStamp": 638975952000000000}

    part = chain.explain(json.dumps(told))

    assert part["facets"][0]["rank_word"] == "status, phase 30"
    assert {one["part"] for one in part["reasons"]} == {"facet status", "set phases"}
