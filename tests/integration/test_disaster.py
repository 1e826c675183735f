"""What docs/operating.md says under "Disaster recovery", done on a real Kafka."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from reader import Reader
from stack import SOURCES, TENANTS, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def change(number: int, event: str, minute: int, name: str) -> dict[str, Any]:
    return {
        "subscription": "Customer",
        "event": event,
        "eventTime": f"2025-11-24T15:{minute:02}:00.0000000Z",
        "data": json.dumps({"Id": number, "CustomerNumber": number, "Name": name}),
    }


def send(stack: Stack, *changes: dict[str, Any]) -> None:
    for one in changes:
        body = json.dumps({"clientKey": stack.secrets["STACK_CLIENT_KEY"], **one}).encode()
        status, told = stack.post("duett", body)
        assert status == 202, told


def ends(stack: Stack) -> dict[str, bytes | None]:
    """Keep of every key what its last record says of the state."""
    records = Reader(stack.bootstrap).read([stack.topic("changelog", "customer")])
    return {one.key: one.headers["x-erp-version"] + one.headers["x-erp-op"] for one in records}


def patiently(act: Callable[[], object]) -> None:
    """Do it again while the broker still thinks that somebody is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            act()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def test_lost_offsets_and_a_lost_changelog_are_told_anew_from_raw(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    group, topic = f"{prefix}-worker", f"{prefix}.changelog.customer"
    with Stack(bootstrap, prefix, tmp_path, 2) as stack:
        stack.serve()
        worker = stack.work()
        send(stack, *(change(number, "update", 1, "A") for number in range(20)))
        send(stack, *(change(number, "delete", 2, "A") for number in range(0, 20, 4)))
        send(stack, *(change(number, "update", 3, "B") for number in range(1, 20, 4)))
        stack.drained()
        assert worker.stop() == 0
        wanted = ends(stack)
        assert len(wanted) == 20
        count = len(Reader(bootstrap).read([topic]))

        patiently(lambda: admin.delete_consumer_groups([group])[group].result(20))
        worker = stack.work()
        stack.drained()
        assert worker.stop() == 0
        assert len(Reader(bootstrap).read([topic])) == count, "what is known changes nothing"

        patiently(lambda: admin.delete_topics([topic])[topic].result(20))
        patiently(lambda: stack_has(admin, topic, there=False))
        stack.run("topics", "apply")
        oldest = [
            TopicPartition(stack.topic("raw", source), number, 0) for source in SOURCES for number in (0, 1)
        ]
        asked = [ConsumerGroupTopicPartitions(group, oldest)]
        patiently(lambda: admin.alter_consumer_group_offsets(asked)[group].result(20))
        refused = stack.start("worker-1", "work")
        assert refused.ended(60) == 1
        assert "recreated" in refused.tail() or "made anew" in refused.tail()
        assert topic in stack.run("topics", "accept")
        stack.work()
        send(stack, change(0, "update", 1, "late"))  # older than its delete, of which only raw knew
        stack.drained()
        assert ends(stack) == wanted
        assert TENANTS["duett"] in next(iter(wanted))


def stack_has(admin: AdminClient, topic: str, *, there: bool) -> None:
    """Wait for a topic to come or go.

    Raises:
        KafkaException: It has not yet.
    """
    if (topic in admin.list_topics(timeout=20).topics) != there:
        raise KafkaException
