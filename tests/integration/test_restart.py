"""A worker that comes back: nothing twice, nothing forgotten, though its memory was empty."""

import json
from pathlib import Path

import pytest
from auditing import audit
from callbacks import Vendors
from ledger import Load
from stack import DELIVERIES, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

CALLBACKS = 600


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_everything_sent_again_to_a_restarted_worker_changes_nothing(
    bootstrap: str, prefix: str, tmp_path: Path, delivery: str
) -> None:
    with Stack(bootstrap, prefix, tmp_path, worker={"delivery": delivery}) as stack:
        stack.serve()
        worker = stack.work()
        made = Vendors(23, stack.secrets["STACK_CLIENT_KEY"]).callbacks(CALLBACKS)
        first = Load(stack, made).post()
        stack.drained()
        before = audit(stack, first.rows, worker.url)
        before.clean()

        assert worker.stop() == 0
        again = Load(stack, made).post()
        worker = stack.work()
        stack.drained()

        after = audit(stack, [*first.rows, *again.rows], worker.url)
        after.clean()
        assert len(after.changes) == len(before.changes) > 200
        fresh = after.verdicts - before.verdicts
        assert fresh["applied"] == 0
        assert fresh["duplicate"] > fresh["stale"] > 0


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_worker_with_an_empty_memory_reads_the_changelog_and_goes_on(
    bootstrap: str, prefix: str, tmp_path: Path, delivery: str
) -> None:
    with Stack(bootstrap, prefix, tmp_path, worker={"delivery": delivery}) as stack:
        stack.serve()
        worker = stack.work("worker-1")
        made = Vendors(29, stack.secrets["STACK_CLIENT_KEY"]).callbacks(2 * CALLBACKS)
        halves = made[:CALLBACKS], made[CALLBACKS:]
        rows = Load(stack, halves[0]).post().rows
        stack.drained()

        worker.kill()
        rows += Load(stack, halves[1]).post().rows
        worker = stack.work("worker-2")
        stack.drained()

        told = audit(stack, rows, worker.url)
        told.clean()
        assert told.verdicts["applied"] > CALLBACKS


def test_a_worker_is_not_ready_before_it_reads_its_partitions(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        worker = stack.start("worker-1", "work")
        status = 0
        while status != 200:
            assert worker.alive, worker.tail()
            status, told = worker.get("/readyz")

        assert json.loads(told)["checks"]["partitions"]["ok"]
        assert 'connector_partitions{standing="live"} 20.0' in worker.get("/metrics")[1]


def test_a_killed_worker_leaves_nothing_on_the_disk(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Stack(bootstrap, prefix, tmp_path) as stack:
        worker = stack.start("worker-1", "work", TMPDIR=str(temporary)).ready()
        worker.kill()

        assert list(temporary.iterdir()) == []
        assert list(Path.cwd().glob(f"{prefix}*")) == []
