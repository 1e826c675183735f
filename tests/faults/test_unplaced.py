"""A record that librdkafka takes for delivered although the broker refused it: told without an offset.

Two requests to one partition are on their way; the broker refuses the first one and takes the second.
"""

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from mock import PRODUCE, MockKafka

from connector.runtime.awaited import Awaited
from connector.runtime.batch import Batch, Cycle, Fence
from connector.runtime.settings import Settings
from connector.runtime.transactions import NoOutcome
from connector.runtime.wire import KafkaRecord
from connector.runtime.writing import NotWritten, Writer

pytestmark = pytest.mark.mock

NOT_LEADER = 6
SLOW_MS = 300
TOPIC = "erp.events"
ONE_BY_ONE = {"batch.num.messages": "1", "linger.ms": "0"}
"""Two records are two requests, the second behind the first without waiting for its answer."""
RECORDS = [KafkaRecord(TOPIC, b"one key", value, []) for value in (b"first", b"second")]


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with MockKafka(1) as cluster:
        cluster.topic(TOPIC, 1)
        cluster("broker_set_rtt", 1, SLOW_MS)
        yield cluster


def cycle(kafka: MockKafka) -> Cycle:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "one"})
    one = Cycle(0, 0, Fence(consumer.consumer_group_metadata()))
    one.batches["duett"] = Batch(one, "duett")
    one.outputs["duett"] = RECORDS
    return one


def test_without_transactions_such_a_record_has_no_outcome(kafka: MockKafka) -> None:
    committed: list[Cycle] = []

    async def story() -> None:
        config = {"bootstrap.servers": kafka.bootstrap, "enable.idempotence": "true", **ONE_BY_ONE}
        delivery = Awaited(config, frozenset(), lambda _: True, committed.append, lambda: None)
        await delivery.begin()
        kafka.fail(PRODUCE, NOT_LEADER, 0)
        with pytest.raises(NoOutcome, match="not where"):
            await delivery.commit(cycle(kafka))
        delivery.abandon()

    asyncio.run(story())
    assert not committed


def test_a_command_does_not_take_such_a_record_for_written(kafka: MockKafka) -> None:
    writer = Writer(Settings(kafka={"bootstrap.servers": kafka.bootstrap, "batch.num.messages": "1"}), "test")
    kafka.fail(PRODUCE, NOT_LEADER, 0)
    with pytest.raises(NotWritten, match="not where"):
        writer.write(RECORDS)
