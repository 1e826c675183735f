"""Erasure of a key: nothing of it stays, and nothing received before brings it back."""

import json
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from furniture import NOON_US, PROVENANCE, Bench, callback, furnished, raws

from connector.core import erasure
from connector.core.again import again
from connector.core.changelog import guard
from connector.core.identity import state
from connector.core.selection import Selection
from connector.errors import Misconfigured
from connector.model import TICKS_PER_US, EntityKey, Outcome, Position, Quarantined, RawRecord
from connector.runtime.erasing import parse
from connector.sources import SOURCES

GUID = "dddddddd-0000-4000-8000-00000000000a"
CANARY = "Canary Søndergård"
KEY = EntityKey.of("duett", "acme", "customer", "13017")
ACCOUNT = EntityKey.of("visma-net", "acme", "customer", "55555")
OWNER = EntityKey.of("visma-net", "acme", "identity", f"customer.{GUID}")


def duett(minute: int, event: str = "update", **data: Any) -> RawRecord:
    body = {
        "clientKey": "25508d90-7c58-49cd-8baf-7274a3a0420c",
        "subscription": "Customer",
        "event": event,
        "eventTime": f"2025-11-24T15:{minute:02}:00.0000000Z",
        "data": json.dumps({"Id": 13017, "CustomerNumber": 13017, "Name": CANARY, **data}),
    }
    (raw,) = raws(callback("duett", body))
    return raw


def visma(minute: int, number: int = 55555) -> RawRecord:
    body = {
        "event": "Customer_Updated",
        "companyId": "1262489",
        "entityId": GUID,
        "notificationId": "e1691481-7a3c-4d52-9b1f-20c6d1a907ff",
        "entityLocation": f"api/v1/customer/{number}",
        "timeStamp": str(638_995_968_000_000_000 + minute * 600_000_000),
    }
    (raw,) = raws(callback("visma-net", body))
    return raw


def erased(key: EntityKey = KEY, at_us: int = NOON_US + 1) -> RawRecord:
    return erasure.erasure(key, "01JERASURE", at_us, "erase:0123abcd")


def records(bench: Bench) -> list[Any]:
    return [record for one in bench.outcomes if isinstance(one, Outcome) for record in one.records]


def everything(bench: Bench) -> bytes:
    """All bytes an erasure and what follows it leave, history included."""
    left = b""
    for one in bench.outcomes:
        assert isinstance(one, Outcome)
        left += one.history or b""
        for record in one.records:
            left += (record.value or b"") + b"".join(text for _, text in record.headers)
        for sent in one.forwards:
            left += sent.body
    return left


def test_an_erased_key_is_a_delete_without_identifiers_and_a_tombstone() -> None:
    before = duett(1)
    bench = Bench().work([before])
    written = len(bench.outcomes)
    bench.work([erased()])
    delete, tombstone = records(bench)[-2:]
    bench.outcomes = bench.outcomes[written:]

    value = furnished()[1].decode(delete.value, "customer")
    assert value["meta_op"] == "DELETE"
    assert value["meta_detected_by"] == "erase"
    assert value["meta_event_id"] == "erase:0123abcd"
    said = {name for name, one in value.items() if one is not None} - PROVENANCE
    assert said == {
        *("meta_op", "meta_key", "meta_source", "meta_tenant", "meta_version", "meta_occurred_at"),
        *("meta_fidelity", "meta_detail_stale", "meta_clocks", "id"),
    }
    assert (tombstone.value, tombstone.key) == (None, KEY)
    assert guard(tombstone.headers) == bench.known[KEY.text].state
    assert CANARY.encode() not in everything(bench)


def test_the_history_says_who_deleted() -> None:
    bench = Bench().work([duett(1), erased()])
    last = bench.outcomes[-1]

    assert isinstance(last, Outcome)
    told = furnished()[1].decode(last.history or b"", "event")
    assert (told["operation"], told["verdict"], told["meta_detected_by"]) == ("delete", "applied", "erase")


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_in_any_order_with_what_was_received_before_it_stays_away(order: tuple[int, ...]) -> None:
    ahead = duett(0)
    ahead = RawRecord(
        ahead.key, ahead.body.replace(b"T15:00", b"T16:09"), ahead.meta
    )  # believed: nine minutes
    sent = [duett(1, "create"), duett(2), ahead, erased()]

    bench = Bench().work([sent[at] for at in order])
    bench.work(sent[:3])

    version = b"%d" % ((NOON_US + 1) * TICKS_PER_US + erasure.AHEAD_TICKS)
    assert bench.changelog() == {KEY.text: {"tombstone": version, "successor": None}}


def test_a_change_after_it_is_a_new_entity_without_the_old_data() -> None:
    bench = Bench().work([duett(1, Email="canary@example.com"), erased()])
    later = duett(30)
    later = RawRecord(later.key, later.body.replace(b"T15:30", b"T16:30"), later.meta)
    meta = msgspec.structs.replace(later.meta, received_us=NOON_US + 3_600_000_000)
    bench.work([RawRecord(later.key, later.body, meta)])

    assert bench.row(KEY.text)["meta_op"] == "UPSERT"
    assert not [one for one in bench.row(KEY.text).values() if one == "canary@example.com"]


def test_an_unknown_key_is_erased_too_and_stays_away() -> None:
    bench = Bench().work([erased(), duett(1)])

    assert [one.value for one in records(bench)][-1] is None
    assert len(records(bench)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_guid_is_forgotten_and_late_sightings_do_not_bring_it_back(seed: int) -> None:
    sent = [visma(1), visma(2)]
    bench = Bench().work(sent).work([erased(ACCOUNT)])
    last = [record for record in records(bench) if record.key == OWNER][-1]

    assert last.value is None
    assert guard(last.headers) == bench.known[OWNER.text].state
    count = len(records(bench))
    bench.work([*sent, erased(ACCOUNT)], Random(seed))
    assert len(records(bench)) == count


def test_a_guid_that_is_seen_anew_has_no_other_key_left() -> None:
    bench = Bench().work([visma(1, 44444), visma(2)]).work([erased(ACCOUNT)])
    later = visma(200)
    meta = msgspec.structs.replace(later.meta, received_us=NOON_US + 4 * 3_600_000_000)
    bench.work([RawRecord(later.key, later.body, meta)])

    row = bench.row(ACCOUNT.text)
    assert (row["meta_op"], row.get("previous_key")) == ("UPSERT", None)
    identity = [record for record in records(bench) if record.key == OWNER][-1]
    told = furnished()[1].decode(identity.value, "identity")
    assert [one["key"] for one in told["keys"]] == [ACCOUNT.text]
    assert state(told) == bench.known[OWNER.text].state, "a state told anew is the one in memory"


def test_a_replay_leaves_erasures_alone_and_a_retry_takes_them_as_they_are() -> None:
    raw = erased()
    source = SOURCES["duett"]
    at = Position("erp.raw.duett", 0, 1)
    set_aside = Quarantined(KEY.text, raw.body, "by_operator", "", "", raw.meta, "duett", at)

    assert Selection().left_out(raw) == "erase"
    assert again(set_aside, source, None, furnished()[0].privacy) == [raw]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("duett/acme/customer", "four parts"),
        ("duet/acme/customer/1", "no such source"),
        ("duett/acme/identity/1", "has no entity identity"),
        ("duett/acme/customer/", "none of them empty"),
        ("duett/acme/customer/a b", "the topics write this key as duett/acme/customer/a%20b"),
        ("duett/acme/customer/%31", "the topics write this key as duett/acme/customer/1"),
    ],
)
def test_a_key_that_is_none_is_told(text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        parse(text)
