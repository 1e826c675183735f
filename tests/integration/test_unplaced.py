"""The broker refuses a record and takes the next one of its partition: the client takes both for delivered.

It knows no sequence of this producer yet, so it takes any. With a real Kafka: too few in-sync replicas for
the first request, enough for the second.
"""

import asyncio
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from gate import Gate
from reader import Reader
from rig import PARTITIONS, build, notice, play, running, topics

from connector.runtime.broker import LocalKafka

pytestmark = pytest.mark.cluster

RAW = "erp.raw.visma-net"
SLOW_S = 60
NOT_ENOUGH_REPLICAS = 19
ONE_BY_ONE = {"batch.num.messages": "1", "linger.ms": "0", "request.timeout.ms": "25000"}
"""Two records are two requests, the second behind the first without waiting for its answer."""


class Crossing(NamedTuple):
    """Three nodes; the first, behind a gate, leads all partitions, and the second had their only copies."""

    kafka: LocalKafka
    gate: Gate

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap

    def refuses(self) -> None:
        """Wait until the broker takes nothing."""
        self._in_sync(2)
        self._answers(NOT_ENOUGH_REPLICAS)

    def second_is_taken(self) -> None:
        """Wait until the second request stands at the gate, have the broker take records, and open."""
        assert self.gate.holding.wait(SLOW_S), "no second request"
        self._in_sync(1)
        self._answers(None)
        self.gate.open()

    def values(self) -> list[bytes]:
        """Give what stands in the raw topic of ours."""
        return [one.value for one in Reader(self.bootstrap).read([RAW]) if one.value != b"other"]

    def _in_sync(self, least: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        entry = ConfigEntry("min.insync.replicas", str(least), incremental_operation=AlterConfigOpType.SET)
        asked = ConfigResource(ResourceType.TOPIC, RAW, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([asked]).values():
            done.result(SLOW_S)

    def _answers(self, wanted: int | None) -> None:
        """Wait until this is what the broker says to a record: it hears of what was altered later."""
        config = {
            "bootstrap.servers": self.bootstrap,
            "acks": "all",
            "retries": 0,
            "request.timeout.ms": 1000,
        }
        other, until_s = Producer(config), time.monotonic() + SLOW_S
        told: list[int | None] = []
        while wanted not in told[-1:]:
            assert time.monotonic() < until_s, told[-1:]
            other.produce(
                RAW, b"other", b"other", on_delivery=lambda error, _: told.append(error and error.code())
            )
            other.flush(SLOW_S)


@pytest.fixture
def crossing() -> Iterator[Crossing]:
    kafka = LocalKafka(3)
    with Gate(kafka.port[1], "erp-connector-ingress") as gate:
        kafka.advertise[1] = gate.port
        with kafka:
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
            both = [[1, 2]] * PARTITIONS
            made = [NewTopic(one, PARTITIONS, replica_assignment=both) for one in topics()]
            for done in admin.create_topics(made).values():
                done.result(SLOW_S)
            kafka.signal(2, signal.SIGKILL)
            yield Crossing(kafka, gate)


def test_the_door_has_what_it_says_202_for(crossing: Crossing) -> None:
    first, second = notice(1), notice(1).replace(b"changed", b"created")

    async def story() -> None:
        late = {"ack_timeout_ms": 30_000, "request_timeout_s": 40.0}
        async with running(build(crossing.bootstrap, kafka=ONE_BY_ONE, **late)) as rig:
            await rig.ready(SLOW_S)
            await asyncio.to_thread(crossing.refuses)
            posted = asyncio.create_task(rig.post(b"[" + first + b"," + second + b"]"))
            await asyncio.to_thread(crossing.second_is_taken)
            assert (await posted).status == 202

    play(story)
    assert crossing.values() == [second, first]
