"""Replay and rebuild on a real Kafka: what was told once is told again, and nothing changes."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from callbacks import Made, Vendors
from click.testing import CliRunner, Result
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from everything import Everything, delivered
from furniture import PROVENANCE
from ledger import Load
from reader import Reader, Record
from stack import SOURCES, Stack

from connector.cli import main
from connector.cli.samples import SAMPLES
from connector.entities import ENTITIES
from connector.runtime.registry import Registry, folder

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

CHANGES = 184
CALLBACKS = 200
RATE = 40
BATCH = RATE // 5
"""Records that a killed replay may write twice."""
CODECS = Registry.load(folder()).codecs()


@pytest.fixture(scope="module")
def stack(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Install the product, send it everything, and end its worker when all is worked off."""
    with Stack(bootstrap, f"t{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("replay"), 2) as made:
        settings = yaml.safe_load(made.config.read_text())
        for endpoint in settings["endpoints"]:
            endpoint.pop("companies", None)  # the samples are of other companies
        made.config.write_text(yaml.safe_dump(settings, sort_keys=False))
        made.start("ingress", "serve")
        made.start("worker-1", "work")
        for child in made.children:
            child.ready()
        for sample in SAMPLES.values():
            assert made.post(sample.source, sample.body, headers=sample.headers)[0] == 202
        client_key = made.secrets["STACK_CLIENT_KEY"]
        sent = delivered(Everything(5).changes(CHANGES), Random(5), client_key)
        Load(made, [*sent, *Vendors(5, client_key).callbacks(CALLBACKS)]).post()
        made.drained()
        yield made


def run(stack: Stack, *words: str) -> Result:
    """Run a command in this process: starting one takes longer than most of them do."""
    return CliRunner(env=stack.env).invoke(main, ["--config", str(stack.config), *words])


def told(stack: Stack, *words: str) -> str:
    result = run(stack, *words)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result.stdout


def asked(stack: Stack, *words: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(told(stack, *words, "--json"))
    return read


def refused(stack: Stack, *words: str) -> str:
    """Run a command that must not succeed; give what it says."""
    result = run(stack, *words)
    assert result.exit_code == 1, (result.output, result.exception)
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def raws(stack: Stack, *sources: str) -> list[tuple[Record, dict[str, Any]]]:
    records = Reader(stack.bootstrap).read([stack.topic("raw", source) for source in sources or SOURCES])
    return [(one, json.loads(one.headers["meta"])) for one in records]


def changelogs(stack: Stack, suffix: str = "") -> list[Record]:
    return Reader(stack.bootstrap).read([stack.topic("changelog", entity) + suffix for entity in ENTITIES])


def compacted(records: list[Record]) -> dict[str, bytes]:
    """Keep the last record of every key: its state part, in canonical bytes."""
    return {one.key: state(one) for one in records}


def state(record: Record) -> bytes:
    shown: dict[str, Any] = {
        name: text.decode() for name, text in record.headers.items() if name.startswith("x-erp-")
    }
    shown.pop("x-erp-delivery-id", None)
    shown.pop("x-erp-warn", None)
    value = {} if record.value is None else CODECS.decode(record.value, record.key.split("/")[2])
    shown |= {name: one for name, one in value.items() if name not in PROVENANCE}
    return json.dumps(shown, sort_keys=True, default=repr).encode()


def originals(found: list[tuple[Record, dict[str, Any]]]) -> Counter[tuple[Any, ...]]:
    """Count what a replay must write, as it must be."""
    return Counter(
        (
            one.topic,
            one.partition,
            one.key,
            one.value,
            json.dumps({**meta, "origin": "replay"}, sort_keys=True),
        )
        for one, meta in found
        if meta.get("origin", "callback") not in ("forward", "replay")
    )


def copies(found: list[tuple[Record, dict[str, Any]]]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (one.topic, one.partition, one.key, one.value, json.dumps(meta, sort_keys=True))
        for one, meta in found
        if meta.get("origin") == "replay"
    )


def forwards(found: list[tuple[Record, dict[str, Any]]]) -> Counter[tuple[str, bytes]]:
    return Counter((one.key, one.value) for one, meta in found if meta.get("origin") == "forward")


def test_replaying_everything_changes_nothing_but_history(stack: Stack) -> None:
    logs = [*(stack.topic("changelog", entity) for entity in ENTITIES), stack.topic("identity")]
    before = Reader(stack.bootstrap).read(logs)
    raw = raws(stack)
    wanted = originals(raw)
    history = len(Reader(stack.bootstrap).read([stack.topic("events")]))

    dry = asked(stack, "replay")
    assert dry["records"] == sum(row["records"] for row in dry["rows"]) == wanted.total()
    assert {row["source"] for row in dry["rows"]} == set(SOURCES)
    assert [row["why"] for row in dry["left_out"]] == [
        "sent to a second key: the record behind it sends it again"
    ]
    assert dry["left_out"][0]["records"] == forwards(raw).total() > 20
    assert raws(stack) == raw, "a dry run writes nothing"

    assert f"{wanted.total()} records written" in told(stack, "replay", "--yes")
    stack.drained()

    after = raws(stack)
    assert copies(after) == wanted
    assert Reader(stack.bootstrap).read(logs) == before
    assert len(Reader(stack.bootstrap).read([stack.topic("events")])) == history + wanted.total()
    # what the original sent to second keys it sent again; the answers to that were known already
    again = forwards(after) - forwards(raw)
    assert again
    assert again.keys() == {one for one in forwards(raw) if b'"seen"' in one[1] or b"merged_from" in one[1]}
    dry = asked(stack, "replay")
    assert dry["records"] == wanted.total(), "copies of copies would double"
    assert any(row["why"] == "written by an earlier replay" for row in dry["left_out"])


def test_a_rebuild_writes_new_topics_with_the_same_states_and_compares_them(
    stack: Stack, tmp_path: Path
) -> None:
    live = changelogs(stack)
    keys = len(compacted(live))
    file = tmp_path / "rebuilt.json"
    for words in (("plan",), ("apply", "--raw-alone", "--file", str(file))):
        compared = asked(stack, "rebuild", *words)["entities"]
        for entity, one in compared.items():
            assert one["same"] > 0, entity
            assert not one["differs"] + one["only_new"] + one["only_live"], (entity, one)
        assert sum(one["same"] for one in compared.values()) == keys
    anew = changelogs(stack, ".v2")

    assert compacted(anew) == compacted(live)
    assert {one.key: one.partition for one in anew} == {one.key: one.partition for one in live}
    for key, count in Counter(one.key for one in anew).items():
        ops = [(one.headers["x-erp-op"], one.value is None) for one in anew if one.key == key]
        assert ops == ([(b"UPSERT", False)] if count == 1 else [(b"DELETE", False), (b"DELETE", True)]), key
    assert any(one.value is None for one in anew)
    noted = json.loads(file.read_text())
    assert set(noted["ahead"].values()) == {2}
    assert len(noted["ends"]) == len(SOURCES) * stack.partitions

    assert "is there already" in refused(stack, "rebuild", "apply", "--file", str(file))
    other = tmp_path / "other.json"
    assert "not finished, or is in use" in refused(stack, "rebuild", "apply", "--file", str(other))
    assert "set that for all workers first" in refused(stack, "rebuild", "switch", str(file))


def test_a_killed_replay_goes_on_where_it_was(stack: Stack, tmp_path: Path) -> None:
    before = copies(raws(stack, "visma-net"))
    wanted = originals(raws(stack, "visma-net"))
    file = tmp_path / "bookmark"
    words = ["replay", "--yes", "--resume", str(file), "--rate", str(RATE)]
    first = begun(stack, *words, "--source", "visma-net")
    until_written(first, file, 2 * BATCH)
    first.kill()
    first.wait()
    killed_at = json.loads(file.read_text())["written"]
    assert killed_at < wanted.total() / 2

    second = begun(stack, *words)
    until_written(second, file, killed_at + 2 * BATCH)
    second.send_signal(signal.SIGINT)
    _, said = second.communicate(timeout=30)
    assert second.returncode == 1
    assert "interrupted" in said.splitlines()[-1]
    assert f"--resume {file}" in said.splitlines()[-1]

    assert "belongs to a replay of something else" in refused(stack, *words, "--source", "duett")
    assert "written before" in told(stack, "replay", "--yes", "--resume", str(file))
    written = copies(raws(stack, "visma-net")) - before
    assert not wanted - written
    assert (written - wanted).total() <= 2 * BATCH
    assert f"{wanted.total()} records written" in told(stack, "replay", "--yes", "--resume", str(file))
    assert copies(raws(stack, "visma-net")) - before == written, "it was done"


def begun(stack: Stack, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "connector", "--config", str(stack.config), *words],
        env=stack.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_written(process: subprocess.Popen[str], file: Path, count: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not file.exists() or json.loads(file.read_text())["written"] < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_lies_before_raw_is_kept_and_what_old_code_wrote_is_told_anew(stack: Stack) -> None:
    """Ends the worker, spoils the live topics, and then cuts raw off."""
    stack.drained()
    worker = stack.children[1]
    assert worker.stop() == 0
    spoilt = next(
        one
        for one in reversed(changelogs(stack))
        if one.value is not None and one.topic.endswith(".customer") and b"/acme/" in one.key.encode()
    )
    value = CODECS.decode(spoilt.value, "customer")
    value["name"] = "\U0010ffff as old code read it"  # greater than any other: a plain join would keep it
    producer = Producer({"bootstrap.servers": stack.bootstrap})
    headers = list(spoilt.headers.items())
    producer.produce(
        spoilt.topic, CODECS.writer("customer").encode(value), spoilt.key, spoilt.partition, headers=headers
    )
    assert producer.flush(20) == 0

    text = told(stack, "rebuild", "plan", "customer", "--json")
    assert "as old code" not in text
    compared = json.loads(text)["entities"]
    assert compared.keys() == {"customer"}
    assert (compared["customer"]["differs"], compared["customer"]["columns"]) == (1, {"name": 1})
    assert compared["customer"]["examples"] == {"differs": [spoilt.key]}

    cut = [TopicPartition(stack.topic("raw", "duett"), one, -1) for one in range(stack.partitions)]
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    for done in admin.delete_records(cut).values():
        done.result()
    kept = asked(stack, "rebuild", "plan", "customer")
    assert not kept["entities"]["customer"]["differs"] + kept["entities"]["customer"]["only_live"]
    assert len(kept["raw_begins_later"]) == stack.partitions
    alone = asked(stack, "rebuild", "plan", "customer", "--raw-alone")["entities"]["customer"]
    assert alone["only_live"] > 0
    assert spoilt.key in alone["examples"]["only_live"] or alone["only_live"] > 20


def test_an_event_that_might_stand_behind_a_forgotten_delete_is_left_out(stack: Stack) -> None:
    """No worker runs: what is sent now is in no changelog."""
    stack.children[1].kill()
    old, recent = (
        notice(when) for when in ("2025-06-01T10:00:00Z", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    )
    Load(stack, [old, recent]).post()

    dry = asked(
        stack, "replay", "--source", "duett", "--since", "1h", "--entity", "project", "--tenant", "acme"
    )

    left_out = {row["why"]: row["records"] for row in dry["left_out"]}
    assert left_out["older than deletes are remembered, and no changelog knows its key"] == 1
    assert dry["records"] == 1


def notice(when: str) -> Made:
    said = {
        "clientKey": str(uuid.uuid4()),
        "subscription": "Project",
        "event": "update",
        "eventTime": when,
        "data": json.dumps({"Id": int(uuid.uuid4().int % 10**9)}),
    }
    return Made("duett", json.dumps(said).encode())


def test_a_place_that_is_not_there_is_refused_in_one_line(stack: Stack) -> None:
    topic = stack.topic("raw", "quickfile")

    assert "name offsets it holds" in refused(stack, "replay", "--offsets", f"{topic}/0/999999")
    assert "no such raw partition" in refused(stack, "replay", "--offsets", f"{topic}/77/0")
    one = next(one for one, meta in raws(stack, "quickfile") if "origin" not in meta)
    assert asked(stack, "replay", "--offsets", f"{topic}/{one.partition}/{one.offset}")["records"] == 1
