"""A process that dies at a failpoint under load, and is restarted: nothing is lost, nothing told twice."""

import signal
from collections.abc import Iterator
from random import Random

import pytest
from armed import armed
from auditing import audit
from callbacks import Vendors
from failing import BETWEEN
from ledger import Load, Row
from stack import DELIVERIES, READY_S, Child, Stack

from connector.runtime.failpoints import POINTS

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(120)]

CALLBACKS = 60
RATE = 60.0
"""Callbacks per second: they still come while the process is dead."""
BY_DOOR = [one for one in POINTS if one.startswith("door.")]
ONCE = ("assignment.", "rebuild.", "intake.settling", "outlet.aborted", "client.tombstone")
"""Points that are passed once in a start, or seldom; of the others the second passage is taken."""


def without_transactions(point: str) -> bool:
    return point.startswith("awaited.")


class Broken:
    """A stack whose processes are started to fail, and the ledger of all that was acknowledged."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.rows: list[Row] = []
        self.vendors = Vendors(71, stack.secrets["STACK_CLIENT_KEY"])

    def load(self) -> Load:
        return Load(self.stack, self.vendors.callbacks(CALLBACKS), rate=RATE)

    def dies(self, child: Child, point: str) -> None:
        assert child.ended(READY_S) == -signal.SIGKILL, child.tail()
        assert f"failpoint {point}: kill" in child.log.read_text()

    def check(self, worker: Child, load: Load) -> None:
        """See that everything acknowledged so far has had its effect, once."""
        self.rows += load.rows
        self.stack.drained()
        told = audit(self.stack, self.rows, worker.url)
        told.clean()
        assert told.acked == len(self.rows)
        for child in list(self.stack.children):
            if child.name != "ingress":
                child.close()
                self.stack.children.remove(child)


@pytest.fixture(scope="module", params=DELIVERIES)
def broken(
    bootstrap: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Broken]:
    """Static members: who comes back under the same name does not wait for the end of a dead session."""
    prefix = f"failing-{Random().randrange(10**9)}"
    worker = {"batch_records": 20, "static_membership": True, "delivery": request.param}
    folder = tmp_path_factory.mktemp("failing")
    with Stack(bootstrap, prefix, folder, partitions=2, worker=worker) as stack:
        yield Broken(stack)


@pytest.fixture
def ingress(broken: Broken) -> Child:
    for child in broken.stack.children:
        if child.name == "ingress" and child.alive:
            return child
    return broken.stack.serve()


def cases(*points: str) -> list[object]:
    """Pair each point with the kind of delivery that passes it."""
    return [
        pytest.param(DELIVERIES[without_transactions(one)], one, id=one)
        for one in points
        if one not in BY_DOOR
    ]


@pytest.mark.usefixtures("ingress")
@pytest.mark.parametrize(("broken", "point"), cases(*POINTS, *BETWEEN), indirect=["broken"], scope="module")
def test_a_worker_that_dies_at_a_failpoint_loses_nothing_and_doubles_nothing(
    broken: Broken, point: str
) -> None:
    passage = 1 if point.startswith(ONCE) else 2
    fault = "abort" if point == "outlet.aborted" else ""
    with broken.load() as load:
        failing = armed(broken.stack, "worker-1", "work", f"{point}:kill:{passage}", fault)
        if point == "intake.settling":
            failing.ready()
            broken.stack.start("worker-2", "work")
        broken.dies(failing, point)
        worker = broken.stack.work("worker-1")
    broken.check(worker, load)


@pytest.mark.parametrize("broken", DELIVERIES[:1], indirect=True, scope="module")
@pytest.mark.parametrize("point", [*BY_DOOR, "client.record"])
def test_a_door_that_dies_at_a_failpoint_has_acknowledged_nothing_it_does_not_have(
    broken: Broken, ingress: Child, point: str
) -> None:
    ingress.close()
    broken.stack.children.remove(ingress)
    worker = broken.stack.work("worker-1")
    failing = armed(broken.stack, "failing", "serve", f"{point}:kill:20")
    with broken.load() as load:
        broken.dies(failing, point)
        broken.stack.serve()
    broken.check(worker, load)
    assert load.refused, "the door died and nobody noticed"


@pytest.mark.usefixtures("ingress")
@pytest.mark.parametrize("broken", DELIVERIES[:1], indirect=True, scope="module")
@pytest.mark.parametrize("point", ["agent.carried", "outlet.produced"])
def test_a_bug_at_a_failpoint_ends_the_worker_and_is_passed_over_by_nobody(
    broken: Broken, point: str
) -> None:
    with broken.load() as load:
        failing = armed(broken.stack, "worker-1", "work", f"{point}:raise:2")
        assert failing.ended(READY_S) == 1, failing.tail()
        worker = broken.stack.work("worker-1")
    broken.check(worker, load)
