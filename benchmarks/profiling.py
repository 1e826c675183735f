"""The profile of S1: the worker's stations with a real broker, beside what the real process took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from benchmarks import callbacks, gauge, stations
from benchmarks.kafka import PARTITIONS, Kafka, fill
from benchmarks.results import Case, Part
from connector.runtime.wire import KafkaRecord

RECORDS: Final = {"small": 40_000, "full": 100_000}
CONSUME: Final = "consume"
PRODUCE: Final = "produce"
COMMIT: Final = "offsets and commit"
THREADS: Final = "librdkafka's own threads"
REST: Final = "Faust, asyncio, hand-over between threads, counters: the whole less the sum"
TOTAL: Final = "the real process, median"
_READER: Final = {
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "fetch.queue.backoff.ms": 10,
    "group.id": "profile",
}
_WRITER: Final = {
    "transactional.id": "profile",
    "partitioner": "murmur2_random",
    "compression.type": "zstd",
    "linger.ms": 5,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 200_000,
}
"""As the worker's clients."""


class _Kafka:
    """The worker's clients, in this thread."""

    def __init__(self, bootstrap: str, topic: str, clock: stations.Clock) -> None:
        self._clock = clock
        self._consumer = Consumer({"bootstrap.servers": bootstrap, **_READER})
        self._consumer.assign([TopicPartition(topic, one, 0) for one in range(PARTITIONS)])
        self._producer = Producer({"bootstrap.servers": bootstrap, **_WRITER})
        self._producer.init_transactions(30)

    def consume(self) -> list[Message]:
        """Drain what is there, at least one record."""
        begun = time.thread_time_ns()
        first = self._consumer.poll(10)
        taken = [] if first is None else [first, *self._consumer.consume(stations.CYCLE - 1, 0)]
        self._clock.ns[CONSUME] += time.thread_time_ns() - begun
        return taken

    def commit(self, records: Sequence[KafkaRecord], taken: Sequence[Message]) -> None:
        """Write one transaction."""
        self._producer.begin_transaction()
        begun = time.thread_time_ns()
        for one in records:
            headers: Any = one.headers
            self._producer.produce(one.topic, one.value, one.key, timestamp=one.timestamp_ms, headers=headers)
        self._clock.ns[PRODUCE] += (spent := time.thread_time_ns() - begun)
        ends = {int(one.partition() or 0): one for one in taken}
        offsets = [
            TopicPartition(str(one.topic()), partition, int(one.offset() or 0) + 1)
            for partition, one in ends.items()
        ]
        metadata = self._consumer.consumer_group_metadata()
        self._producer.send_offsets_to_transaction(offsets, metadata, 30)
        self._producer.commit_transaction(30)
        self._clock.ns[COMMIT] += time.thread_time_ns() - begun - spent

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def parts(kafka: Kafka, scale: str, whole: Case | None) -> tuple[float, list[Part]]:
    """Measure the stations; give the calibration and µs per event of each, the whole last."""
    records = RECORDS[scale]
    topics, _ = kafka.topics()
    topic = topics.raw["duett"]
    fill(kafka.producer(), topic, callbacks.backlog(records))
    unit = gauge.calibration()
    with gauge.on(gauge.SUBJECT_CORE):
        line = stations.Line(topics)
        clients = _Kafka(kafka.bootstrap, topic, line.clock)
        cpu_ns, own_ns = time.process_time_ns(), time.thread_time_ns()
        done = 0
        while done < records:
            taken = clients.consume()
            clients.commit(line.apart(taken), taken)
            done += len(taken)
        own_ns = time.thread_time_ns() - own_ns
        threads_ns = time.process_time_ns() - cpu_ns - own_ns
        clients.close()
    kafka.forget(topics)
    told = line.told() | {THREADS: float(threads_ns)}
    order = (CONSUME, *stations.PURE, PRODUCE, COMMIT, THREADS)
    return unit, _parts({name: told[name] / records / 1e3 for name in order}, unit, whole)


def _parts(us: dict[str, float], unit: float, whole: Case | None) -> list[Part]:
    total = sum(us.values())
    us["sum"] = total
    if whole is not None:
        us[REST] = whole.median.cpu_us_per_event - total
        us[TOTAL] = whole.median.cpu_us_per_event
    return [Part(name, round(one, 2), round(one / unit, 2)) for name, one in us.items()]


def micro(rounds: int, records: int) -> tuple[float, list[Part]]:
    """Measure the pure stations in process, without Kafka: best of so many rounds."""
    from connector.runtime.desk import topics_under

    topics = topics_under("erp")
    unit = gauge.calibration()
    best: dict[str, float] = {}
    with gauge.on(gauge.SUBJECT_CORE):
        for _ in range(rounds):
            for name, one in _once(topics, records).items():
                best[name] = min(one, best.get(name, one))
    return unit, [Part(name, round(one, 2), round(one / unit, 2)) for name, one in best.items()]


def _once(topics: Any, records: int) -> dict[str, float]:
    apart, together = stations.Line(topics), stations.Line(topics)
    for taken in stations.cycles(records, topics.raw["duett"]):
        apart.apart(taken)
        together.together(taken)
    told = {name: apart.told()[name] for name in stations.PURE}
    told["sum"] = sum(told.values())
    told[stations.WHOLE] = together.told()[stations.WHOLE]
    return {name: one / records / 1e3 for name, one in told.items()}
