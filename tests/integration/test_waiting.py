"""Roles that start before Kafka, its topics, or the right password are there."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from auditing import audit
from callbacks import Vendors
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from ledger import Load
from stack import Child, Stack

from connector.runtime.broker import LocalKafka, free_ports

WITHIN_S = 60.0
AT_ONCE_S = 10.0
"""Far less than any drain; the machine may be slow."""


def eventually(true: Callable[[], Any], children: list[Child]) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (told := true()):
        assert time.monotonic() < deadline, "\n".join(one.tail() for one in children)
        assert all(one.alive for one in children), "\n".join(one.tail() for one in children)
        time.sleep(0.1)
    return told


def why(child: Child) -> str:
    """Why it waits, as its readiness tells; empty where it does not answer yet."""
    status, told = child.get("/readyz")
    return str(json.loads(told)["checks"]["kafka"]["why"]) if status == 503 else ""


def waits(children: list[Child], for_what: str) -> None:
    """Wait until each is live, and unready for a reason."""
    for child in children:
        eventually(lambda child=child: for_what in why(child), children)
        assert child.get("/livez")[0] == 200


def make(stack: Stack, *names: str) -> None:
    """Make some of the topics."""
    brokers = AdminClient({"bootstrap.servers": stack.bootstrap})
    for future in brokers.create_topics([NewTopic(stack.topic(one), 2, 1) for one in names]).values():
        future.result()


def lines(child: Child, event: str) -> list[str]:
    told = [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]
    return [str(one.get("why")) for one in told if one["event"] == event]


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_both_roles_start_before_kafka_and_its_topics_and_go_on_by_themselves(
    prefix: str, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    stack = Stack(f"127.0.0.1:{port}", prefix, tmp_path, 2)
    made = Vendors(47, stack.secrets["STACK_CLIENT_KEY"]).callbacks(60)
    children = [stack.start("ingress", "serve"), stack.start("worker-1", "work")]
    ingress, worker = children
    try:
        waits(children, f"no broker answers at 127.0.0.1:{port}")
        assert "nobody listens there: check address and port, and that Kafka runs" in why(worker)
        with LocalKafka(ports=[port]):
            waits(children, "found no such topic")
            make(stack, "raw.duett", "quarantine")
            waits(children, "raw.quickfile")
            assert stack.post("duett", b"{}")[0] == 503, "its own topic is there, but not all are"
            assert "run: connector topics apply" in why(ingress)
            stack.run("topics", "apply")
            for child in children:
                child.ready(WITHIN_S)

            rows = Load(stack, made).post().rows
            stack.drained()
            audit(stack, rows, worker.url).clean()
            for child in children:
                assert child.stop() == 0, child.tail()
                assert 2 <= len(lines(child, "waiting for Kafka")) <= 6, child.tail()
                assert len(lines(child, "Kafka is there, and as it must be")) == 1
    finally:
        for child in children:
            child.close()


@pytest.mark.kafka
@pytest.mark.timeout(120)
def test_a_role_that_waits_ends_at_once_and_in_order(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    del bootstrap
    stack = Stack("127.0.0.1:1", prefix, tmp_path, ingress={"drain_delay_s": 60, "drain_timeout_s": 60})
    children = [stack.start("ingress", "serve"), stack.start("worker-1", "work")]
    try:
        waits(children, "no broker answers")
        for child in children:
            child.signal(signal.SIGTERM)
        began_s = time.monotonic()
        codes = [child.ended(AT_ONCE_S) for child in children]
        assert codes == [0, 0], "\n".join(one.tail() for one in children)
        assert time.monotonic() - began_s < AT_ONCE_S
        assert all("Traceback" not in one.log.read_text() for one in children)
    finally:
        for child in children:
            child.close()


@pytest.mark.kafka
@pytest.mark.timeout(120)
def test_a_topic_of_another_size_still_refuses_both_roles(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path, 2) as stack:
        brokers, topic = AdminClient({"bootstrap.servers": bootstrap}), stack.topic("raw", "duett")
        brokers.create_partitions([NewPartitions(topic, 3)])[topic].result()
        for name, role in (("ingress", "serve"), ("worker-1", "work")):
            child = stack.start(name, role)
            assert child.ended(WITHIN_S) == 1, child.tail()
            assert f"Error: {topic}: found 3 partitions, wanted 2" in child.log.read_text()
            assert "Traceback" not in child.log.read_text()


@pytest.mark.kafka
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("boostrap.servers", "x", "No such configuration property"),
        ("bootstrap.servers", "127.0.0.1:9o92", "bootstrap.servers: write host:port"),
    ],
)
def test_what_cannot_be_a_configuration_is_told_in_one_line(
    bootstrap: str, prefix: str, tmp_path: Path, name: str, text: str, told: str
) -> None:
    stack = Stack(bootstrap, prefix, tmp_path)
    written = yaml.safe_load(stack.config.read_text())
    written["kafka"][name] = text
    stack.config.write_text(yaml.safe_dump(written))
    for role in ("serve", "work"):
        child = stack.start(role, role)
        try:
            assert child.ended(WITHIN_S) == 1, child.tail()
            said = child.log.read_text()
            assert [line for line in said.splitlines() if line.startswith("Error: ")], said
            assert "Traceback" not in said
            assert told in said or f"kafka.{name}" in said
        finally:
            child.close()
