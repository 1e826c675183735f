"""`connector erase` on a real Kafka: gone from the topics and, once the cleaner ran, from its files."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not re-exported (2.16)
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from reader import Reader, Record
from stack import TENANTS, Stack

from connector.runtime.broker import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
CANARY = "Canary Olsdottir 17"
KEY = f"duett/{TENANTS['duett']}/customer/13017"
AT_ONCE = {
    "segment.ms": "500",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "file.delete.delay.ms": "500",
    "compression.type": "uncompressed",  # else the canary could not be seen in the files
}
"""A cleaner that does in seconds what takes a day."""


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    properties = {"log.cleaner.backoff.ms": "100", "log.cleaner.min.compaction.lag.ms": "0"}
    with LocalKafka(properties=properties, folder=tmp_path / "kafka") as kafka:
        yield kafka


def change(number: int, name: str, minute: int) -> dict[str, Any]:
    return {
        "subscription": "Customer",
        "event": "update",
        "eventTime": f"2025-11-24T15:{minute:02}:00.0000000Z",
        "data": json.dumps({"Id": number, "CustomerNumber": number, "Name": name}),
    }


def send(stack: Stack, *changes: dict[str, Any]) -> None:
    for one in changes:
        body = json.dumps({"clientKey": stack.secrets["STACK_CLIENT_KEY"], **one}).encode()
        status, told = stack.post("duett", body)
        assert status == 202, told
    stack.drained()


def customers(stack: Stack, key: str = KEY) -> list[Record]:
    records = Reader(stack.bootstrap).read([stack.topic("changelog", "customer")])
    return [one for one in records if one.key == key]


def quicken(stack: Stack) -> None:
    """Let the cleaner of the customers' changelog work at once."""
    resource = ConfigResource(ResourceType.TOPIC, stack.topic("changelog", "customer"))
    for name, value in AT_ONCE.items():
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource.add_incremental_config(entry)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def on_disk(kafka: LocalKafka, topic: str) -> int:
    """Count the canary in the files of a topic, those that wait for their deletion included."""
    folders = list((kafka.folder / "n1" / "data").glob(f"{topic}-*"))
    assert folders
    found = 0
    for file in (file for folder in folders for file in folder.iterdir()):
        try:
            found += file.read_bytes().count(CANARY.encode())
        except FileNotFoundError:
            continue
    return found


def test_what_is_erased_is_gone_stays_away_and_leaves_the_files(
    kafka: LocalKafka, prefix: str, tmp_path: Path
) -> None:
    topic = f"{prefix}.changelog.customer"
    with Stack(kafka.bootstrap, prefix, tmp_path, 1) as stack:
        quicken(stack)
        stack.serve()
        worker = stack.work()
        before = [change(13017, CANARY, 1), change(13017, f"{CANARY} again", 2), change(7, "Somebody", 1)]
        send(stack, *before)
        assert on_disk(kafka, topic) > 0, "else the test proves nothing"

        dry = json.loads(stack.run("erase", KEY, "--json"))
        assert (dry["keys"][0]["standing"], dry["done"]) == ("living", False)
        assert customers(stack)[-1].value is not None

        done = stack.run("erase", KEY, "--yes")
        assert CANARY not in done
        stack.drained()
        last = customers(stack)[-1]
        assert (last.value, last.headers["x-erp-op"]) == (None, b"DELETE")
        count = len(customers(stack))

        send(stack, *before)  # late
        stack.run("replay", "--yes")
        stack.drained()
        assert customers(stack)[-1].offset == last.offset
        assert worker.stop() == 0
        stack.work()  # its state told anew, from the tombstone
        send(stack, change(13017, CANARY, 3))
        assert customers(stack)[-1].offset == last.offset
        assert len(customers(stack)) <= count

        number, deadline = 100, time.monotonic() + 120
        while on_disk(kafka, topic) and time.monotonic() < deadline:
            send(stack, change(number, "Somebody else", 4))  # a segment is only cleaned when another began
            number += 1
            time.sleep(1)
        assert on_disk(kafka, topic) == 0

        told = json.loads(stack.run("rebuild", "plan", "--json", "customer"))["entities"]["customer"]
        assert (told["differs"], told["only_new"], told["only_live"]) == (0, 0, 0), told
        assert told["same"] == number - 100 + 2
        again = json.loads(stack.run("erase", KEY, "--json"))
        assert again["keys"][0]["standing"] in ("erased", "deleted")
        assert customers(stack, f"duett/{TENANTS['duett']}/customer/7")[-1].value is not None
