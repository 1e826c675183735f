"""What the consumer contract promises, seen by readers that know nothing of the connector."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import reader
from auditing import Audit, audit
from callbacks import Vendors
from ledger import Load
from reader import Record
from stack import Child, Stack

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

CALLBACKS = 900
ALWAYS = {
    "x-erp-version",
    "x-erp-op",
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_subject",
    "ce_type",
    "ce_time",
    "ce_partitionkey",
    "x-erp-delivery-id",
}
WITH_VALUE = ALWAYS | {"content-type", "ce_dataschema"}


class Loaded(NamedTuple):
    """A stack that has worked off a mixed load with deletes, merges and disorder."""

    stack: Stack
    worker: Child
    audit: Audit

    @property
    def changes(self) -> list[Record]:
        """All changelog records, each partition in its order."""
        return self.audit.changes


@pytest.fixture(scope="module")
def loaded(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with Stack(bootstrap, f"t{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("consumers")) as stack:
        stack.serve()
        worker = stack.work()
        load = Load(stack, Vendors(11, stack.secrets["STACK_CLIENT_KEY"]).callbacks(CALLBACKS)).post()
        stack.drained()
        yield Loaded(stack, worker, audit(stack, load.rows, worker.url))


def test_the_view_of_a_plain_reader_is_the_models(loaded: Loaded) -> None:
    loaded.audit.clean()
    assert len(loaded.audit.model.view()) > 100


def test_another_process_decodes_with_nothing_but_the_workers_registry(loaded: Loaded) -> None:
    told = subprocess.run(
        [
            sys.executable,
            str(Path(reader.__file__)),
            loaded.stack.bootstrap,
            loaded.worker.url,
            loaded.stack.topic("changelog", "customer"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    lines = [json.loads(line) for line in told.stdout.splitlines()]
    named = [line for line in lines if line["value"] and line["value"]["name"]]
    assert len(lines) == sum(one.topic.endswith(".changelog.customer") for one in loaded.changes)
    assert named
    assert all(line["key"] == line["value"]["meta_key"] for line in named)


def test_every_delete_is_followed_by_its_tombstone_and_none_stands_alone(loaded: Loaded) -> None:
    by_partition: dict[tuple[str, int], list[Record]] = {}
    for one in loaded.changes:
        by_partition.setdefault(one[:2], []).append(one)
    deletes = tombstones = 0

    for records in by_partition.values():
        for one, behind in pairwise([*records, None]):
            if one is not None and one.headers["x-erp-op"] == b"DELETE" and one.value is not None:
                deletes += 1
                assert behind is not None
                assert (behind.key, behind.value) == (one.key, None)
                assert behind.offset == one.offset + 1
                assert behind.headers["x-erp-version"] == one.headers["x-erp-version"]
                assert behind.headers.get("x-erp-successor") == one.headers.get("x-erp-successor")
        tombstones += sum(one.value is None for one in records)

    assert deletes == tombstones > 20


def test_headers_are_complete_and_say_what_the_value_says(loaded: Loaded) -> None:
    for one in loaded.changes:
        wanted = ALWAYS if one.value is None else WITH_VALUE
        assert wanted <= one.headers.keys(), one
        assert one.headers["ce_partitionkey"].decode() == one.key
        if one.value is None:
            assert one.headers["ce_id"].endswith(b"#tombstone")
            assert "content-type" not in one.headers
        else:
            assert int(one.headers["x-erp-version"]) == one.value["meta_version"]
            assert one.headers["x-erp-op"].decode() == one.value["meta_op"]


def test_versions_and_record_timestamps_never_fall_per_key(loaded: Loaded) -> None:
    last: dict[str, tuple[int, int]] = {}
    for one in loaded.changes:
        version, stamp = int(one.headers["x-erp-version"]), one.timestamp_ms
        before = last.get(one.key, (version, stamp))
        assert version >= before[0]
        assert stamp >= before[1]
        last[one.key] = version, stamp


def test_history_leads_from_every_record_back_to_the_received_bytes(loaded: Loaded) -> None:
    raws = {raw[:3]: (raw, meta) for raw, meta in loaded.audit.raws}
    events = {
        (one.value["meta_key"], one.value["meta_event_id"]): one.value
        for one in reader.Reader(loaded.stack.bootstrap, loaded.worker.url).read(
            [loaded.stack.topic("events")]
        )
        if one.value["verdict"] == "applied"
    }

    for one in loaded.changes:
        if one.value is not None:
            told = events[one.key, one.value["meta_event_id"]]
            raw, meta = raws[told["raw_topic"], told["raw_partition"], told["raw_offset"]]
            assert raw.key == one.key
            assert meta["delivery_id"] == told["delivery_id"]
