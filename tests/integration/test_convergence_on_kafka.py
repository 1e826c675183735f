"""The same changes, delivered in two ways to two installations, one of which loses its worker: equal maps."""

import json
import signal
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from everything import Everything, delivered
from furniture import PROVENANCE
from ledger import Load
from reader import Reader
from stack import Stack

from connector.entities import ENTITIES

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(150)]

CHANGES = 200
SEED = 11
RATE = 40
"""Callbacks per second, so that the worker is at work when it is stopped."""


def test_two_deliveries_of_the_same_changes_end_in_the_same_bytes_though_a_worker_was_killed(
    bootstrap: str, tmp_path: Path
) -> None:
    changes = Everything(SEED).changes(CHANGES)
    with ExitStack() as both:
        whole, broken = (installed(both, bootstrap, tmp_path / name) for name in ("whole", "broken"))
        broken.env["CONNECTOR_DIGEST_KEY"] = whole.env["CONNECTOR_DIGEST_KEY"]  # hashes must be equal too
        for stack in (whole, broken):
            stack.start("ingress", "serve")
            stack.start("worker-1", "work")
        for stack in (whole, broken):
            for child in stack.children:
                child.ready()

        first = Load(whole, delivered(changes, Random(1), whole.secrets["STACK_CLIENT_KEY"])).post()
        made = delivered(changes, Random(2), broken.secrets["STACK_CLIENT_KEY"])
        half = len(made) // 2
        with Load(broken, made[:half], connections=4, rate=RATE) as second:
            until_it_works(broken, second, half // 2)
            broken.children[-1].signal(signal.SIGSTOP)  # wherever it stands; it never goes on
        rest = Load(broken, made[half:]).post()
        broken.children[-1].kill()
        worker = broken.work("worker-1")
        whole.drained()
        broken.drained()

        assert not sum(row.quarantined for load in (first, second, rest) for row in load.rows)
        views = [compacted(stack, worker.url) for stack in (whole, broken)]
        for key in views[0].keys() | views[1].keys():
            assert views[0].get(key) == views[1].get(key), key
        rich(views[0])


def installed(both: ExitStack, bootstrap: str, folder: Path) -> Stack:
    """Install the product under a prefix of its own."""
    folder.mkdir()
    return both.enter_context(Stack(bootstrap, f"t{uuid.uuid4().hex[:8]}", folder))


def until_it_works(stack: Stack, load: Load, acked: int, within_s: float = 60) -> None:
    """Wait until so many callbacks are acknowledged and the worker has committed something."""
    worker, deadline = stack.children[-1], time.monotonic() + within_s
    while load.acked < acked or 'transactions_total{end="committed"}' not in worker.get("/metrics")[1]:
        assert time.monotonic() < deadline, worker.tail()
        time.sleep(0.02)


def compacted(stack: Stack, registry: str) -> dict[str, bytes]:
    """Keep the last record of every key, as the log cleaner does: its state part, in canonical bytes."""
    view = {}
    topics = [*(stack.topic("changelog", entity) for entity in ENTITIES), stack.topic("identity")]
    for one in Reader(stack.bootstrap, registry).read(topics):
        view[f"{one.topic.removeprefix(stack.prefix)} {one.key}"] = one
    return {name: state(one.value, one.headers) for name, one in view.items()}


def state(value: dict[str, Any] | None, headers: dict[str, bytes]) -> bytes:
    """Write what a record says of its entity; what it says of the event behind it is left out."""
    told: dict[str, Any] = {
        name: text.decode() for name, text in headers.items() if name.startswith("x-erp-")
    }
    told.pop("x-erp-delivery-id", None)
    told.pop("x-erp-warn", None)
    told |= {name: one for name, one in (value or {}).items() if name not in PROVENANCE}
    return json.dumps(told, sort_keys=True, default=repr).encode()


def rich(view: dict[str, bytes]) -> None:
    """Assert that the sample says something: every entity, deletes, merges, new numbers."""
    found = Counter(name.split()[0] for name in view)
    assert len(found) == len(ENTITIES) + 1, found
    told = [json.loads(one) for one in view.values()]
    for column in ("x-erp-successor", "x-erp-hidden", "previous_key", "merged_from", "extras"):
        assert any(one.get(column) for one in told), column
    assert sum(one.get("x-erp-op") == "DELETE" for one in told) > 5
