from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connector.runtime import samples
from connector.runtime.passing import passing

ASKED = [TopicPartition("erp.raw.duett", 0)]
KNOWN = [TopicPartition("erp.raw.duett", 0, 7)]


class Coordinator:
    """Answers a look-up of offsets as it is told."""

    def __init__(self, *codes: int, then: int | None = None) -> None:
        self.asked = 0
        self._codes: Iterator[int | None] = chain(codes, repeat(then))

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Refuse, or answer."""
        del asked, timeout
        self.asked += 1
        if (code := next(self._codes)) is not None:
            raise KafkaException(KafkaError(code))
        return KNOWN


def look_up(coordinator: Coordinator) -> Any:
    return samples.patiently(cast("Consumer", coordinator), ASKED)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_AGAIN_S", 0.001)


def test_a_coordinator_that_is_loaded_or_moves_is_asked_until_it_answers() -> None:
    coordinator = Coordinator(
        *[KafkaError.COORDINATOR_LOAD_IN_PROGRESS] * 10,
        *[KafkaError.NOT_COORDINATOR] * 10,
        KafkaError.LEADER_NOT_AVAILABLE,
    )

    assert look_up(coordinator) == KNOWN
    assert coordinator.asked == 22


def test_one_that_never_answers_is_asked_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_PATIENCE_S", 0.05)

    with pytest.raises(KafkaException, match="NOT_COORDINATOR"):
        look_up(Coordinator(then=KafkaError.NOT_COORDINATOR))


def test_what_does_not_end_by_itself_is_told_at_once() -> None:
    coordinator = Coordinator(KafkaError.GROUP_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        look_up(coordinator)
    assert coordinator.asked == 1
    assert not passing(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert passing(KafkaError(KafkaError._TRANSPORT, retriable=True))  # noqa: SLF001  its public name
