"""Partitions that did not move are worked on while others are rebuilt, in each group protocol."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from armed import armed
from auditing import audit
from callbacks import Vendors
from ledger import Load
from stack import SOURCES, Stack
from watch import Watch

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

MODES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "range": ({}, {"assignment_strategy": "range"}),
    "cooperative-sticky": ({}, {"assignment_strategy": "cooperative-sticky"}),
    "consumer": ({"group.protocol": "consumer"}, {}),
}
CALLBACKS = 200
WITHIN_S = 60.0
MOST = 0.6
"""Share of the partitions that may wait: the half that moved, and what a little imbalance adds."""


@pytest.mark.parametrize("mode", MODES)
def test_partitions_that_stay_are_worked_on_while_others_are_rebuilt(
    bootstrap: str, prefix: str, tmp_path: Path, mode: str
) -> None:
    kafka, worker = MODES[mode]
    settings = {**worker, "session_timeout_ms": 45_000}  # it stands still, and is not dead
    with Stack(bootstrap, prefix, tmp_path, kafka=kafka, worker=settings) as stack:
        stack.serve()
        first = stack.work("worker-1")
        vendors = Vendors(83, stack.secrets["STACK_CLIENT_KEY"])
        rows = Load(stack, vendors.callbacks(CALLBACKS)).post().rows
        stack.drained()

        second = armed(stack, "worker-2", "work", "rebuild.committed:stop:1")
        until_it_stands(second.log)
        rows += Load(stack, vendors.callbacks(CALLBACKS)).post().rows
        left = stuck(stack)
        assert first.alive
        second.signal(signal.SIGCONT)
        second.ready()
        stack.drained()

        print(mode, sorted(left))
        told = audit(stack, rows, first.url)
        told.clean()


def until_it_stands(log: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not log.exists() or "failpoint rebuild.committed: stop" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def stuck(stack: Stack) -> set[str]:
    """Wait until about half of the partitions have nothing left, and the others something; give the others.

    Raises:
        AssertionError: Too many have something left: those that did not move wait too.
    """
    raws = [stack.topic("raw", one) for one in SOURCES]
    watch = Watch(stack.bootstrap, f"{stack.prefix}-worker", raws, stack.partitions)
    try:
        deadline, before = time.monotonic() + WITHIN_S, watch.left()
        while True:
            time.sleep(1.0)
            now = watch.left()
            if now == before and 0 < len(now) <= MOST * len(raws) * stack.partitions:
                return set(now)
            before = now
            assert time.monotonic() < deadline, f"{len(now)} partitions wait: {now}"
    finally:
        watch.close()
