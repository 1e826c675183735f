"""How the look at the lag adds up, what it says while Kafka is away, and how long a rebuild has taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from furniture import furnished
from rig import NOBODY

from connector.core.facts import Place
from connector.runtime import lag
from connector.runtime.assignment import Assignment
from connector.runtime.desk import topics_under
from connector.runtime.facts import Unanswered
from connector.runtime.lag import Behind, Lag
from connector.runtime.metrics import METRICS
from connector.runtime.rebuild import Rebuild
from connector.runtime.settings import Settings
from connector.runtime.state import State
from connector.sources import SOURCES

NOW_S = 1_700_000_000.0
DUETT, NET = "erp.raw.duett", "erp.raw.visma-net"


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lag]:
    monkeypatch.setattr("time.time", lambda: NOW_S)
    made = Lag(Settings(kafka={"bootstrap.servers": NOBODY}, topics={"partitions": 2}))
    yield made
    made.stop()


def place(topic: str, partition: int, unread: int) -> Place:
    return Place(topic, partition, 100, 0, 100 + unread)


def test_partitions_of_a_source_add_up_and_the_oldest_of_them_counts(looking: Lag) -> None:
    behind = [place(DUETT, 0, 5), place(DUETT, 1, 7), place(NET, 0, 1)]
    oldest = {(DUETT, 0): 1_699_999_990_000, (DUETT, 1): 1_699_999_940_000, (NET, 0): 1_699_999_999_000}

    looking._told = looking._summed(behind, oldest)  # noqa: SLF001  without a thread

    assert (looking.records("duett"), looking.age_s("duett")) == (12, 60.0)
    assert (looking.records("visma-net"), looking.age_s("visma-net")) == (1, 1.0)
    assert (looking.records("quickfile"), looking.age_s("quickfile")) == (0, 0.0)


def test_marks_of_transactions_are_no_lag(looking: Lag) -> None:
    told = looking._summed([place(DUETT, 0, 2)], {(DUETT, 0): None})  # noqa: SLF001  as above

    assert told == {}


def test_a_partition_whose_leader_does_not_answer_counts_and_keeps_the_age(looking: Lag) -> None:
    looking._told = {"duett": Behind(3, 1_699_999_900_000)}  # noqa: SLF001  as above

    looking._told = looking._summed([place(DUETT, 0, 4)], {})  # noqa: SLF001  as above

    assert (looking.records("duett"), looking.age_s("duett")) == (4, 100.0)


def test_a_clock_that_is_behind_the_brokers_gives_no_negative_age(looking: Lag) -> None:
    looking._told = {"duett": Behind(1, int(NOW_S * 1000) + 5000)}  # noqa: SLF001  as above

    assert looking.age_s("duett") == 0.0


def test_while_kafka_is_away_the_age_grows_on_and_the_look_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = threading.Semaphore(0)

    def away(self: Lag) -> dict[str, Behind]:
        del self
        looks.release()
        raise Unanswered("nobody")

    monkeypatch.setattr(lag, "PERIOD_S", 0.01)
    monkeypatch.setattr(Lag, "_look", away)
    looking = Lag(Settings(kafka={"bootstrap.servers": NOBODY}))
    looking._told = {"duett": Behind(3, int((time.time() - 100) * 1000))}  # noqa: SLF001  what it last saw
    looking.start()
    for _ in range(3):
        assert looks.acquire(timeout=30)
    looking.stop()

    assert looking.records("duett") == 3
    assert looking.age_s("duett") >= 100
    assert (METRICS.get_sample_value("connector_lag_age_seconds", {"source": "duett"}) or 0) >= 100


def test_a_bug_in_a_look_does_not_end_the_looking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = threading.Semaphore(0)

    def broken(self: Lag) -> dict[str, Behind]:
        del self
        looks.release()
        raise KeyError("a bug")

    monkeypatch.setattr(lag, "PERIOD_S", 0.01)
    monkeypatch.setattr(Lag, "_look", broken)
    looking = Lag(Settings(kafka={"bootstrap.servers": NOBODY}))
    looking.start()
    for _ in range(3):
        assert looks.acquire(timeout=30)
    looking.stop()

    assert "the lag could not be looked at" in caplog.text


def test_partitions_that_are_owned_and_not_read_are_counted_in_seconds_until_they_are_let_go() -> None:
    desk, codecs = furnished()
    topics = topics_under("erp")
    kafka = {"bootstrap.servers": NOBODY, "log_level": "0"}
    rebuild = Rebuild(kafka, "erp-worker", topics, lambda source: SOURCES[source].shapes, codecs.frames, 0.2)
    assignment = Assignment(topics, State(desk.changelogs, codecs, 100), rebuild)
    consumer = Consumer({**kafka, "group.id": "erp-worker"})
    place = [TopicPartition(DUETT, 0)]
    assignment.advance(consumer)
    assert assignment.behind_s() == 0

    assignment.take(consumer, place, cooperative=False)
    assignment.advance(consumer)
    first = assignment.behind_s()
    assignment.advance(consumer)  # nobody answers: it goes on waiting, and the time is not begun anew
    assert 0 < first < assignment.behind_s()

    assignment.let_go(consumer, place, cooperative=False)
    until = time.monotonic() + 60
    while assignment.behind_s() and time.monotonic() < until:
        assignment.advance(consumer)
        time.sleep(0.02)
    assert assignment.behind_s() == 0
    assignment.close()
    consumer.close()
