"""States on disk are a cache of the changelog: whatever becomes of the folder, the ledger is right."""

import random
import shutil
import time
from pathlib import Path

import pytest
from auditing import audit
from callbacks import Made, Vendors
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from ledger import Load, Row
from reader import Reader
from stack import DELIVERIES, Child, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

CALLBACKS = 900


def begin(stack: Stack, name: str = "worker-1") -> Child:
    """Start a worker with a folder of its own; the same name finds the same folder."""
    folder = str(stack.folder / f"state-{name}")
    env = {"CONNECTOR_WORKER__STATE": "rocksdb", "CONNECTOR_WORKER__STATE_DIR": folder}
    return stack.start(name, "work", **env).ready()


def records_read(worker: Child) -> int:
    """Ask a worker how many changelog records it has read."""
    lines = worker.get("/metrics")[1].splitlines()
    return next(
        int(float(one.split()[-1])) for one in lines if one.startswith("connector_rebuild_records_total")
    )


def callbacks(stack: Stack, seed: int, count: int) -> list[Made]:
    """Make callbacks; of two seeds two changes could share a time, which the model does not know."""
    return Vendors(seed, stack.secrets["STACK_CLIENT_KEY"]).callbacks(count)


def posted(stack: Stack, made: list[Made]) -> list[Row]:
    """Post callbacks and wait until they are worked off."""
    load = Load(stack, made).post()
    stack.drained()
    return load.rows


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_worker_killed_under_load_goes_on_from_its_folder(
    bootstrap: str, prefix: str, tmp_path: Path, delivery: str
) -> None:
    chance = random.Random(delivery)
    with Stack(bootstrap, prefix, tmp_path, worker={"delivery": delivery}) as stack:
        stack.serve()
        worker = begin(stack)
        made = callbacks(stack, 61, 2400)
        with Load(stack, made, rate=120) as load:
            for _ in range(3):
                time.sleep(chance.uniform(1, 3))
                worker.kill()
                worker = begin(stack)
        stack.drained()

        told = audit(stack, load.rows, worker.url)
        print(told.told())
        told.clean()
        assert "states on disk thrown away" not in worker.log.read_text()


def test_a_restart_reads_only_what_is_new_and_a_deleted_folder_everything(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        worker = begin(stack)
        made = callbacks(stack, 63, CALLBACKS + 601)
        rows = posted(stack, made[:CALLBACKS])
        assert worker.stop() == 0
        again = begin(stack)  # reads what was written since the checkpoint
        rows += posted(stack, made[CALLBACKS:][:1])
        again.kill()
        worker = begin(stack)
        small = records_read(worker)
        rows += posted(stack, made[CALLBACKS + 1 :][:300])
        worker.kill()
        shutil.rmtree(tmp_path / "state-worker-1")
        worker = begin(stack)
        whole = records_read(worker)
        rows += posted(stack, made[CALLBACKS + 301 :])

        told = audit(stack, rows, worker.url)
        print(told.told(), f"read: {small} with the folder, {whole} without", sep="\n")
        told.clean()
        assert small < 50
        assert whole > 300


def test_a_checkpoint_older_than_the_log_is_not_read_on_from(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        worker = begin(stack)
        made = callbacks(stack, 67, 2 * CALLBACKS)
        rows = posted(stack, made[:CALLBACKS])
        worker.kill()
        kept = tmp_path / "kept"
        shutil.copytree(tmp_path / "state-worker-1", kept)
        worker = begin(stack, "worker-2")
        rows += posted(stack, made[CALLBACKS:])
        told = audit(stack, rows, worker.url)
        told.clean()
        assert worker.stop() == 0
        forget(stack, stack.topic("changelog", "customer"))
        shutil.rmtree(tmp_path / "state-worker-1")
        kept.rename(tmp_path / "state-worker-1")

        worker = begin(stack)

        assert "state read anew" in worker.log.read_text()
        assert "holds offsets from" in worker.log.read_text()
        posted(stack, made)
        again = audit(stack, rows, worker.url).changes
        customers = stack.topic("changelog", "customer")
        assert [one for one in again if one.topic == customers], "deleted, yet taken for known"
        others = [[one[:3] for one in some if one.topic != customers] for some in (told.changes, again)]
        assert sorted(others[0]) == sorted(others[1]), "known, yet told anew"


def forget(stack: Stack, topic: str) -> None:
    """Delete everything that stands in a topic, as retention would."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})

    def cleanup(policy: str) -> None:
        entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
        named = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for one in admin.incremental_alter_configs([named]).values():
            one.result(20)

    cleanup("compact,delete")  # else the broker refuses
    places = [TopicPartition(topic, one, -1) for one in range(stack.partitions)]
    until_s = time.monotonic() + 20
    while True:  # a broker hears of the new policy some time after it was taken
        try:
            for one in admin.delete_records(places, operation_timeout=20).values():
                one.result(20)
        except KafkaException as refused:
            if refused.args[0].code() != KafkaError.POLICY_VIOLATION or time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            break
    cleanup("compact")


def test_partitions_that_moved_meanwhile_are_read_on_where_the_folder_ends(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        first = begin(stack, "worker-1")
        made = callbacks(stack, 71, 3000)
        with Load(stack, made, rate=150) as load:
            time.sleep(2)
            second = begin(stack, "worker-2")
            time.sleep(2)
            first.kill()
            time.sleep(1)
            first = begin(stack, "worker-1")
            time.sleep(1)
            assert second.stop() == 0
            time.sleep(1)
            second = begin(stack, "worker-2")
            first.kill()
        stack.drained(90)

        told = audit(stack, load.rows, second.url)
        print(told.told())
        told.clean()


def test_two_workers_with_one_folder_are_told_so(bootstrap: str, prefix: str, tmp_path: Path) -> None:
    settings = {"state": "rocksdb", "state_dir": str(tmp_path / "shared")}
    with Stack(bootstrap, prefix, tmp_path, worker=settings) as stack:
        stack.work("worker-1")
        other = stack.start("worker-2", "work")

        assert other.ended(40) == 1
        assert "every worker needs a folder of its own" in other.tail()
        assert "Traceback" not in other.tail()


def test_a_changelog_that_was_made_anew_is_not_taken_for_the_one_on_disk(
    bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    with Stack(bootstrap, prefix, tmp_path) as stack:
        stack.serve()
        worker = begin(stack)
        made = callbacks(stack, 73, CALLBACKS)
        posted(stack, made)
        assert worker.stop() == 0
        admin = AdminClient({"bootstrap.servers": bootstrap})
        topic = stack.topic("changelog", "voucher_line")
        for one in admin.delete_topics([topic], operation_timeout=20).values():
            one.result(20)
        stack.run("topics", "apply")
        stack.run("topics", "accept")
        worker = begin(stack)
        posted(stack, made)

        assert f"{topic} was made anew" in worker.log.read_text()
        found = Reader(bootstrap, worker.url).read([topic])
        assert len(found) > 20, "deleted, yet taken for known"
