"""Raw partitions that fall idle until retention has emptied them: nothing false is said of them."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from callbacks import Vendors
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.admin._listoffsets import OffsetSpec
from ledger import Load
from stack import SOURCES, Child, Stack

from connector.runtime.broker import LocalKafka, free_ports

HURRIED = "import connector.runtime.trailing as t; t.IDLE_S = 0.5;from connector.cli import main; main()"
"""The command `connector` whose ends of partitions wait for half a second, not for a minute."""
WITHIN_S = 90.0
PARTITIONS = 2
RESTARTS = 3
Offsets = dict[tuple[str, int], int]


def eventually(true: Callable[[], Any], otherwise: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.2)


class Raw:
    """The raw topics of a stack, as the brokers tell."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.places = [(stack.topic("raw", one), number) for one in SOURCES for number in range(PARTITIONS)]
        self._brokers = AdminClient({"bootstrap.servers": stack.bootstrap})

    def offsets(self, spec: OffsetSpec) -> Offsets:
        """Where the logs begin or end."""
        told = self._brokers.list_offsets({TopicPartition(*place): spec for place in self.places})
        return {(one.topic, one.partition): future.result().offset for one, future in told.items()}

    def starts(self) -> Offsets:
        return self.offsets(OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # the client has no annotation

    def ends(self) -> Offsets:
        return self.offsets(OffsetSpec.latest())  # type: ignore[no-untyped-call]  # likewise

    def committed(self) -> Offsets:
        """What the workers have committed; -1001 where nothing."""
        reader = self._reader(f"{self.stack.prefix}-worker")
        told = reader.committed([TopicPartition(*place) for place in self.places], timeout=20)
        reader.close()
        return {(one.topic, one.partition): one.offset for one in told}

    def behind_records(self) -> Offsets:
        """Read everything; give the offset behind each partition's last record."""
        reader, left, behind = self._reader("nobody"), set(self.places), dict.fromkeys(self.places, 0)
        reader.assign([TopicPartition(*place, 0) for place in self.places])
        deadline = time.monotonic() + WITHIN_S
        while left and time.monotonic() < deadline:
            for message in reader.consume(500, 0.2):
                place = (str(message.topic()), int(message.partition() or 0))
                if (error := message.error()) is None:
                    behind[place] = int(message.offset() or 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    left.discard(place)
        reader.close()
        assert not left
        return behind

    def keep(self, kept_ms: int) -> None:
        """Set the retention of all raw topics."""
        entry = ConfigEntry("retention.ms", str(kept_ms), incremental_operation=AlterConfigOpType.SET)
        resources = [
            ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
            for topic in {topic for topic, _ in self.places}
        ]
        for future in self._brokers.incremental_alter_configs(resources).values():
            future.result()

    def empty(self) -> None:
        """Let retention delete everything, then keep what comes for as long as usual."""
        self.keep(1)
        ends = self.ends()
        eventually(lambda: self.starts() == ends, lambda: (self.starts(), ends))
        self.keep(14 * 24 * 3_600_000)

    def _reader(self, group: str) -> Consumer:
        config: Mapping[str, Any] = {
            "bootstrap.servers": self.stack.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
        return Consumer(dict(config))


def hurried(stack: Stack) -> Child:
    """Start a worker that does not wait long with ends."""
    port = free_ports(1)[0]
    env = {"CONNECTOR_OPERATIONS__PORT": str(port), "CONNECTOR_WORKER__CLIENT_ID": "worker-1"}
    command = [sys.executable, "-c", HURRIED, "--config", str(stack.config), "work"]
    child = Child("worker-1", command, stack.env | env, stack.folder / "worker-1.log", port)
    stack.children.append(child)
    return child


@pytest.mark.cluster
@pytest.mark.timeout(400)
def test_retention_that_empties_an_idle_partition_overtakes_nobody_and_one_that_takes_unread_ones_does(
    prefix: str, tmp_path: Path
) -> None:
    broker = {"log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500"}
    with (
        LocalKafka(properties=broker) as kafka,
        Stack(kafka.bootstrap, prefix, tmp_path, PARTITIONS) as stack,
    ):
        raw = Raw(stack)
        ingress, worker = stack.serve(), stack.work()
        made = Vendors(53, stack.secrets["STACK_CLIENT_KEY"]).callbacks(240)
        Load(stack, made[:80]).post()
        stack.drained()
        assert worker.stop() == 0, worker.tail()
        worker = hurried(stack).ready()  # the ends it commits are behind its predecessor's records
        ends = raw.ends()
        eventually(lambda: raw.committed() == ends, lambda: (raw.committed(), ends))
        behind = raw.behind_records()
        assert any(behind[place] < ends[place] for place in raw.places), (
            "no mark of a transaction stands last"
        )

        assert worker.stop() == 0, worker.tail()
        raw.empty()
        for _ in range(RESTARTS):  # the first fetch of what is assigned and the pause race
            worker = hurried(stack).ready()
            assert worker.stop() == 0, worker.tail()
        worker = hurried(stack).ready()
        Load(stack, made[80:160]).post()
        stack.drained()
        assert "overt" not in worker.log.read_text()
        assert "deleted unread" not in worker.log.read_text()

        assert worker.stop() == 0, worker.tail()
        Load(stack, made[160:]).post()
        raw.empty()
        worker = hurried(stack)
        assert worker.ended(WITHIN_S) == 1, worker.tail()
        assert "the oldest record: those before it were deleted unread" in worker.log.read_text()
        assert ingress.stop() == 0
