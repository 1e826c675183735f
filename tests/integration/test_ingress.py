"""Against a real Kafka: what got a 202 is there, whatever ended the process."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rig_process
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from rig import (
    PARTITIONS,
    SECRET,
    TOKEN,
    Line,
    Rig,
    build,
    notice,
    play,
    request,
    running,
    signed,
    topics,
    until,
)

from connector.core.keys import partition_of
from connector.runtime.broker import free_ports

pytestmark = pytest.mark.kafka


@pytest.fixture
def laid_out(bootstrap: str, prefix: str) -> str:
    """All topics of the rig under the test's prefix."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"max.message.bytes": "1572864"}
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in topics(prefix)])
    for one in made.values():
        one.result(20)
    return prefix


def stored(bootstrap: str, topic: str) -> list[tuple[bytes, bytes, int, bytes]]:
    """Key, value, partition and headers of every record of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found, ends = [], 0
    while ends < PARTITIONS:
        one = consumer.poll(10)
        assert one is not None
        if one.error():
            ends += 1
        else:
            found.append((one.key(), one.value(), one.partition(), b"".join(dict(one.headers()).values())))
    consumer.close()
    return found


@contextmanager
def process(
    bootstrap: str, prefix: str, port: int, *, drain_delay_s: float
) -> Iterator[subprocess.Popen[str]]:
    """The rig's ingress, up; killed if the test did not end it."""
    words = [
        sys.executable,
        str(Path(rig_process.__file__)),
        bootstrap,
        prefix,
        str(port),
        str(drain_delay_s),
    ]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    try:
        assert started.stdout.readline() == "up\n"
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


class Callers:
    """Vendors that post one event after the other, each over its own connection, until told to stop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = False
        self.accepted: set[bytes] = set()
        self.statuses: dict[int, int] = {}
        self.unanswered = 0
        self._next = 0

    async def call(self) -> None:
        line: Line | None = None
        while not self.over:
            self._next += 1
            body = notice(self._next)
            try:
                line = line or Line(*await asyncio.open_connection("127.0.0.1", self.port))
                line.send(request(body, headers=signed(body)))
                reply = await line.reply()
            except (OSError, asyncio.IncompleteReadError):
                self.unanswered += 1
                line = None
                await asyncio.sleep(0.01)
                continue
            self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
            if reply.status == 202:
                self.accepted.add(body)
            if reply.headers.get("connection") == "close":
                line.hang_up()
                line = None


def test_records_land_under_their_key_where_java_would_put_them(bootstrap: str, laid_out: str):
    async def story():
        async with running(build(bootstrap, prefix=laid_out)) as rig:
            await rig.ready()
            for number in range(50):
                assert (await rig.post(notice(number))).status == 202

    play(story)

    found = stored(bootstrap, f"{laid_out}.raw.visma-net")
    assert {key for key, *_ in found} == {b"visma-net/acme/customer/%d" % number for number in range(50)}
    assert all(partition == partition_of(key.decode(), PARTITIONS) for key, _, partition, _ in found)


def test_bodies_at_the_limit_fit_into_the_real_topics(bootstrap: str, laid_out: str):
    async def story():
        async with running(build(bootstrap, prefix=laid_out)) as rig:
            await rig.ready()
            for body in (
                notice(1)[:-1] + b" " * (1_048_576 - len(notice(1))) + b"}",
                b"{" + b"[" * 1_048_575,
            ):
                assert len(body) == 1_048_576
                assert (await rig.post(body)).status == 202

    play(story)

    assert len(stored(bootstrap, f"{laid_out}.raw.visma-net")) == 1
    assert len(stored(bootstrap, f"{laid_out}.quarantine")) == 1


def test_a_missing_topic_is_never_created_and_its_callbacks_are_503(bootstrap: str, prefix: str):
    async def story():
        async with running(build(bootstrap, prefix=prefix, ack_timeout_ms=1500)) as rig:
            assert (await rig.post(notice(1))).status == 503
            ready, reasons = rig.ingress.ready()
            assert not ready
            assert any("is missing: run `connector topics apply`" in reason for reason in reasons)

    play(story)

    known = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    assert not [name for name in known if name.startswith(prefix)]


def test_sigterm_under_load_answers_everybody_and_loses_nothing(bootstrap: str, laid_out: str):
    port = free_ports(1)[0]
    callers = Callers(port)

    async def story(serving: subprocess.Popen[str]):
        calling = [asyncio.create_task(callers.call()) for _ in range(16)]
        await until(lambda: len(callers.accepted) >= 500, 40)
        callers.statuses.clear()  # a broker that is still cold may need longer than a 503 waits
        serving.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.6)  # a gateway looks away within the delay
        callers.over = True
        await asyncio.gather(*calling)
        assert await asyncio.to_thread(serving.wait, 15) == 0

    with process(bootstrap, laid_out, port, drain_delay_s=1.5) as serving:
        play(lambda: story(serving))

    assert callers.statuses.keys() == {202}
    assert callers.unanswered == 0
    assert {value for _, value, *_ in stored(bootstrap, f"{laid_out}.raw.visma-net")} == callers.accepted


def test_sigkill_under_load_loses_nothing_that_was_accepted(bootstrap: str, laid_out: str):
    port = free_ports(1)[0]
    callers = Callers(port)

    async def story(serving: subprocess.Popen[str]):
        calling = [asyncio.create_task(callers.call()) for _ in range(16)]
        await until(lambda: len(callers.accepted) >= 500, 40)
        serving.kill()
        callers.over = True
        await asyncio.gather(*calling)

    with process(bootstrap, laid_out, port, drain_delay_s=0) as serving:
        play(lambda: story(serving))

    assert callers.accepted
    assert callers.accepted <= {value for _, value, *_ in stored(bootstrap, f"{laid_out}.raw.visma-net")}


def test_a_taken_port_ends_the_process_with_one_line_and_exit_code_1(bootstrap: str, prefix: str):
    async def story():
        async with running(build(bootstrap, prefix=prefix)) as rig:
            told = await asyncio.to_thread(second, rig)
            assert told.returncode == 1
            assert told.stderr.count("\n") == 1
            assert "ingress.port" in told.stderr

    def second(rig: Rig) -> subprocess.CompletedProcess[str]:
        port = str(rig.ingress.settings.port)
        words = [sys.executable, str(Path(rig_process.__file__)), bootstrap, prefix, port, "0"]
        return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)

    play(story)


def test_canaries_in_tokens_headers_and_bodies_reach_no_topic(bootstrap: str, laid_out: str):
    async def story():
        async with running(build(bootstrap, prefix=laid_out)) as rig:
            await rig.ready()
            hidden = {"authorization": SECRET.decode(), "x-other": "canary-header"}
            inner = json.dumps({"id": 1, "paymentInfo": {"ftpPassword": "canary-3"}})
            duett = json.dumps(
                {
                    "integrationKey": "canary-1",
                    "clientKey": "canary-2",
                    "subscription": "Voucher",
                    "event": "Update",
                    "eventTime": "2024-08-23T11:00:32.2216966Z",
                    "data": inner,
                }
            ).encode()
            for whole in (duett, duett[:-1]):
                assert (await rig.post(whole, path="/hooks/duett/d1", headers=hidden)).status == 202
            item = b'{"PayLoad":{"InvoicesCreated":[{"Id":1}]}}'
            await rig.post(item, path=f"/hooks/quickfile/q1/{TOKEN}?canary-query", headers={})

    play(story)

    everything = [one for name in topics(laid_out) for one in stored(bootstrap, name)]
    written = b"".join(key + value + headers for key, value, _, headers in everything)
    assert len(everything) == 3
    assert b"canary" not in written
    assert TOKEN.encode() not in written
    assert SECRET not in written
