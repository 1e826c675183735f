"""The metrics of both roles move with what happens on a real Kafka: lag, age, silence, secrets, refusals."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from prometheus_client.parser import text_string_to_metric_families
from rig import notice
from stack import COMPANY, Child, Stack

from connector.runtime import counts, guards, ingress_metrics, lag, operations
from connector.runtime.broker import free_ports
from connector.runtime.ingress_counts import hash_of
from connector.runtime.metrics import LIST

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

LISTING = (counts, guards, ingress_metrics, lag, operations)
"""Read for the metrics they list."""
HURRIED = "import connector.runtime.lag as l; l.PERIOD_S = 0.3; from connector.cli import main; main()"
"""The command `connector` whose lag is looked at three times a second."""
WITHIN_S = 60.0
SOURCE = "visma-net"
LATER = {
    "connector_auth_doubts_total",
    "connector_callback_gap_seconds",
    "connector_endpoint_info",
    "connector_ingress_redacted_total",
    "connector_registry_requests_total",
    "connector_tolerances_total",
    "connector_unknown_fields_total",
}
"""Shown once they have something to tell."""
MANY = 24
"""Customers; with two partitions both have some."""


@pytest.fixture
def stack(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    with Stack(bootstrap, prefix, tmp_path, 2) as made:
        yield made


def work(stack: Stack) -> Child:
    port = free_ports(1)[0]
    env = {"CONNECTOR_OPERATIONS__PORT": str(port), "CONNECTOR_WORKER__CLIENT_ID": "worker-1"}
    command = [sys.executable, "-c", HURRIED, "--config", str(stack.config), "work"]
    child = Child("worker-1", command, stack.env | env, stack.folder / "worker-1.log", port)
    stack.children.append(child)
    return child.ready()


def told(child: Child, metric: str, **labels: str) -> float | None:
    """Read one series at /metrics."""
    for family in text_string_to_metric_families(child.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == f"connector_{metric}" and sample.labels == labels:
                return sample.value
    return None


def until(true: Callable[[], bool], otherwise: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


def test_every_series_of_both_roles_is_in_the_list_with_its_labels(stack: Stack) -> None:
    for child in (stack.serve(), work(stack)):
        role = "ingress" if child.name == "ingress" else "worker"
        shown = set()
        for family in text_string_to_metric_families(child.get("/metrics")[1]):
            for sample in family.samples:
                if not sample.name.startswith("connector_"):
                    continue
                name = f"{family.name}_total" if family.type == "counter" else family.name
                shown.add(name)
                assert set(sample.labels) - {"le"} == set(LIST[name].labels), sample.name
                assert role in LIST[name].roles, f"{role} shows {name}"
        silent = {name for name, one in LIST.items() if role in one.roles} - shown
        assert silent <= LATER


def test_the_door_tells_of_secrets_silence_and_refusals(stack: Stack) -> None:
    door = stack.serve()
    endpoint = {"source": SOURCE, "endpoint_hash": hash_of(f"{SOURCE}-1")}
    never = {"source": "duett", "endpoint_hash": hash_of("duett-1")}
    assert told(door, "endpoint_last_callback_timestamp_seconds", **endpoint) == 0
    before = time.time()

    assert stack.post(SOURCE, notice(1), slot=2)[0] == 202
    assert stack.post(SOURCE, notice(2), headers={"x-vwd-signature-v1": "bm8="})[0] == 401
    foreign = notice(3).replace(COMPANY.encode(), b"7777777")
    assert stack.post(SOURCE, foreign)[0] == 202

    hashed = endpoint["endpoint_hash"]
    assert told(door, "auth_secret_used_total", endpoint_hash=hashed, slot="1") == 1
    assert told(door, "auth_secret_used_total", endpoint_hash=hashed, slot="0") == 1
    assert told(door, "ingress_requests_total", source=SOURCE, answer="401") == 1
    assert told(door, "ingress_requests_total", source=SOURCE, answer="202") == 2
    assert told(door, "ingress_quarantined_total", source=SOURCE, reason="foreign_tenant") == 1
    assert told(door, "ingress_ack_seconds_count") == 2
    last = told(door, "endpoint_last_callback_timestamp_seconds", **endpoint)
    assert last is not None
    assert before - 1 <= last <= time.time() + 1
    assert told(door, "endpoint_last_callback_timestamp_seconds", **never) == 0
    called, silent = (told(door, "endpoint_silence_seconds", **one) for one in (endpoint, never))
    assert called is not None
    assert silent is not None
    assert called < silent
    assert told(door, "ready", role="ingress") == 1


def test_a_worker_tells_of_lag_also_where_others_own_the_partition(stack: Stack) -> None:
    """A member of the group that owns a partition and reads nothing: its records wait and grow old."""
    stack.serve()
    worker = work(stack)

    def value(metric: str, **labels: str) -> float:
        return told(worker, metric, **labels) or 0.0

    def behind() -> tuple[float, float]:
        return value("lag_records", source=SOURCE), value("lag_age_seconds", source=SOURCE)

    def caught_up() -> bool:
        return behind() == (0, 0) and value("events_total", source=SOURCE, verdict="applied") > 0

    assert stack.post(SOURCE, notice(0))[0] == 202
    until(caught_up, behind)
    assert value("partitions", standing="live") == value("partitions", standing="all") == 10

    idle = Consumer(
        {
            "bootstrap.servers": stack.bootstrap,
            "group.id": f"{stack.prefix}-worker",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": 6000,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
    )
    try:
        idle.subscribe([stack.topic("raw", SOURCE)])
        until(lambda: idle.poll(0.1) is not None or len(idle.assignment()) == 1, idle.assignment)
        for number in range(MANY):
            assert stack.post(SOURCE, notice(number))[0] == 202

        until(lambda: behind()[0] > 0 and behind()[1] > 0, behind)
        records, age = behind()
        until(lambda: behind()[1] > age + 1, behind)

        assert records <= MANY
        assert value("partitions", standing="live") < value("partitions", standing="all")
        assert value("lag_silence_seconds") < WITHIN_S
    finally:
        idle.close()

    until(lambda: behind() == (0, 0), behind)
    assert value("events_total", source=SOURCE, verdict="applied") >= MANY - 1
    assert value("partitions", standing="live") == 10
    assert value("rebuild_seconds") == 0
    assert value("transactions_total", end="committed") > 0
    assert worker.get("/registry/subjects")[0] == 200
    assert value("registry_requests_total", answer="200") == 1
