"""One run: cluster, processes, load and faults, then quiet, then the checker."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
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
from tests.chaos.fleet import Fleet
from tests.chaos.load import Doors, Endless, Stream, client_key
from tests.chaos.reading import Stream as Plain
from tests.chaos.recovery import Recovery
from tests.chaos.rows import Rows
from tests.chaos.schedule import Fault, plan

ROOT: Final = Path(__file__).parents[2]
PARTITIONS: Final = 6
CONNECTIONS: Final = 96
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


class Watching:
    """The consumer that follows the changelogs, in a process of its own."""

    def __init__(self, bootstrap: str, topics: list[str], log: Path) -> None:
        self.told: dict[str, Any] = {"records": 0, "newest_ms": 0}
        command = [sys.executable, "-m", "tests.chaos.reading", bootstrap, *topics]
        env = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))}
        with log.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.told = json.loads(line)

    def reach(self, records: int, within_s: float) -> None:
        """Wait until it has seen so many records, or its time is over."""
        deadline = time.monotonic() + within_s
        while self.told["records"] < records and time.monotonic() < deadline:
            time.sleep(0.1)

    def close(self) -> None:
        """Let it end; whatever it has seen is told then."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join(5)


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
        self.starts = 0
        self.refused: dict[str, int] = {}
        self.took_s: dict[str, float] = {}
        self.memory_mib: dict[str, int] = {}
        """Of this process, at the end of each part."""
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
            watching = Watching(stack.bootstrap, changelogs, self.folder / "watching.log")
            try:
                with Fleet(stack, self.note) as fleet:
                    with self.timed("start"):
                        fleet.settle(SETTLE_S)
                    self._under_load(stack, cluster, fleet, watching, faults)
                    with self.timed("drain"):
                        stack.drained(DRAIN_S)
                    with self.timed("check"):
                        self._check(stack, fleet.url(), watching)
                    self.exits, self.starts = dict(fleet.exits), fleet.starts
            finally:
                watching.close()
                self.watched = watching.told

    def _stack(self, bootstrap: str) -> Stack:
        kafka, worker = GROUPS[self.asked.group]
        stack = Stack(
            bootstrap, "chaos", self.folder, PARTITIONS, kafka=kafka, worker=worker, ingress={"linger_ms": 20}
        )
        stack.secrets["STACK_CLIENT_KEY"] = client_key(self.asked.seed)
        stack.env |= stack.secrets
        stack.env["CONNECTOR_TOPICS__REPLICATION_FACTOR"] = str(min(self.asked.brokers, 3))
        return stack

    def _under_load(
        self, stack: Stack, cluster: Cluster, fleet: Fleet, watching: Watching, faults: list[Fault]
    ) -> None:
        stream = Stream(self.asked.seed)
        load = Endless(
            Doors(stack, fleet.ports, fleet.doors),
            stream,
            connections=CONNECTIONS,
            rate=self.asked.rate,
            seconds=self.asked.seconds,
        )
        with self.timed("load"), load:
            begun = time.monotonic()
            for at_s, begins, fault in _moments(faults):
                while (wait_s := begun + at_s - time.monotonic()) > 0 and load.running:
                    time.sleep(min(wait_s, LOOK_S))
                    self._look(fleet, watching)
                self._do(cluster, fleet, fault, begins=begins)
            while time.monotonic() - begun < self.asked.seconds and load.running:
                time.sleep(LOOK_S)
                self._look(fleet, watching)
            self.note("the faults are over")
            cluster.settle()
            with self.timed("settle"):
                self._settle(fleet, watching)
            stream.close()
        self.refused = dict(load.refused)
        self.note(load.told())
        self.rows = load.rows

    def _settle(self, fleet: Fleet, watching: Watching) -> None:
        """Wait for the last recoveries, while callbacks still come."""
        fleet.settle(SETTLE_S)
        deadline = time.monotonic() + SETTLE_S
        while self.recovery.left:
            self._look(fleet, watching)
            assert time.monotonic() < deadline, f"{self.recovery.left} faults were not recovered from"
            time.sleep(LOOK_S)

    def _look(self, fleet: Fleet, watching: Watching) -> None:
        self.recovery.look(time.time(), whole=fleet.whole(), newest_s=watching.told["newest_ms"] / 1000)

    def _do(self, cluster: Cluster, fleet: Fleet, fault: Fault, *, begins: bool) -> None:
        role, _, number = fault.target.partition("-")
        if begins:
            self.faults[fault.kind] += 1
            self.note(f"{fault.kind}: {fault.target} for {fault.lasts_s} s {fault.size or ''}")
            if role == "broker":
                cluster.hurt(fault.kind, int(number), fault.size)
            else:
                fleet.hurt(fault.kind, fault.target)
        elif role == "broker":
            cluster.heal(int(number))
        else:
            fleet.heal(fault.target)
        if not begins:
            self.recovery.ended(fault.kind, time.time())

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
