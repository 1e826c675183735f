"""The checker of the chaos program counts every kind of tampering, and nothing else."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from callbacks import Vendors
from furniture import NOON_US
from ledger import Row
from reader import Record

from tests.chaos.checker import Checker
from tests.chaos.rows import Rows
from tests.chaos.written import Log, Writer

CALLBACKS = 1500
Tamper = Callable[[Log], None]


@cache
def written() -> tuple[list[Row], Log]:
    writer = Writer()
    for made in Vendors(5, "a client key", now_s=NOON_US // 1_000_000).callbacks(CALLBACKS):
        writer.receive(made.source, made.body)
    return writer.finish()


def check(rows: list[Row], log: Log) -> Checker:
    kept = Rows()
    for row in rows:
        kept.append(row)
    checker = Checker(kept)
    takes = {
        "raw": checker.take_raw,
        "quarantine": checker.take_quarantined,
        "events": checker.take_event,
        "changelog": checker.take_change,
    }
    for kind, take in takes.items():
        for record in log[kind]:
            take(record)
    checker.close()
    return checker


def test_what_the_product_writes_is_clean() -> None:
    rows, log = written()

    checker = check(rows, log)

    assert dict(checker.wrong) == {}, "\n".join(checker.lines)
    assert checker.acked == CALLBACKS
    assert checker.raw == sum(row.accepted for row in rows)
    assert checker.raw + checker.forwarded == len(log["raw"])
    assert checker.quarantined == sum(row.quarantined for row in rows) > 0
    assert checker.verdicts["applied"] > CALLBACKS // 2
    assert checker.verdicts["stale"] + checker.verdicts["duplicate"] > CALLBACKS // 10
    assert checker.open.unanswered == 0


def a_raw_record_is_gone(log: Log) -> None:
    place = next(i for i, one in enumerate(log["raw"]) if b'"origin"' not in one.headers["meta"])
    gone = log["raw"].pop(place)
    log["events"] = [one for one in log["events"] if one.value["raw_offset"] != gone.offset]


def an_event_is_gone(log: Log) -> None:
    stale = next(i for i, one in enumerate(log["events"]) if one.value["verdict"] == "stale")
    del log["events"][stale]


def an_applied_event_left_no_record(log: Log) -> None:
    last = _last_upsert(log)
    log["changelog"].remove(last)


def a_key_is_gone(log: Log) -> None:
    key = _last_upsert(log).key
    log["changelog"] = [one for one in log["changelog"] if one.key != key]
    log["events"] = [
        one._replace(value={**one.value, "verdict": "stale"}) if one.key == key else one
        for one in log["events"]
    ]


def an_event_is_told_twice(log: Log) -> None:
    log["events"].append(next(one for one in log["events"] if one.value["verdict"] == "stale"))


def an_event_names_a_record_nobody_wrote(log: Log) -> None:
    one = next(one for one in log["events"] if one.value["verdict"] == "stale")
    log["events"].append(one._replace(value={**one.value, "raw_offset": len(log["raw"]) + 5}))


def a_change_is_told_twice(log: Log) -> None:
    log["changelog"].append(_last_upsert(log))


def an_older_state_comes_after_a_newer_one(log: Log) -> None:
    key = _last_upsert(log).key
    places = [i for i, one in enumerate(log["changelog"]) if one.key == key and one.value is not None]
    first, last = places[-2], places[-1]
    log["changelog"][first], log["changelog"][last] = log["changelog"][last], log["changelog"][first]


def a_column_is_older_than_its_clock(log: Log) -> None:
    _alter_last(log, "duett/acme/customer", lambda value: value | {"name": "Kunde of old"})


def a_clock_is_older_than_the_version(log: Log) -> None:
    _alter_last(
        log,
        "duett/acme/customer",
        lambda value: value | {"meta_clocks": value["meta_clocks"].replace("[17", "[16")},
    )


def a_late_event_won(log: Log) -> None:
    last = _last_upsert(log)
    at = log["changelog"].index(last)
    older = next(
        one for one in log["changelog"] if one.key == last.key and one.value and one.offset < last.offset
    )
    log["changelog"][at] = older._replace(headers=last.headers)


def a_tombstone_is_gone(log: Log) -> None:
    place = next(i for i, one in enumerate(log["changelog"]) if one.value is None)
    del log["changelog"][place]


def a_deleted_entity_is_back(log: Log) -> None:
    last = {one.key: one for one in log["changelog"]}
    living = next(
        one
        for one in log["changelog"]
        if last[one.key].value is None and one.value and one.value["meta_op"] == "UPSERT"
    )
    log["changelog"].append(living._replace(headers=last[living.key].headers))


def a_merge_did_not_reach_its_target(log: Log) -> None:
    _forward_is_gone(log, b"ClientMerged")


def a_new_number_was_not_told_to_its_guid(log: Log) -> None:
    _forward_is_gone(log, b"Account")


def the_bytes_are_others(log: Log) -> None:
    place = next(i for i, one in enumerate(log["raw"]) if b'"origin"' not in one.headers["meta"])
    one = log["raw"][place]
    meta = msgspec.json.decode(one.headers["meta"]) | {"body_sha256": "0" * 64}
    log["raw"][place] = one._replace(headers={"meta": msgspec.json.encode(meta)})


def _forward_is_gone(log: Log, event: bytes) -> None:
    place = next(
        i
        for i, one in enumerate(log["raw"])
        if b'"forward"' in one.headers["meta"] and event in one.headers["meta"]
    )
    gone = log["raw"].pop(place)
    log["events"] = [one for one in log["events"] if one.value["raw_offset"] != gone.offset]


def _last_upsert(log: Log) -> Record:
    """Give the last record of a living key that has several."""
    last = {one.key: one for one in log["changelog"]}
    counts = [one.key for one in log["changelog"]]
    return next(
        one
        for one in last.values()
        if one.value and one.value["meta_op"] == "UPSERT" and counts.count(one.key) > 6
    )


def _alter_last(log: Log, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    last = {one.key: i for i, one in enumerate(log["changelog"])}
    place = next(
        i for name, i in last.items() if name.startswith(key) and log["changelog"][i].value is not None
    )
    one = log["changelog"][place]
    log["changelog"][place] = one._replace(value=change(one.value))


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (a_raw_record_is_gone, "lost"),
        (an_event_is_gone, "lost"),
        (an_applied_event_left_no_record, "lost"),
        (a_key_is_gone, "lost"),
        (an_event_is_told_twice, "duplicates"),
        (an_event_names_a_record_nobody_wrote, "duplicates"),
        (a_change_is_told_twice, "duplicates"),
        (an_older_state_comes_after_a_newer_one, "regressions"),
        (a_column_is_older_than_its_clock, "mismatched"),
        (a_clock_is_older_than_the_version, "mismatched"),
        (a_late_event_won, "mismatched"),
        (a_tombstone_is_gone, "mismatched"),
        (a_deleted_entity_is_back, "mismatched"),
        (a_merge_did_not_reach_its_target, "mismatched"),
        (a_new_number_was_not_told_to_its_guid, "mismatched"),
        (the_bytes_are_others, "mismatched"),
    ],
)
def test_tampering_is_counted(tamper: Tamper, kind: str) -> None:
    rows, log = written()
    mine = {name: [_own(one) for one in records] for name, records in log.items()}
    tamper(mine)

    checker = check(rows, mine)

    assert checker.wrong[kind] > 0, dict(checker.wrong)
    assert any(line.startswith(kind) for line in checker.lines)


def test_a_record_the_doors_client_wrote_twice_is_told_and_is_no_fault() -> None:
    rows, log = written()
    mine = {name: list(records) for name, records in log.items()}
    one = next(one for one in mine["raw"] if b'"origin"' not in one.headers["meta"])
    told = next(event for event in mine["events"] if event.value["raw_offset"] == one.offset)
    mine["raw"].append(one._replace(offset=len(mine["raw"])))
    again = {**told.value, "verdict": "duplicate", "raw_offset": len(mine["raw"]) - 1}
    mine["events"].append(told._replace(value=again))

    checker = check(rows, mine)

    assert checker.open.twice == 1
    assert dict(checker.wrong) == {}


def _own(record: Record) -> Record:
    """Give a copy whose columns may be changed."""
    return record._replace(value=dict(record.value)) if isinstance(record.value, dict) else record


def test_a_million_rows_are_twenty_megabytes() -> None:
    rows = Rows()
    row = Row("0" * 26, "ab" * 32, 3, 0)
    for _ in range(1000):
        rows.append(row)

    assert len(rows) == 1000
    assert len(rows._bytes) == 20_000  # noqa: SLF001  what is promised is this size
    assert {one.accepted for one in rows.inorder()} == {3}
