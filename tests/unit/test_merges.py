"""QuickFile merges: two keys, each written by its own owner."""

from __future__ import annotations

import json
from typing import Any

from furniture import Bench, callback, raws

from connector.core.identity import ENTITY as IDENTITY
from connector.model import Outcome

SOURCE, TARGET = (f"quickfile/acme/customer/{number}" for number in "12")


def clients(name: str, hour: int, **item: Any) -> list[Any]:
    sent = {name: [{"TimeStamp": f"2025-06-02T{hour:02}:00:00", **item}], "Hookid": f"h{hour}"}
    return raws(callback("quickfile", {"PayLoad": sent}))


def merge(hour: int, *, deleted: bool) -> list[Any]:
    return clients("ClientMerged", hour, SourceId=1, TargetId=2, Deleted=deleted)


def both() -> list[Any]:
    return clients("ClientsCreated", 1, Id=1) + clients("ClientsCreated", 1, Id=2)


def test_a_merge_is_one_raw_record_keyed_by_its_source() -> None:
    (raw,) = merge(3, deleted=True)

    assert raw.key.text == SOURCE


def test_a_merge_that_deletes_leaves_a_tombstone_naming_the_successor() -> None:
    bench = Bench().work(both() + merge(3, deleted=True))

    assert "tombstone" in bench.changelog()[SOURCE]
    assert [one["id"] for one in bench.row(TARGET)["merged_from"]] == ["1"]
    tombstone = next(
        record
        for one in bench.outcomes
        if isinstance(one, Outcome)
        for record in one.records
        if record.value is None
    )
    assert dict(tombstone.headers)["x-erp-successor"].decode() == TARGET


def test_a_merge_that_keeps_its_source_marks_both() -> None:
    bench = Bench().work(both() + merge(3, deleted=False))

    assert bench.row(SOURCE)["merged_into"] == "2"
    assert [one["id"] for one in bench.row(TARGET)["merged_from"]] == ["1"]


def test_a_later_plain_delete_does_not_lose_the_successor() -> None:
    merged_first = Bench().work(both() + merge(3, deleted=False) + clients("ClientsDeleted", 4, Id=1))
    deleted_first = Bench().work(both() + clients("ClientsDeleted", 4, Id=1) + merge(3, deleted=False))

    assert merged_first.changelog() == deleted_first.changelog()
    for bench in (merged_first, deleted_first):
        last = [
            record
            for one in bench.outcomes
            if isinstance(one, Outcome) and one.event.key.entity != IDENTITY
            for record in one.records
            if record.key.text == SOURCE
        ][-1]
        assert dict(last.headers)["x-erp-successor"].decode() == TARGET


def test_the_forwarded_effect_carries_the_receipt_of_its_cause() -> None:
    bench = Bench().work(merge(3, deleted=True))

    (sent,) = [sent for one in bench.outcomes if isinstance(one, Outcome) for sent in one.forwards]
    assert sent.key.text == TARGET
    assert sent.meta.origin == "forward"
    assert (sent.meta.received_us, sent.meta.delivery_id) == (
        bench.outcomes[0].event.meta.received_us,  # type: ignore[union-attr]  # an Outcome: nothing is quarantined
        "01JDELIVERY",
    )
    assert json.loads(sent.body)["sets"][0][:2] == ["merged_from", "1"]
