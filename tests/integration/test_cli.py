"""The commands against a real broker, as a newcomer meets them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(150)]
DEMO_FOLDERS = "erp-connector-demo-*"


def environment(**variables: str) -> dict[str, str]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith("CONNECTOR_")}
    return {**ours, "CONNECTOR_KAFKA__SECURITY_PROTOCOL": "plaintext", **variables}


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "connector", *arguments],
        env=environment(TMPDIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as another terminal would, with the demo's own environment file."""
    command = f". {folder}/env && exec {sys.executable} -m connector " + " ".join(arguments)
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environment(), capture_output=True, text=True, check=False, timeout=60
    )


def running(folder: Path) -> list[str]:
    """Name the processes that were started with something in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in told:
            found.append(told)
    return found


def test_the_demo_reaches_what_the_pure_functions_predict_and_leaves_nothing(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    demo = start(
        "demo", "--once", "--seed", "5", "--bootstrap", bootstrap, "--prefix", prefix, folder=tmp_path
    )
    told, faults = demo.communicate(timeout=120)

    assert demo.returncode == 0, faults + told
    assert "39 of 39 callbacks taken, 13 of them repeats" in told
    assert "every entity is as it must be" in told
    assert running(tmp_path) == []
    assert list(tmp_path.glob(DEMO_FOLDERS)) == []


def await_line(demo: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(pattern, line):
            return found
    pytest.fail(f"the demo ended without {pattern}: {demo.communicate()[1]}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_second_terminal_can_join_and_no_end_leaves_a_process_behind(
    bootstrap: str, prefix: str, tmp_path: Path, number: signal.Signals
) -> None:
    demo = start("demo", "--bootstrap", bootstrap, "--prefix", prefix, folder=tmp_path)
    try:
        folder = Path(await_line(demo, r"\. (\S+)/env")[1])
        registry = await_line(demo, r"curl (\S+)/subjects")[1]
        await_line(demo, "every entity is as it must be")
        if number == signal.SIGTERM:
            join_in(folder, registry, prefix)
    finally:
        demo.send_signal(number)
        demo.communicate(timeout=30)

    deadline = time.monotonic() + 20
    while running(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(tmp_path) == []
    assert demo.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    if number != signal.SIGKILL:
        assert list(tmp_path.glob(DEMO_FOLDERS)) == []


def join_in(folder: Path, registry: str, prefix: str) -> None:
    """Read with a consumer's own libraries, send once more, look at everything."""
    tailed = run(folder, "tail", "customer", "voucher_line", "--from", "earliest", "--until-end", "--json")
    told = run(folder, "tail", "customer", "--from", "earliest", "--once", "--key", "duett/")
    sent = run(
        folder,
        "send",
        "--endpoint",
        "demo-duett",
        "--sample",
        "duett-customer-created",
        "--url",
        door(folder),
    )
    checked = run(folder, "config", "check", "--json")

    records = [json.loads(line) for line in tailed.stdout.splitlines()]
    last = {record["key"]: record for record in records}
    assert last["duett/acme/voucher_line/4220"]["op"] == "tombstone"
    assert last["duett/acme/customer/13017"]["value"]["city"] == "BODØ"
    assert told.stdout.startswith("UPSERT     duett/acme/customer/13017  2024-08-23T")
    assert sent.stdout.startswith('202 {"id": ')
    assert json.loads(checked.stdout) == {"ok": True, "endpoints": 5, "warnings": []}
    decode_as_consumers_do(folder, registry, prefix)


def door(folder: Path) -> str:
    import yaml

    port = yaml.safe_load((folder / "connector.yaml").read_text())["ingress"]["port"]
    return f"http://127.0.0.1:{port}"


def decode_as_consumers_do(folder: Path, registry: str, prefix: str) -> None:
    """Confluent's own client and deserializer, unchanged, through the worker's registry."""
    import yaml
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient({"url": registry})
    subject = f"{prefix}.changelog.customer-value"
    latest = client.get_latest_version(subject)
    decode = AvroDeserializer(client)
    servers = yaml.safe_load((folder / "connector.yaml").read_text())["kafka"]["bootstrap.servers"]
    topic = subject.removesuffix("-value")
    consumer = Consumer({"bootstrap.servers": servers, "group.id": prefix})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(12)])
    record = next(
        one for one in iter(lambda: consumer.poll(10), None) if one and one.key().startswith(b"duett/")
    )
    value = decode(record.value(), SerializationContext(topic, MessageField.VALUE))
    consumer.close()

    assert subject in client.get_subjects()
    assert client.get_versions(subject) == [latest.version]
    assert client.get_schema(latest.schema_id).schema_str == latest.schema.schema_str
    assert client.get_version(subject, latest.version).schema_id == latest.schema_id
    assert client.get_compatibility(subject) == "FULL_TRANSITIVE"
    assert client.get_mode(subject) == "READONLY"
    assert str(value["budget_amount"]) == "123000.0000"
    assert value["meta_occurred_at"].year == 2024


def test_an_unreachable_broker_is_told_in_one_line_within_half_a_minute(tmp_path: Path) -> None:
    config = tmp_path / "connector.yaml"
    config.write_text(
        "kafka: {bootstrap.servers: '127.0.0.1:1'}\n"
        "endpoints: [{source: quickfile, id: a, tenant: t, authenticate: {url_token: env:TOKEN}}]\n"
    )
    started = time.monotonic()
    asked = [
        subprocess.Popen(
            [sys.executable, "-m", "connector", "--config", str(config), *arguments],
            env=environment(TOKEN="9b1f0d6e4c2a8e7755aa3c"),
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in (["topics", "plan"], ["topics", "apply"], ["tail", "customer"])
    ]
    told = [(one.communicate(timeout=40)[1], one.returncode) for one in asked]

    assert time.monotonic() - started < 30
    for text, code in told:
        assert code == 1
        assert text.count("\n") == 1, text
        assert "no broker answers at 127.0.0.1:1 within 5 s" in text
        assert "Connection refused" in text


def test_a_demo_without_a_broker_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    demo = start("demo", "--bootstrap", "127.0.0.1:1", folder=tmp_path)
    told, faults = demo.communicate(timeout=30)

    assert demo.returncode == 1
    assert "no broker answers at 127.0.0.1:1" in faults
    assert "Traceback" not in faults + told
    assert list(tmp_path.glob(DEMO_FOLDERS)) == []


def test_a_secret_in_a_file_is_rotated_without_a_restart(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    from connector.cli.setting import free_port

    secret, config, log = tmp_path / "secret", tmp_path / "connector.yaml", tmp_path / "serve.log"
    secret.write_text("9b1f0d6e4c2a8e7755aa3c")
    config.write_text(
        f"kafka: {{bootstrap.servers: '{bootstrap}'}}\n"
        f"topics: {{prefix: {prefix}, partitions: 1, replication_factor: 1}}\n"
        f"ingress: {{host: 127.0.0.1, port: {free_port(0)}, drain_delay_s: 0}}\n"
        f"operations: {{host: 127.0.0.1, port: {free_port(0)}}}\n"
        "endpoints: [{source: visma-net, id: a, tenant: t, authenticate: "
        f"{{hmac: x-vwd-signature-v1, secrets: 'file:{secret}'}}}}]\n"
    )
    old = config.with_name("old.yaml")
    old.write_text(config.read_text().replace(str(secret), f"{secret}.old"))
    secret.with_name("secret.old").write_text(secret.read_text())
    send = ["send", "--endpoint", "a", "--sample", "visma-net-grouped", "--url", door(tmp_path)]

    def answer(file: Path) -> str:
        command = [sys.executable, "-m", "connector", "--config", str(file), *send]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False).stdout[
            :3
        ]

    command = [sys.executable, "-m", "connector", "--config", str(config)]
    subprocess.run([*command, "topics", "apply"], env=environment(), check=True)
    with (
        log.open("w") as lines,
        subprocess.Popen([*command, "serve"], env=environment(), stderr=lines) as serve,
    ):
        try:
            assert await_answer(lambda: answer(config), "202")
            secret.write_text("c3aa5577e8a2c4e6d0f1b9")
            assert await_answer(lambda: answer(config), "202")
            assert answer(old) == "401"
        finally:
            serve.terminate()
    assert serve.returncode == 0, log.read_text()


def await_answer(ask: Callable[[], str], wanted: str) -> bool:
    deadline = time.monotonic() + 20
    while (told := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.3)
    return told == wanted
