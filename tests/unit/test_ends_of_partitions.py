"""Which ends of partitions an intake commits: never one of a partition that somebody else may read now."""

from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, TopicPartition
from rig import NOBODY

from connector.entities import ENTITIES
from connector.runtime import trailing
from connector.runtime.assignment import Assignment, Place
from connector.runtime.batch import Cycle
from connector.runtime.intake import Intake
from connector.runtime.settings import WorkerSettings
from connector.sources import SOURCES
from connector.topics import Topics

TOPIC = "erp.raw.duett"
A, B = (TOPIC, 0), (TOPIC, 1)


class Told:
    """A message of the client that is no record."""

    def __init__(self, place: Place, offset: int, code: int = KafkaError._PARTITION_EOF) -> None:  # noqa: SLF001  its public name
        self._place, self._offset, self._code = place, offset, code

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError:
        return KafkaError(self._code)


class Standing:
    """Partitions as a test wants them; stands in for what Kafka assigns."""

    def __init__(self) -> None:
        self.topics = Topics("erp", SOURCES, ENTITIES)
        self.live = {A, B}
        self.owned = {A, B}
        self.rebuilding = False
        self.state = self

    def drop(self, epoch: int) -> None:
        """Forget what is not committed."""

    def rewind(self, consumer: Any, *, forget: bool) -> None:
        """Read nothing for now."""

    def advance(self, consumer: Any) -> None:
        """Begin no rebuild."""

    def let_go(self, consumer: Any, partitions: list[TopicPartition], *, cooperative: bool) -> None:
        """Lose partitions."""
        del consumer, cooperative
        gone = {(one.topic, one.partition) for one in partitions}
        self.live -= gone
        self.owned -= gone


class Bench:
    """An intake that is no member of a group, and what it hands over."""

    def __init__(self) -> None:
        self.standing = Standing()
        self.handed: list[Cycle] = []
        self.intake = Intake(
            {"bootstrap.servers": NOBODY, "group.id": "nobody", "log_level": 0},
            cast("Assignment", self.standing),
            WorkerSettings(),
            cooperative=True,
            hand_over=self.handed.append,
            fail=lambda _: None,
            stray=lambda: False,
        )

    def polled(self, *messages: Told) -> None:
        """Let the intake make a cycle of what it polled."""
        self.intake._cut(cast("Any", list(messages)))  # noqa: SLF001  what its thread does

    def offsets(self) -> list[dict[Place, int]]:
        """What each cycle commits."""
        return [{(one.topic, one.partition): one.offset for one in cycle.offsets} for cycle in self.handed]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(trailing, "IDLE_S", 0.0)
    return Bench()


def test_an_end_nobody_takes_along_gets_a_cycle_without_records(bench: Bench) -> None:
    bench.polled(Told(A, 7))
    bench.polled()

    assert bench.offsets() == [{A: 7}]
    assert bench.handed[0].records == 0
    assert [batch.source for batch in bench.handed[0].batches.values()] == [next(iter(SOURCES))]


@pytest.mark.parametrize("how", ["_revoked", "_lost"])
def test_ends_of_partitions_that_are_let_go_are_not_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(trailing, "IDLE_S", 60.0)
    bench.polled(Told(A, 7), Told(B, 9))
    getattr(bench.intake, how)(None, [TopicPartition(*A)])
    bench.standing.live = {A, B}  # it comes back, perhaps, when somebody else has read on
    monkeypatch.setattr(trailing, "IDLE_S", 0.0)
    bench.intake._rewinding.clear()  # noqa: SLF001  the partition that stays is read
    bench.polled()

    assert bench.offsets() == ([{B: 9}] if how == "_revoked" else [])


def test_ends_are_forgotten_when_everything_is_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trailing, "IDLE_S", 60.0)
    bench.polled(Told(A, 7))
    bench.intake.rewind()
    bench.intake._turn()  # noqa: SLF001  what its thread does
    monkeypatch.setattr(trailing, "IDLE_S", 0.0)
    bench.polled()

    assert bench.offsets() == []
