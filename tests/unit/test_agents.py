"""What an agent does with a batch beside carrying it: it counts, warns, names the record that met a bug."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Message
from furniture import callback, furnished, raws

from connector.core.source import Source
from connector.model import RawRecord, Reading
from connector.runtime import strangers, wire
from connector.runtime.agents import Carrier, Poison
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.desk import topics_under
from connector.runtime.metrics import METRICS
from connector.runtime.state import State, entry_of
from connector.runtime.telemetry import fault, log
from connector.runtime.wire import KafkaRecord
from connector.sources import SOURCES

TOPICS = topics_under("erp")


@pytest.fixture
def warned() -> Iterator[list[logging.LogRecord]]:
    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record)

    told: list[logging.LogRecord] = []
    kept = Kept(logging.WARNING)
    log.addHandler(kept)
    yield told
    log.removeHandler(kept)


class Worker:
    """One agent of one source, its state, and messages as a consumer would give them."""

    def __init__(self, source: Source) -> None:
        desk, codecs = furnished()
        self.state = State(desk.changelogs, codecs, 60.0)
        self.partition = self.state.take(source.name, 7, 0.0)
        self.carrier = Carrier(source, TOPICS, desk, self.state, frozenset())
        self.name = source.name
        self.offset = 1000

    def carry(self, records: list[RawRecord]) -> list[KafkaRecord]:
        batch = Batch(Cycle(0, 0, Fence(None)), self.name)
        batch.messages[7] = [self._message(one) for one in records]
        return self.carrier.carry(batch)

    def _message(self, raw: RawRecord) -> Message:
        one = wire.from_raw(TOPICS, raw)
        self.offset += 1
        return Message(one.topic, 7, self.offset, one.key, one.value, one.headers)


def counted(name: str, **labels: str) -> float:
    return METRICS.get_sample_value(f"connector_{name}", labels) or 0.0


def row(number: int = 1, **changed: Any) -> list[RawRecord]:
    told = {"subscription": "Voucher", "event": "update", "eventTime": "2025-11-20T11:00:32Z"}
    return raws(callback("duett", {**told, "data": json.dumps({"id": number}), **changed}))


def order(number: int, tick: int, event: str) -> list[RawRecord]:
    told = {"event": event, "entityLocation": f"api/v1/salesorder/{number}", "companyId": "1"}
    return raws(
        callback("visma-net", {**told, "timeStamp": 638992335577900000 + tick, "mood": 1, "Mood2": 2})
    )


def test_tolerances_unknown_fields_and_ending_events_are_counted_once_per_event() -> None:
    names = {
        "alias": ("tolerances_total", {"source": "visma-net", "tolerance": "event_id_made"}),
        "fields": ("unknown_fields_total", {"source": "visma-net", "entity": "sales_order"}),
        "ending": ("deprecated_events_total", {"source": "visma-net"}),
        "zone": ("tolerances_total", {"source": "quickfile", "tolerance": "zone_assumed"}),
        "clock": ("tolerances_total", {"source": "quickfile", "tolerance": "clock_suspect"}),
        "clocks": ("clock_suspect_events_total", {"source": "quickfile"}),
    }
    before = {name: counted(metric, **labels) for name, (metric, labels) in names.items()}

    Worker(SOURCES["visma-net"]).carry(order(1, 0, "SalesOrder_Changed") + order(2, 0, "SalesOrder_Changed"))
    ahead = {"TimeStamp": "2035-01-01T00:00:00", "SourceId": 1, "TargetId": 2}
    merges = raws(callback("quickfile", {"PayLoad": {"ClientMerged": [ahead], "Hookid": "h"}}))
    worker = Worker(SOURCES["quickfile"])
    sent = [one for one in worker.carry(merges) if one.topic == TOPICS.raw["quickfile"]]
    forward = [wire.to_raw(Message(one.topic, 7, 1, one.key, one.value, one.headers)) for one in sent]
    assert [one.key.id for one in forward] == ["2"]
    worker.carry(forward)

    after = {name: counted(metric, **labels) for name, (metric, labels) in names.items()}
    assert {name: after[name] - before[name] for name in names} == {
        "alias": 2,
        "fields": 4,
        "ending": 2,
        "zone": 1,
        "clock": 1,
        "clocks": 1,
    }


def test_a_flag_of_another_version_is_no_label_of_its_own() -> None:
    """The label must stay a closed list, whatever stands in the headers of a raw topic."""
    (raw,) = row()
    odd = RawRecord(raw.key, raw.body, msgspec.structs.replace(raw.meta, flags=("x" * 300,)))
    before = counted("tolerances_total", source="duett", tolerance="other")

    Worker(SOURCES["duett"]).carry([odd])

    assert counted("tolerances_total", source="duett", tolerance="other") == before + 1


def account(number: int, tick: int, event: str) -> list[RawRecord]:
    told = {"event": event, "entityLocation": f"api/v1/account/{number}", "companyId": "1", "entityId": "g9"}
    return raws(callback("visma-net", {**told, "timeStamp": 638992335577900000 + tick}))


def test_new_numbers_without_an_old_one_are_counted_and_so_is_their_end() -> None:
    """A-14."""
    worker = Worker(SOURCES["visma-net"])
    names = ("identity_change_unresolved_total", "identity_change_resolved_total")
    before = [counted(name, source="visma-net") for name in names]
    for arrived in (account(2, 9, "Account Identity Changed"), account(1, 0, "Account_Updated")):
        sent = [one for one in worker.carry(arrived) if one.topic == TOPICS.raw["visma-net"]]
        batch = Batch(Cycle(0, 0, Fence(None)), "visma-net")
        batch.messages[7] = [Message(one.topic, 7, 1, one.key, one.value, one.headers) for one in sent]
        worker.carrier.carry(batch)

    after = [counted(name, source="visma-net") for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1]


def test_an_unknown_event_name_is_told_once_in_its_compared_form(warned: list[logging.LogRecord]) -> None:
    """A-16, R-02."""
    before = counted("unknown_events_total", source="duett")
    worker = Worker(SOURCES["duett"])
    hostile = row(subscription="Voucher\n\x1b[2J", event="Ärchived" + "x" * 200)

    worker.carry(hostile * 3)
    worker.carry(hostile + row(event="archived") + row(event="deleted"))

    assert counted("unknown_events_total", source="duett") == before + 6
    assert [(one.token, one.getMessage().split(", ")[1]) for one in warned] == [  # type: ignore[attr-defined]  # from `extra`
        ("voucher2jrchived" + "x" * (strangers.LONGEST - 16), "kept as history"),
        ("voucherarchived", "kept as history"),
        ("voucherdeleted", "read by the verb in its name"),
    ]


def test_endless_new_names_do_not_fill_the_log(warned: list[logging.LogRecord]) -> None:
    worker = Worker(SOURCES["duett"])

    worker.carry([one for number in range(strangers.MOST + 50) for one in row(event=f"odd {number}")])

    assert len(warned) == strangers.MOST + 1
    assert warned[-1].getMessage() == "unknown event names: no more are told"


def broken(raw: RawRecord) -> Reading:
    if raw.key.id == "3":
        raise KeyError(raw.body)
    return SOURCES["duett"].normalise(raw)


def test_the_record_whose_reading_meets_a_bug_is_named() -> None:
    worker = Worker(msgspec.structs.replace(SOURCES["duett"], normalise=broken))

    with pytest.raises(Poison) as met:
        worker.carry([one for number in (1, 2, 3, 4) for one in row(number)])

    assert str(met.value).startswith("erp.raw.duett/7/1003: KeyError, a bug")
    assert "name erp.raw.duett/7/1003 in worker.quarantine" in str(met.value)


def test_the_record_whose_known_state_meets_a_bug_is_named() -> None:
    worker = Worker(SOURCES["duett"])
    worker.partition.entries.put({"duett/acme/voucher_line/3": entry_of(0, b"\0\0\0\0\x01")})

    with pytest.raises(Poison, match=r"^erp\.raw\.duett/7/1003: "):
        worker.carry([one for number in (1, 2, 3, 4) for one in row(number)])


def test_what_is_no_bug_keeps_its_own_words() -> None:
    def away(raw: RawRecord) -> Reading:
        raise OSError(5, "Input/output error", raw.key.text)

    worker = Worker(msgspec.structs.replace(SOURCES["duett"], normalise=away))

    with pytest.raises(OSError, match="Input/output error"):
        worker.carry(row())


def test_the_log_shows_the_bug_and_no_value() -> None:
    worker = Worker(msgspec.structs.replace(SOURCES["duett"], normalise=broken))
    with pytest.raises(Poison) as met:
        worker.carry(row(3, tag="a secret"))

    told = fault(met.value)

    assert (told["error"], told["cause"]) == ("Poison", "KeyError")
    assert "test_agents.py" in str(told["trace"][-1])  # type: ignore[index]  # a list
    assert "a secret" not in json.dumps(told)


def test_quarantine_names_class_delivery_and_version() -> None:
    (raw,) = row()
    forward = RawRecord(raw.key, b"no state", msgspec.structs.replace(raw.meta, origin="forward"))

    (laid,) = Worker(SOURCES["duett"]).carry([forward])

    headers = dict(laid.headers)
    assert laid.topic == "erp.quarantine"
    assert (headers["error"], headers["reason"]) == (b"Unreadable", b"unreadable")
    assert (headers["raw"], headers["delivery_id"]) == (b"erp.raw.duett/7/1001", b"01JDELIVERY")
    assert headers["code_version"]
