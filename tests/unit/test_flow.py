"""Receive, normalise, deduplicate, compact: what each event becomes, and what it may not touch."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from furniture import NOON_US, Bench, callback, endpoint, furnished, raws, received

from connector import flow
from connector.core.authenticate import Endpoint, vouch
from connector.model import Callback, Outcome, Quarantined, RawRecord
from connector.sources import SOURCES

ROW = "duett/acme/voucher_line/4220"
DAY = "2024-08-2{}T11:00:32.2216966Z"


def duett(verb: str, day: int, when: str | None = None, **model: Any) -> Callback:
    return callback(
        "duett",
        {
            "integrationKey": "canary-integration",
            "clientKey": "canary-client",
            "tag": " Our reference 56335",
            "subscription": "Voucher",
            "event": verb,
            "eventTime": DAY.format(day) if when is None else when,
            "data": json.dumps({"Id": 4220, **model}),
        },
    )


def visma(event: str, hour: int, **more: Any) -> Callback:
    ticks = 638_974_335_577_900_000 + hour
    body = {"event": event, "companyId": "7", "entityLocation": "api/v1/salesorder/1286", "timeStamp": ticks}
    return callback("visma-net", body | more)


def worked(*sent: Callback) -> Bench:
    return Bench().work([raw for one in sent for raw in raws(one)])


def test_an_update_replaces_the_whole_model() -> None:
    bench = worked(
        duett("create", 3, accountNumber="1", description="a"), duett("update", 4, accountNumber="2")
    )

    row = bench.row(ROW)
    assert row["account_number"] == "2"
    assert "description" not in row


def test_a_late_update_changes_nothing_and_its_history_says_stale() -> None:
    bench = worked(duett("update", 4, accountNumber="2"), duett("update", 3, accountNumber="1"))

    assert bench.row(ROW)["account_number"] == "2"
    assert bench.verdicts() == ["applied", "stale"]


def test_a_repeat_is_a_duplicate() -> None:
    assert worked(duett("update", 4), duett("update", 4)).verdicts() == ["applied", "duplicate"]


def test_a_delete_is_a_record_with_identifiers_and_then_a_tombstone() -> None:
    bench = worked(
        duett("update", 3, voucherNumber=967, description="private"), duett("delete", 4, VoucherNumber=967)
    )

    deleted, tombstone = _last(bench).records
    assert deleted.value is not None
    read = furnished()[1].decode(deleted.value, deleted.key.entity)
    assert (read["meta_op"], read["voucher_number"], read["description"]) == ("DELETE", 967, None)
    assert tombstone.value is None
    assert dict(tombstone.headers)["x-erp-version"] == dict(deleted.headers)["x-erp-version"]


def test_an_update_older_than_the_delete_does_not_resurrect() -> None:
    bench = worked(duett("delete", 4), duett("update", 3))

    assert bench.changelog()[ROW]["tombstone"]
    assert bench.verdicts() == ["applied", "stale"]


def test_a_newer_create_revives_without_anything_stale() -> None:
    bench = worked(
        duett("update", 3, description="old"), duett("delete", 4), duett("create", 5, accountNumber="9")
    )

    row = bench.row(ROW)
    assert row["account_number"] == "9"
    assert "description" not in row


def test_a_status_newer_than_the_delete_waits_until_the_entity_is_back() -> None:
    key = "visma-net/acme/shipment/77"
    gone = visma("Shipment_Deleted", 1, entityLocation="api/v1/shipment/77")
    status = visma("Shipment_Status_Changed", 2, entityLocation="api/v1/shipment/77", documentStatus="Open")
    back = visma("Shipment_Changed", 3, entityLocation="api/v1/shipment/77")

    waiting = worked(gone, status)
    assert waiting.changelog()[key]["tombstone"] > worked(gone).changelog()[key]["tombstone"]
    assert worked(gone, status, back).row(key)["status"] == "Open"


def test_a_later_update_does_not_undo_a_newer_status() -> None:
    bench = worked(
        visma("SalesOrder_Status_Changed", 5, documentStatus="Completed"), visma("SalesOrder_Changed", 3)
    )

    assert bench.row("visma-net/acme/sales_order/1286")["status"] == "Completed"
    assert bench.verdicts() == ["applied", "applied"]


def test_a_clock_ahead_of_ours_counts_as_the_receipt_time() -> None:
    bench = worked(duett("update", 1, when="2999-01-01T00:00:00Z"))

    event = _last(bench).event
    assert event.version == NOON_US * 10
    assert event.clock_suspect


@pytest.mark.parametrize("when", ["", "yesterday", "1999-12-31T23:59:59Z"])
def test_a_time_that_cannot_be_believed_is_the_receipt_time(when: str) -> None:
    assert _last(worked(duett("update", 1, when=when))).event.version == NOON_US * 10


def test_an_unknown_event_name_is_history_only() -> None:
    bench = worked(visma("Moon_Landed", 1))

    assert bench.verdicts() == ["noted"]
    assert bench.changelog() == {}
    assert _last(bench).history is not None


def test_a_bad_element_goes_to_quarantine_and_its_neighbours_do_not() -> None:
    good = json.loads(visma("SalesOrder_Changed", 1).body)
    taken = received(callback("visma-net", [good, {"event": "SalesOrder_Changed"}, good]))

    assert [type(one) for one in taken] == [RawRecord, Quarantined, RawRecord]
    assert [one.reason for one in taken if isinstance(one, Quarantined)] == ["no_entity_id"]


def test_an_unlisted_company_is_set_aside_and_never_becomes_a_tenant() -> None:
    bound = endpoint("visma-net")
    bound = Endpoint(
        source="visma-net", id="e1", tenant="acme", companies=frozenset({"8"}), schemes=bound.schemes
    )
    authentic = vouch(visma("SalesOrder_Changed", 1), bound)

    taken = flow.receive(authentic, SOURCES["visma-net"], furnished()[0].privacy)

    assert [one.reason for one in taken if isinstance(one, Quarantined)] == ["foreign_tenant"]


def test_more_records_than_allowed_set_the_whole_body_aside() -> None:
    authentic = vouch(callback("visma-net", [{"event": "x"}] * 3), endpoint("visma-net"))

    (one,) = flow.receive(authentic, SOURCES["visma-net"], furnished()[0].privacy, max_records=2)

    assert isinstance(one, Quarantined)
    assert one.reason == "limits"


def test_an_id_too_long_for_a_key_is_set_aside() -> None:
    taken = received(visma("SalesOrder_Changed", 1, entityLocation="api/v1/salesorder/" + "9" * 2000))

    assert [one.reason for one in taken if isinstance(one, Quarantined)] == ["limits"]


def test_an_old_event_of_an_unknown_key_is_applied_and_flagged() -> None:
    outcome = _last(worked(duett("update", 3)))

    assert (outcome.verdict, outcome.unguarded) == ("applied", True)
    assert outcome.history is not None
    assert "unguarded" in furnished()[1].decode(outcome.history, "event")["attributes"]


def test_an_old_event_of_an_unknown_key_is_set_aside_where_the_operator_says_so() -> None:
    desk = msgspec.structs.replace(furnished()[0], max_age_ticks=15 * flow.DAY_TICKS)
    old, known = raws(duett("update", 3))[0], raws(duett("update", 1, when="2025-11-23T00:00:00Z"))[0]
    bench = Bench()

    (refused,) = flow.carry([old], SOURCES["duett"], bench, desk)
    assert isinstance(refused, Quarantined)
    assert refused.reason == "too_old"
    assert [
        getattr(one, "verdict", "") for one in flow.carry([known, old], SOURCES["duett"], bench, desk)
    ] == [
        "applied",
        "stale",
    ]


def test_credentials_are_in_no_raw_record_and_no_quarantined_one() -> None:
    whole = duett("update", 3)
    broken = callback("duett", whole.body[:-20])

    for one in [*received(whole), *received(broken)]:
        assert b"canary" not in one.body
        assert "clientKey" in one.meta.redacted


def test_a_raw_record_holds_the_exact_bytes_of_its_element() -> None:
    body = b'[ {"event" : "SalesOrder_Changed",\t"entityLocation":"api/v1/salesorder/1","timeStamp":1.0e3} ]'

    (raw,) = raws(callback("visma-net", body))

    assert raw.body == body[2:-2]


def test_masked_columns_keep_their_last_characters_and_a_hash_that_joins() -> None:
    bench = worked(duett("update", 3, bankAccount="1822.15.336658", payedFromBankAccount="1822.15.336658"))

    row = bench.row(ROW)
    assert row["bank_account"] == "**********6658"
    assert row["bank_account_hash"] == row["paid_from_bank_account_hash"]


def test_a_record_too_large_for_its_topic_is_set_aside_before_any_transaction() -> None:
    bench = worked(duett("update", 3, description="x" * 1_000_001))

    assert bench.verdicts() == ["too_large"]


def test_a_version_never_passes_through_a_float() -> None:
    number = visma("SalesOrder_Changed", 0)
    text = callback("visma-net", number.body.replace(b"638974335577900000", b'" 638974335577900000 "'))

    assert _last(worked(number)).event.version == _last(worked(text)).event.version == 17_618_367_577_900_000


def test_a_replay_of_a_raw_record_says_the_same_whenever_it_is_read() -> None:
    (raw,) = raws(duett("update", 1, when="2999-01-01T00:00:00Z"))
    replayed = msgspec.structs.replace(raw, meta=msgspec.structs.replace(raw.meta, origin="recovery"))

    assert _last(Bench().work([raw])).event.state == _last(Bench().work([replayed])).event.state


def _last(bench: Bench) -> Outcome:
    one = bench.outcomes[-1]
    assert isinstance(one, Outcome)
    return one
