"""The guards and the doctor on a real broker: delivery.md rows 16 and 17, as an operator meets them."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from callbacks import Vendors
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from ledger import Load
from stack import Child, Stack

from connector.cli import main
from connector.core.guards import judge
from connector.errors import Misconfigured
from connector.runtime import admin, configuration
from connector.runtime.broker import free_ports
from connector.runtime.facts import Clean, Look, wanted
from connector.runtime.guards import Guards
from connector.runtime.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

HURRIED = (
    "import connector.runtime.guards as g; g.PERIOD_S = g.CONFIRM_S = 0.5;"
    "from connector.cli import main; main()"
)
"""The command `connector` whose guards look twice a second."""
WITHIN_S = 30.0


@pytest.fixture
def stack(bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Stack]:
    made = Stack(bootstrap, prefix, tmp_path, 2)
    applied = connector(made, "topics", "apply")
    assert applied.exit_code == 0, applied.output
    yield made
    for child in made.children:
        child.close()


@pytest.fixture
def settings(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, text in stack.secrets.items():
        monkeypatch.setenv(name, text)
    return configuration.load(stack.config)


@pytest.fixture
def brokers(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def guarded(stack: Stack, name: str = "worker-1") -> Child:
    """Start a worker whose guards look twice a second; wait until it reads its partitions."""
    port = free_ports(1)[0]
    env = {"CONNECTOR_OPERATIONS__PORT": str(port), "CONNECTOR_WORKER__CLIENT_ID": name}
    command = [sys.executable, "-c", HURRIED, "--config", str(stack.config), "work"]
    child = Child(name, command, stack.env | env, stack.folder / f"{name}.log", port)
    stack.children.append(child)
    return child.ready()


def alter(brokers: AdminClient, topic: str, setting: str, text: str) -> None:
    entry = ConfigEntry(setting, text, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in brokers.incremental_alter_configs([resource]).values():
        future.result()


def eventually(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (told := true()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return told


def connector(stack: Stack, *arguments: str, **env: str) -> Result:
    """Run a command in this process."""
    return CliRunner(env=stack.secrets | env).invoke(main, ["--config", str(stack.config), *arguments])


def rows(result: Result) -> dict[str, dict[str, str]]:
    return {one["check"]: one for one in json.loads(result.output)["checks"]}


def last_words(child: Child) -> str:
    """Give the line a worker ended with."""
    told = [json.loads(line) for line in child.log.read_text().splitlines() if line.startswith("{")]
    return str(next(line["event"] for line in reversed(told) if "worker stopped" in line["event"]))


def made_anew(brokers: AdminClient, topic: str) -> None:
    """Delete a topic and make it anew; its name is free only after a moment."""
    brokers.delete_topics([topic])[topic].result()

    def anew() -> bool:
        new = NewTopic(topic, 2, 1, config={"cleanup.policy": "compact", "delete.retention.ms": "1296000000"})
        try:
            brokers.create_topics([new])[topic].result()
        except KafkaException:
            return False
        return True

    assert eventually(anew)


def test_a_topic_made_anew_under_a_running_worker_ends_it_until_somebody_accepts_it(
    stack: Stack, settings: Settings, brokers: AdminClient
) -> None:
    worker = guarded(stack)
    topic = stack.topic("changelog", "item")
    line = f"{topic}: found topic id "

    worker.signal(
        signal.SIGSTOP
    )  # or it might see the moment in between, and say that there is no such topic
    made_anew(brokers, topic)
    worker.signal(signal.SIGCONT)

    assert worker.ended(WITHIN_S) == 1, worker.tail()
    assert last_words(worker).startswith(f"worker stopped: violated: {line}")
    with pytest.raises(Misconfigured, match=f"^{line}.*: it was deleted and made anew, wanted "):
        Guards(settings, "work").preflight()
    assert (
        "run: connector topics accept"
        in rows(connector(stack, "doctor", "--json"))["guard recreated"]["remedy"]
    )
    assert topic in connector(stack, "topics", "accept").output
    assert connector(stack, "topics", "accept").output == "no topic was made anew\n"
    Guards(settings, "work").preflight()


def test_a_partition_count_raised_behind_its_back_ends_the_worker(
    stack: Stack, settings: Settings, brokers: AdminClient
) -> None:
    worker = guarded(stack)
    topic = stack.topic("raw", "duett")

    brokers.create_partitions([NewPartitions(topic, 3)])[topic].result()

    assert worker.ended(WITHIN_S) == 1, worker.tail()
    line = f"{topic}: found 3 partitions, wanted 2; the count is fixed for life"
    assert last_words(worker).startswith(f"worker stopped: violated: {line}")
    with pytest.raises(Misconfigured, match=f"^{line}"):
        Guards(settings, "work").preflight()


def test_another_cleanup_is_told_and_counted_while_the_worker_goes_on(
    stack: Stack, brokers: AdminClient
) -> None:
    stack.serve()
    worker = guarded(stack)
    healthy = connector(stack, "doctor", "--json")
    topic = stack.topic("changelog", "item")
    metric = 'connector_guard_violations{guard="cleanup",topic_kind="changelog"}'
    assert f"{metric} 0.0" in worker.get("/metrics")[1]

    alter(brokers, topic, "cleanup.policy", "delete")

    assert eventually(lambda: f"{metric} 1.0" in worker.get("/metrics")[1]), worker.tail()
    sick = connector(stack, "doctor")
    Load(stack, Vendors(5, stack.secrets["STACK_CLIENT_KEY"]).callbacks(40)).post()
    stack.drained()
    alter(brokers, topic, "cleanup.policy", "compact")
    assert eventually(lambda: f"{metric} 0.0" in worker.get("/metrics")[1]), worker.tail()
    checks = {name: json.loads(worker.get(name)[1])["checks"] for name in ("/livez", "/readyz")}

    assert (healthy.exit_code, json.loads(healthy.output)["verdict"]) == (0, "ok"), healthy.output
    assert "1 worker(s), 10 of 10 raw partitions owned" in rows(healthy)["group"]["found"]
    assert sick.exit_code == 1
    assert f"{topic}: found cleanup.policy delete, wanted compact" in " ".join(sick.output.split())
    assert "run: connector topics apply" in sick.output
    # the metric moves first, the line follows
    assert eventually(lambda: "as it must be again" in worker.log.read_text()), worker.tail()
    lines = worker.log.read_text()
    assert lines.count('"event": "guard: ') == 2, "once when it appears, once when it is over"
    assert "cleanup.policy delete, wanted compact" in lines
    assert f"guard: {topic}: as it must be again" in lines
    assert stack.prefix not in worker.get("/metrics")[1]
    assert set(checks["/livez"]) == {"loop", "intake", "batches", "transactions"}
    assert set(checks["/readyz"]) == {"kafka", "partitions", "transactions"}
    assert worker.stop() == 0


def write(stack: Stack, topic: str, count: int, **more: str) -> None:
    """Write records to the first partition; with a transactional id, in one transaction."""
    producer = Producer({"bootstrap.servers": stack.bootstrap, **more})
    if more:
        producer.init_transactions(30)
        producer.begin_transaction()
    for _ in range(count):
        producer.produce(topic, b"{}", b"duett/acme/customer/1", partition=0)
    if more:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


def committed(stack: Stack, topic: str, offset: int) -> None:
    """Let the group have read so far."""
    reader = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": f"{stack.prefix}-worker"})
    reader.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    reader.close()


def delete_before(brokers: AdminClient, topic: str, offset: int) -> None:
    place = TopicPartition(topic, 0, offset)
    for future in brokers.delete_records([place]).values():
        future.result()


def test_retention_that_overtook_the_group_refuses_the_start_and_the_doctor_knows_the_way_out(
    stack: Stack, brokers: AdminClient
) -> None:
    topic = stack.topic("raw", "duett")
    write(stack, topic, 10)
    committed(stack, topic, 4)
    before = connector(stack, "doctor", "--json")

    delete_before(brokers, topic, 6)

    worker = stack.start("worker-1", "work")
    assert worker.ended(WITHIN_S) == 1
    told = worker.log.read_text()
    assert "Traceback" not in told
    assert f"Error: {topic}/0: found committed offset 4, wanted at least 6, the oldest record" in told
    assert f"--group {stack.prefix}-worker --topic {topic}:0 --reset-offsets --to-earliest" in told
    after = connector(stack, "doctor", "--json")
    assert (before.exit_code, after.exit_code) == (0, 1)
    assert rows(before)[f"lag {topic}"]["found"].startswith("6 offset(s) behind in 1 of 2 partitions")
    assert rows(after)["guard overtaken"]["verdict"] == "bad"
    assert "--reset-offsets --to-earliest --execute" in rows(after)["guard overtaken"]["remedy"]


def test_an_offset_behind_the_end_of_the_log_refuses_the_start(stack: Stack, settings: Settings) -> None:
    topic = stack.topic("raw", "duett")
    write(stack, topic, 3)
    committed(stack, topic, 9)

    with pytest.raises(Misconfigured, match=r"raw\.duett/0: found committed offset 9, wanted at most 3"):
        Guards(settings, "work").preflight()


def test_unread_records_near_their_end_are_told_and_marks_of_transactions_are_not(
    stack: Stack, settings: Settings, brokers: AdminClient
) -> None:
    records, marks = stack.topic("raw", "duett"), stack.topic("raw", "quickfile")
    write(stack, records, 1)
    write(stack, marks, 1, **{"transactional.id": f"{stack.prefix}-marks"})
    committed(stack, records, 0)
    committed(stack, marks, 1)  # behind the record; its mark stands at offset 1
    for topic in (records, marks):
        alter(brokers, topic, "retention.ms", "1")
    table = wanted(settings, "work")
    clean: Clean = {}

    def look(clean: Clean) -> set[tuple[str, str]]:
        facts = Look(settings).facts(table, clean, group=True)
        return {(one.guard, one.where) for one in judge(table, facts) if one.guard != "raw_retention"}

    assert eventually(lambda: look(clean) == {("aging", f"{records}/0")}), look(clean)
    delete_before(brokers, marks, 2)
    assert ("overtaken", f"{marks}/0") not in look(clean)
    assert ("overtaken", f"{marks}/0") in look({}), "who has not looked before cannot know what stood there"


def test_a_failure_is_told_by_its_cause_where_a_guard_knows_it(
    stack: Stack, settings: Settings, brokers: AdminClient
) -> None:
    guards, failure = Guards(settings, "work"), RuntimeError("5 commits in a row failed")
    guards.preflight()
    untold = guards.diagnose(failure)
    topic = stack.topic("events")
    brokers.delete_topics([topic])[topic].result()

    assert untold is failure
    assert eventually(lambda: guards.diagnose(failure) is not failure)
    assert str(guards.diagnose(failure)).startswith(f"{topic}: found no such topic")


def test_the_doctor_explains_a_wrong_protocol_and_prints_no_secret(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "REACH_S", 1)
    told = connector(
        stack,
        "doctor",
        CONNECTOR_KAFKA__SECURITY_PROTOCOL="sasl_plaintext",
        CONNECTOR_KAFKA__SASL_MECHANISM="SCRAM-SHA-512",
        CONNECTOR_KAFKA__SASL_USERNAME="somebody",
        CONNECTOR_KAFKA__SASL_PASSWORD="env:STACK_PASSWORD",
        STACK_PASSWORD="not to be printed",
    )

    assert told.exit_code == 1
    assert "kafka.sasl.mechanism: the listener does not take this mechanism" in " ".join(told.output.split())
    assert "not looked at: no broker answers" in told.output
    for secret in ("not to be printed", "somebody", *stack.secrets.values()):
        assert secret not in told.output
