"""Without transactions: what is written first, what fails, and who ends itself."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from connector.runtime import awaited
from connector.runtime.awaited import Awaited
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.clients import producer_config
from connector.runtime.offsets import NotCommitted, Offsets
from connector.runtime.settings import Settings, WorkerSettings
from connector.runtime.standstill import Standstill
from connector.runtime.transactions import NoOutcome
from connector.runtime.wire import KafkaRecord

LOST = KafkaError._MSG_TIMED_OUT  # noqa: SLF001  the client's public name
AWAY = KafkaError._TRANSPORT  # noqa: SLF001  likewise
STATES = frozenset({"erp.changelog.customer"})


class Client:
    """A producer that notes what it is given, and confirms it when it is flushed."""

    def __init__(self, refuse: str = "", code: int = LOST) -> None:
        self.steps: list[str] = []
        self.waiting: list[tuple[str, Any]] = []
        self.refuse, self.code = refuse, code
        self.message = Message(offset=0)
        self.at_once = False
        """Tell of each record while it is handed over, as a full queue makes the client do."""

    def __call__(self, _config: Any) -> Client:
        return self

    def produce(self, topic: str, *_: Any, on_delivery: Any, **__: Any) -> None:
        self.waiting.append((topic, on_delivery))
        if self.at_once:
            self.flush(0)

    def flush(self, _timeout: float) -> int:
        waiting, self.waiting = self.waiting, []
        for topic, told in waiting:
            told(KafkaError(self.code) if topic == self.refuse else None, self.message)
        self.steps.append("+".join(topic for topic, _ in waiting))
        return 0

    def purge(self) -> None:
        self.steps.append("purge")


def cycle() -> Cycle:
    one = Cycle(0, 0, Fence(None))
    batch = one.batches["duett"] = Batch(one, "duett")
    one.outputs[batch.source] = [
        KafkaRecord(topic, b"k", b"v", [])
        for topic in ("erp.changelog.customer", "erp.events", "erp.raw.duett")
    ]
    one.offsets = [TopicPartition("erp.raw.duett", 0, 7)]
    return one


def written(monkeypatch: pytest.MonkeyPatch, client: Client, wants: list[bool] | None = None) -> list[str]:
    """Write one cycle; give what was done, in its order."""
    monkeypatch.setattr(awaited, "Producer", client)
    wanted = wants or [True]

    def commit(_cycle: Cycle) -> None:
        client.steps.append("offsets")

    def wants_it(_cycle: Cycle) -> bool:
        return wanted.pop(0) if len(wanted) > 1 else wanted[0]

    delivery = Awaited({}, STATES, wants_it, commit, lambda: None)
    asyncio.run(delivery.commit(cycle()))
    return client.steps


def test_what_becomes_state_is_written_last_and_the_offsets_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, Client()) == ["erp.events+erp.raw.duett", "erp.changelog.customer", "offsets"]


@pytest.mark.parametrize("topic", ["erp.events", "erp.changelog.customer"])
def test_after_one_refusal_no_later_step_is_done(monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    client = Client(refuse=topic)

    with pytest.raises(NoOutcome, match="_MSG_TIMED_OUT"):
        written(monkeypatch, client)

    assert "offsets" not in client.steps
    assert ("erp.changelog.customer" in client.steps) == (topic == "erp.changelog.customer")


def test_a_refusal_that_is_told_before_anybody_waits_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client(refuse="erp.changelog.customer")
    client.at_once = True

    with pytest.raises(NoOutcome, match="_MSG_TIMED_OUT"):
        written(monkeypatch, client)

    assert "offsets" not in client.steps


def test_a_refusal_for_good_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaException):
        written(monkeypatch, Client("erp.events", KafkaError.TOPIC_AUTHORIZATION_FAILED))


def test_a_cycle_that_was_dropped_in_between_becomes_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()

    with pytest.raises(NoOutcome, match="lost"):
        written(monkeypatch, client, wants=[False])

    assert client.steps == ["erp.events+erp.raw.duett"]


class Group:
    """A consumer whose commits end as it is told."""

    def __init__(self, *codes: int | None) -> None:
        self.codes = list(codes)
        self.commits = 0

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        self.commits += 1
        if (code := self.codes.pop(0)) is not None:
            raise KafkaException(KafkaError(code))
        return offsets


def asked(offsets: Offsets, one: Cycle) -> tuple[threading.Thread, list[Exception]]:
    """Ask for a commit in a thread, as the outlet does."""
    failures: list[Exception] = []

    def commit() -> None:
        try:
            offsets.commit(one)
        except Exception as failure:  # noqa: BLE001  looked at below
            failures.append(failure)

    thread = threading.Thread(target=commit)
    thread.start()
    return thread, failures


def served(consumer: Group, one: Cycle, still_open: list[Cycle]) -> list[Exception]:
    woken = threading.Event()
    offsets = Offsets(woken.set)
    thread, failures = asked(offsets, one)
    assert woken.wait(20)
    while thread.is_alive():
        offsets.serve(consumer, still_open)
        thread.join(0.01)
    return failures


def test_offsets_are_committed_by_whoever_serves() -> None:
    one, group = cycle(), Group(None)
    assert served(group, one, [one]) == []
    assert group.commits == 1


def test_a_commit_that_meets_a_rebalance_is_tried_again() -> None:
    one, group = cycle(), Group(KafkaError.REBALANCE_IN_PROGRESS, AWAY, None)
    assert served(group, one, [one]) == []
    assert group.commits == 3


def test_a_commit_that_is_refused_is_told() -> None:
    one = cycle()
    (failure,) = served(Group(KafkaError.GROUP_AUTHORIZATION_FAILED), one, [one])
    assert isinstance(failure, KafkaException)


def test_of_a_dropped_cycle_nothing_is_committed() -> None:
    group = Group(None)
    (failure,) = served(group, cycle(), [cycle()])
    assert isinstance(failure, NotCommitted)
    assert group.commits == 0, "fresh metadata would have let it through"


def test_a_process_that_stood_still_ends_whoever_looks_first() -> None:
    for look in ("check", "stamp"):
        now, ends = [0.0], []
        still = Standstill(3.0, clock=lambda now=now: now[0], end=lambda ends=ends: ends.append(1))
        now[0] = 2.9
        still.stamp()
        now[0] = 5.8
        still.check()
        assert not ends
        now[0] = 6.0
        getattr(still, look)()
        assert ends == [1], look


def test_what_waits_in_a_stopped_process_is_too_old_to_be_sent_when_others_have_its_partitions() -> None:
    settings = Settings(worker=WorkerSettings(delivery="at_least_once", session_timeout_ms=6000))
    config = producer_config(settings, {"bootstrap.servers": "kafka:9092"})

    assert "transactional.id" not in config
    assert config["enable.idempotence"] == "true"
    assert int(config["delivery.timeout.ms"]) * 2 <= 6000
    assert "transactional.id" in producer_config(Settings(), {})
