"""One run: cluster, processes, load and faults, then quiet, then the checker."""

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from auditing import topics_of
from stack import SOURCES, Stack

from connector.entities import ENTITIES
from tests.chaos.checker import Checker
from tests.chaos.cluster import Cluster
from tests.chaos.coordinators import Moves, generations
from tests.chaos.fleet import Fleet
from tests.chaos.load import Load, client_key
from tests.chaos.reading import Stream as Plain
from tests.chaos.recovery import Recovery
from tests.chaos.rows import Rows
from tests.chaos.schedule import Fault, plan
from tests.chaos.watching import Watching

PARTITIONS: Final = 3
LINGER_MS: Final = 100
"""Three brokers share two cores: they pay for each request of the doors, not for each record."""
CONNECTIONS: Final = 128
"""To each door: while a broker cannot be reached, many wait for their 503."""
GIVE_UP_S: Final = 900.0
SETTLE_S: Final = 180.0
DRAIN_S: Final = 300.0
CATCH_UP_S: Final = 60.0
LOOK_S: Final = 0.1
GROUPS: Final[dict[str, tuple[dict[str, str], dict[str, Any]]]] = {
    "range": ({}, {"assignment_strategy": "range"}),
    "cooperative-sticky": ({}, {"assignment_strategy": "cooperative-sticky"}),
    "consumer": ({"group.protocol": "consumer"}, {}),
}


class Asked(NamedTuple):
    """What a run is."""

    seed: int
    seconds: float
    rate: float
    brokers: int
    every_s: float
    group: str = "range"


class Run:
    """What happened, kept for the table and the result file."""

    def __init__(self, asked: Asked, say: Callable[[str], None]) -> None:
        self.asked: Final = asked
        self.faults: Final[Counter[str]] = Counter()
        self.recovery: Final = Recovery()
        self.lines: Final[list[str]] = []
        """What went wrong, beside what the checker says."""
        self.folder: Final = Path(tempfile.mkdtemp(prefix="erp-connector-chaos-"))
        self.rows = Rows()
        self.checker = Checker(self.rows)
        self.watched: dict[str, Any] = {}
        self.exits: dict[str, int] = {}
        self.starts = self.rebalances = self.coordinator_moves = 0
        self.refused: dict[str, int] = {}
        self.took_s: dict[str, float] = {}
        self.memory_mib: dict[str, int] = {}
        """Of this process, at the end of each part."""
        self._missed: Final[set[Fault]] = set()
        """Faults that could not begin."""
        self._topics: Final[dict[str, list[str]]] = {}
        """Kind -> its topics."""
        self._refusing: set[str] = set()
        """Kinds whose topics are to take records again."""
        self._say = say
        self._timeline: Final = (self.folder / "timeline.log").open("w", buffering=1)

    def note(self, line: str) -> None:
        """Tell, and keep with the logs."""
        self._timeline.write(f"{time.time():.3f} {line}\n")
        self._say(line)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long something took; what it asserts is a finding, not the end."""
        begun = time.monotonic()
        try:
            yield
        except AssertionError as failed:
            self.lines.append(f"{name}: {failed}")
            self.note(f"{name} FAILED: {str(failed)[:2000]}")
        self.took_s[name] = round(time.monotonic() - begun, 1)
        self.memory_mib[name] = _rss_mib()

    def forget(self) -> None:
        """Remove the logs."""
        self._timeline.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def go(self) -> None:
        """Do everything."""
        asked = self.asked
        faults = plan(asked.seed, asked.seconds, asked.brokers, asked.every_s)
        with Cluster(asked.brokers) as cluster, self._stack(cluster.bootstrap) as stack:
            changelogs = [stack.topic("changelog", entity) for entity in ENTITIES]
            self._topics |= {kind: [stack.topic(kind)] for kind in ("events", "identity", "quarantine")}
            self._topics |= {"raw": [stack.topic("raw", one) for one in SOURCES], "changelog": changelogs}
            watching = Watching(stack.bootstrap, changelogs, self.folder / "watching.log")
            try:
                with Fleet(stack, self.note) as fleet:
                    with self.timed("start"):
                        fleet.settle(SETTLE_S)
                    if self.lines:
                        return
                    with Moves(stack.bootstrap) as moves:
                        self._under_load(stack, cluster, fleet, watching, faults)
                    self.coordinator_moves = moves.count
                    with self.timed("drain"):
                        stack.drained(DRAIN_S)
                    with self.timed("check"):
                        self._check(stack, fleet.url(), watching)
                    self.rebalances = generations(stack.bootstrap, f"{stack.prefix}-worker")
                    self.exits, self.starts = dict(fleet.exits), fleet.starts
            finally:
                watching.close()
                self.watched = watching.told

    def _stack(self, bootstrap: str) -> Stack:
        kafka, worker = GROUPS[self.asked.group]
        stack = Stack(
            bootstrap,
            "chaos",
            self.folder,
            PARTITIONS,
            kafka=kafka,
            worker=worker,
            ingress={"linger_ms": 100},
        )
        stack.secrets["STACK_CLIENT_KEY"] = client_key(self.asked.seed)
        stack.env |= stack.secrets
        stack.env["CONNECTOR_TOPICS__REPLICATION_FACTOR"] = str(min(self.asked.brokers, 3))
        return stack

    def _under_load(
        self, stack: Stack, cluster: Cluster, fleet: Fleet, watching: Watching, faults: list[Fault]
    ) -> None:
        order = {
            "seed": self.asked.seed,
            "rate": self.asked.rate,
            "connections": CONNECTIONS,
            "doors": fleet.ports,
            "secrets": {
                source: stack.secrets[f"STACK_{source.upper().replace('-', '_')}_1"] for source in SOURCES
            },
        }
        load = Load(order, self.folder / "ledger", self.folder / "posting.log")
        with self.timed("load"), load:
            begun = time.monotonic()

            def until(at_s: float) -> None:
                while (wait_s := begun + at_s - time.monotonic()) > 0 and load.running:
                    time.sleep(min(wait_s, LOOK_S))
                    self._look(fleet, watching, load)
                    self._allow(cluster)

            for at_s, begins, fault in _moments(faults):
                until(at_s)
                self._do(cluster, fleet, fault, begins=begins)
            until(self.asked.seconds)
            self.note(f"the faults are over; {load.line()}")
            cluster.settle()
            with self.timed("settle"):
                self._allow(cluster)
                assert not self._refusing, f"{self._refusing} still refuse writes"
                self._settle(fleet, watching, load)
            with self.timed("catch up"):
                self._catch_up(fleet, watching, load)
        self.refused = dict(load.told["refused"])
        self.note(load.line())
        self.rows = Rows().read(load.ledger)

    def _catch_up(self, fleet: Fleet, watching: Watching, load: Load) -> None:
        """Let the load make up for what the faults held up, and be answered to the last callback."""
        wanted, deadline = self.asked.rate * self.asked.seconds, time.monotonic() + GIVE_UP_S
        while load.running and time.monotonic() < deadline:
            if load.told["acked"] >= wanted:
                load.close()
            time.sleep(LOOK_S)
            self._look(fleet, watching, load)
        assert not (why := load.failed()), why

    def _settle(self, fleet: Fleet, watching: Watching, load: Load) -> None:
        """Wait for the last recoveries, while callbacks still come."""
        fleet.settle(SETTLE_S)
        deadline = time.monotonic() + SETTLE_S
        while self.recovery.left:
            self._look(fleet, watching, load)
            assert time.monotonic() < deadline, f"{self.recovery.left} faults were not recovered from"
            time.sleep(LOOK_S)

    def _look(self, fleet: Fleet, watching: Watching, load: Load) -> None:
        load.use(fleet.doors())
        self.recovery.look(time.time(), whole=fleet.whole(), newest_s=watching.told["newest_ms"] / 1000)

    def _do(self, cluster: Cluster, fleet: Fleet, fault: Fault, *, begins: bool) -> None:
        role, _, which = fault.target.partition("-")
        if begins:
            self.note(f"{fault.kind}: {fault.target} for {fault.lasts_s} s {fault.size or ''}")
            if role == "topics":
                begun = cluster.refuse(self._topics[which], writes=True)
            elif role == "broker":
                begun = cluster.hurt(fault.kind, int(which), fault.size)
            else:
                begun = fleet.hurt(fault.kind, fault.target)
            self.faults[fault.kind] += begun
            if not begun:
                self.note(f"{fault.kind}: not possible, not counted")
                self._missed.add(fault)
            return
        if role == "topics":
            self._refusing |= {which}
        elif role == "broker":
            cluster.heal(int(which))
        else:
            fleet.heal(fault.target)
        if fault not in self._missed:
            self.recovery.ended(fault.kind, time.time())

    def _allow(self, cluster: Cluster) -> None:
        """Let topics take records again; with two brokers away it must be tried more than once."""
        self._refusing = {
            one for one in self._refusing if not cluster.refuse(self._topics[one], writes=False)
        }

    def _check(self, stack: Stack, registry: str, watching: Watching) -> None:
        checker = self.checker = Checker(self.rows)
        plain = Plain(stack.bootstrap, registry)
        steps: list[tuple[Callable[[Any], None], list[str]]] = [
            (checker.take_raw, [stack.topic("raw", source) for source in SOURCES]),
            (checker.take_quarantined, [stack.topic("quarantine")]),
            (checker.take_event, [stack.topic("events")]),
            (checker.take_change, [one for one in topics_of(stack) if ".changelog." in one]),
        ]
        for take, topics in steps:
            for record in plain.each(topics):
                take(record)
        checker.close()
        watching.reach(checker.changes, CATCH_UP_S)


def _rss_mib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def _moments(faults: list[Fault]) -> list[tuple[float, bool, Fault]]:
    """Begin and end of every fault, in order."""
    begins = [(fault.at_s, True, fault) for fault in faults]
    ends = [(fault.at_s + fault.lasts_s, False, fault) for fault in faults]
    return sorted(begins + ends, key=lambda one: (one[0], not one[1]))
