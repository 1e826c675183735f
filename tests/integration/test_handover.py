"""Partitions that move from worker to worker under load, whoever leaves and however."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditing import audit, topics_of
from callbacks import Vendors
from ledger import Load
from reader import Reader
from stack import Child, Stack

from connector.runtime.broker import LocalKafka
from connector.runtime.standstill import FENCED_EXIT

pytestmark = pytest.mark.cluster

CALLBACKS = 3000
RATE = 120
HALF = 10
LEAST = {"delivery": "at_least_once"}
MODES = {
    "range": ({}, {"assignment_strategy": "range"}),
    "cooperative-sticky": ({}, {"assignment_strategy": "cooperative-sticky"}),
    "consumer": ({"group.protocol": "consumer"}, {}),
    "range, at least once": ({}, {"assignment_strategy": "range", **LEAST}),
    "cooperative-sticky, at least once": ({}, {"assignment_strategy": "cooperative-sticky", **LEAST}),
    "consumer, at least once": ({"group.protocol": "consumer"}, LEAST),
}
"""Name -> librdkafka properties, settings of the worker."""


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker that notices dead members of next-generation groups and hung transactions within seconds."""
    properties = {
        "group.consumer.min.session.timeout.ms": "6000",
        "group.consumer.session.timeout.ms": "6000",
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "group.consumer.heartbeat.interval.ms": "1000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    }
    with LocalKafka(properties=properties) as kafka:
        yield kafka.bootstrap


@pytest.fixture(scope="module")
def patient_broker() -> Iterator[str]:
    """A broker that waits the usual 45 s for a static member: busy machines restart slowly."""
    with LocalKafka() as kafka:
        yield kafka.bootstrap


def until_working(worker: Child, within_s: float = 25) -> None:
    """Wait until a worker has committed something of its own."""
    deadline = time.monotonic() + within_s
    while 'connector_transactions_total{end="committed"}' not in worker.get("/metrics")[1]:
        assert worker.alive, worker.tail()
        assert time.monotonic() < deadline, worker.tail()
        time.sleep(0.2)


@pytest.mark.parametrize("mode", MODES)
def test_workers_join_leave_and_die_under_load_and_every_sequence_is_the_models(
    broker: str, prefix: str, tmp_path: Path, mode: str
) -> None:
    kafka, worker = MODES[mode]
    with Stack(broker, prefix, tmp_path, kafka=kafka, worker=worker) as stack:
        stack.serve()
        first = stack.work("worker-1")
        load = Load(stack, Vendors(31, stack.secrets["STACK_CLIENT_KEY"]).callbacks(CALLBACKS), rate=RATE)
        with load:
            time.sleep(1)
            second = stack.work("worker-2")
            until_working(second)
            third = stack.work("worker-3")
            until_working(third)
            assert first.stop() == 0
            time.sleep(1)
            third.kill()
            assert load.running, "the load ended before the last worker was killed"
        stack.drained()

        told = audit(stack, load.rows, second.url)
        print(mode, load.told(), told.told(), sep="\n")
        told.clean()
        assert second.stop() == 0


@pytest.mark.parametrize("mode", ["range", "consumer"])
def test_a_static_member_restarts_without_a_rebalance(
    patient_broker: str, prefix: str, tmp_path: Path, mode: str
) -> None:
    kafka, worker = MODES[mode]
    settings = {**worker, "static_membership": True, "session_timeout_ms": 45_000}
    kafka = {**kafka, "group.remote.assignor": "range"} if mode == "consumer" else kafka
    with Stack(patient_broker, prefix, tmp_path, kafka=kafka, worker=settings) as stack:
        stack.serve()
        first = stack.work("worker-1")
        second = stack.work("worker-2")
        shares = {"worker-1": share(first), "worker-2": share(second)}
        assert sum(shares.values()) == 2 * HALF
        with Load(stack, Vendors(33, stack.secrets["STACK_CLIENT_KEY"]).callbacks(900), rate=RATE) as load:
            until_working(first)
            assert first.stop() == 0
            again = stack.start("worker-1", "work")
            seen = set()
            while again.get("/readyz")[0] != 200:
                assert again.alive, again.tail()
                seen.add(owned(second))
            seen.add(owned(second))
        assert seen == {shares["worker-2"]}, "the other worker's partitions moved"
        assert owned(again) == shares["worker-1"]
        stack.drained()

        told = audit(stack, load.rows, second.url)
        print(mode, load.told(), told.told(), sep="\n")
        told.clean()
        assert (again.stop(), second.stop()) == (0, 0)


def owned(worker: Child) -> int:
    """Ask a worker how many partitions it owns."""
    told = worker.get("/metrics")[1]
    return next(
        int(float(line.split()[-1]))
        for line in told.splitlines()
        if line.startswith('connector_partitions{standing="owned"}')
    )


def share(worker: Child, within_s: float = 60) -> int:
    """Wait until a worker owns half of the partitions and reads them all."""
    deadline = time.monotonic() + within_s
    while (had := owned(worker)) != HALF or worker.get("/readyz")[0] != 200:
        assert worker.alive, worker.tail()
        assert time.monotonic() < deadline, f"{had} partitions\n{worker.tail()}"
        time.sleep(0.2)
    return had


def test_a_worker_stopped_in_mid_transaction_is_fenced_and_its_copies_are_never_read(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(broker, prefix, tmp_path) as stack:
        stack.serve()
        frozen = stack.work("worker-1", fault="freeze")
        made = Vendors(37, stack.secrets["STACK_CLIENT_KEY"]).callbacks(300)
        rows = Load(stack, made[:20], connections=1).post().rows
        rows += Load(stack, made[20:]).post().rows
        until_stopped(frozen)

        heir = stack.work("worker-2")
        stack.drained()
        uncommitted = Reader(stack.bootstrap, isolation="read_uncommitted").read(topics_of(stack))
        frozen.signal(signal.SIGCONT)
        code = frozen.ended(30)
        rows += Load(stack, made[:20]).post().rows
        stack.drained()

        assert code not in (0, None), frozen.tail()
        told = audit(stack, rows, heir.url)
        told.clean()
        committed = {one[:3] for one in Reader(stack.bootstrap).read(topics_of(stack))}
        aborted = [one for one in uncommitted if one[:3] not in committed]
        print(told.told(), f"aborted copies seen uncommitted: {len(aborted)}, exit code {code}", sep="\n")
        assert any(".changelog." in one.topic for one in aborted)


def until_stopped(child: Child, within_s: float = 30) -> None:
    """Wait until a process has stopped itself."""
    deadline = time.monotonic() + within_s
    status = Path(f"/proc/{child.process.pid}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, child.tail()
        time.sleep(0.05)


def test_a_worker_stopped_in_mid_cycle_without_a_transaction_fences_itself(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(broker, prefix, tmp_path, worker=LEAST) as stack:
        stack.serve()
        frozen = stack.work("worker-1", fault="freeze awaited")
        made = Vendors(39, stack.secrets["STACK_CLIENT_KEY"]).callbacks(300)
        rows = Load(stack, made[:20], connections=1).post().rows
        rows += Load(stack, made[20:]).post().rows
        until_stopped(frozen)

        heir = stack.work("worker-2")
        stack.drained()
        before = Reader(stack.bootstrap).read(topics_of(stack))
        frozen.signal(signal.SIGCONT)
        code = frozen.ended(30)
        after = Reader(stack.bootstrap).read(topics_of(stack))

        assert code == FENCED_EXIT, frozen.tail()
        assert "the process stood still" in frozen.tail()
        assert {one[:3] for one in after} == {one[:3] for one in before}, "it wrote after it woke"
        rows += Load(stack, made[:20]).post().rows
        stack.drained()
        told = audit(stack, rows, heir.url)
        print(told.told())
        told.clean()
