"""The mock cluster itself: the faults other tests inject do what they are called."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from mock import END_TXN, PRODUCE, MockKafka

pytestmark = pytest.mark.mock

NOT_LEADER, TIMED_OUT, TOPIC_AUTHORIZATION_FAILED, PRODUCER_FENCED = 6, 7, 29, 90


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with MockKafka() as cluster:
        cluster.topic("raw", 1)
        yield cluster


def deliver(kafka: MockKafka, **properties: object) -> list[KafkaError | None]:
    answers: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all", **properties})
    producer.produce("raw", b"{}", on_delivery=lambda error, _: answers.append(error))
    producer.flush(30)
    return answers


def test_a_record_is_acknowledged(kafka: MockKafka) -> None:
    assert deliver(kafka) == [None]


def test_retriable_answers_are_retried_until_the_record_is_acknowledged(kafka: MockKafka) -> None:
    kafka("start_request_tracking")
    kafka.fail(PRODUCE, NOT_LEADER, NOT_LEADER, TIMED_OUT)

    assert deliver(kafka) == [None]
    assert kafka.requests(PRODUCE) == 4


def test_a_refused_topic_fails_at_once(kafka: MockKafka) -> None:
    kafka("topic_set_error", "raw", TOPIC_AUTHORIZATION_FAILED)

    (error,) = deliver(kafka)

    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_dead_cluster_times_the_record_out(kafka: MockKafka) -> None:
    for broker in range(1, kafka.brokers + 1):
        kafka("broker_set_down", broker)
    started = time.monotonic()

    (error,) = deliver(kafka, **{"delivery.timeout.ms": 1000, "linger.ms": 0})

    assert error is not None
    assert error.code() == KafkaError._MSG_TIMED_OUT  # noqa: SLF001  its public name
    assert time.monotonic() - started < 20  # the client's own time-out would be 300 s


def test_a_fenced_commit_is_fatal(kafka: MockKafka) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "worker"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("raw", b"{}")
    producer.flush(30)
    kafka.fail(END_TXN, PRODUCER_FENCED)

    with pytest.raises(KafkaException) as caught:
        producer.commit_transaction(30)

    assert caught.value.args[0].fatal()
    assert caught.value.args[0].code() == KafkaError._FENCED  # noqa: SLF001  its public name
