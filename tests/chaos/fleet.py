"""Keeps processes running as Kubernetes would: restarts with back-off, readiness, liveness."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

from stack import Child, Stack

from connector.runtime.broker import free_ports
from tests.chaos.schedule import AT_FIRST, INGRESSES, WORKERS

TEND_S: Final = 0.1
ASK_S: Final = 0.25
BACK_OFF_S: Final = (0.2, 1.0, 2.0, 4.0, 8.0)
"""Waits before the first restart, the second, and so on, while a process does not stay up."""
STAYED_UP_S: Final = 15.0
UNHEALTHY_S: Final = 30.0
"""So long without an answer of /livez, and it is killed: the chart's three periods of ten seconds."""

GATHER: Final = {"CONNECTOR_KAFKA__FETCH_MIN_BYTES": "200000", "CONNECTOR_KAFKA__FETCH_WAIT_MAX_MS": "500"}
"""Of workers: they wait for half a second's records. Brokers pay for each transaction, on two cores."""


class Slot:
    """One name: what runs under it, and what is known of it."""

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self.role = role
        self.wanted = name in AT_FIRST
        self.paused = False
        self.killed = False
        """By a fault, not by itself."""
        self.child: Child | None = None
        self.ready = False
        self.failures = 0
        self.not_before_s = 0.0
        self.began_s = 0.0
        self.alive_at_s = 0.0
        """When it last answered /livez, was started or was continued."""


class Fleet:
    """Ingresses and workers of one stack; a context manager."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self.exits: Counter[str] = Counter()
        """Role and exit code of processes that ended by themselves -> how often."""
        self.starts = 0
        self.ports: Final = dict(zip(INGRESSES, free_ports(len(INGRESSES)), strict=True))
        self._stack = stack
        self._say = say
        self._slots: Final = {
            **{name: Slot(name, "serve") for name in INGRESSES},
            **{name: Slot(name, "work") for name in WORKERS},
        }
        self._lock: Final = threading.RLock()
        self._over: Final = threading.Event()
        self._threads: Final = [threading.Thread(target=one, daemon=True) for one in (self._tend, self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more; the stack ends the processes."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def hurt(self, kind: str, name: str) -> bool:
        """Let a fault begin; false where nobody is there whom it could hurt."""
        slot = self._slots[name]
        with self._lock:
            child = slot.child
            if kind == "worker added":
                slot.wanted, slot.failures = True, 0
            elif child is None or not child.alive:
                return False
            elif kind == "worker removed":
                slot.wanted = False
                child.signal(signal.SIGTERM)
            elif "paused" in kind:
                slot.paused = True
                child.signal(signal.SIGSTOP)
            else:
                slot.killed = True
                child.process.kill()
            slot.ready = False
            return True

    def heal(self, name: str) -> None:
        """Let a pause end."""
        slot = self._slots[name]
        with self._lock:
            if slot.paused and slot.child is not None:
                slot.child.signal(signal.SIGCONT)
            slot.paused, slot.alive_at_s = False, time.monotonic()

    def doors(self) -> list[str]:
        """Name the ingresses that are ready."""
        return [name for name in INGRESSES if self._slots[name].ready]

    def url(self) -> str:
        """Give the operations port of a worker that is ready."""
        return next(
            slot.child.url
            for slot in self._slots.values()
            if slot.role == "work" and slot.ready and slot.child
        )

    def whole(self) -> bool:
        """Say whether everybody who is wanted is ready."""
        return all(slot.ready for slot in self._slots.values() if slot.wanted)

    def settle(self, within_s: float) -> None:
        """Continue whoever is paused, and wait until everybody is ready.

        Raises:
            AssertionError: Not in time.
        """
        for name in self._slots:
            self.heal(name)
        deadline = time.monotonic() + within_s
        while not self.whole():
            if time.monotonic() > deadline:
                late = [slot.name for slot in self._slots.values() if slot.wanted and not slot.ready]
                raise AssertionError(f"not ready within {within_s} s: {', '.join(late)}")
            time.sleep(0.1)

    def _tend(self) -> None:
        while not self._over.wait(TEND_S):
            for slot in self._slots.values():
                with self._lock:
                    self._look_after(slot)

    def _look_after(self, slot: Slot) -> None:
        now_s, child = time.monotonic(), slot.child
        if child is not None and not child.alive:
            self._ended(slot, child, now_s)
        elif child is not None and now_s - slot.began_s > STAYED_UP_S and slot.ready:
            slot.failures = 0
        if slot.child is not None and not slot.paused and now_s - slot.alive_at_s > UNHEALTHY_S:
            self.exits[f"{slot.role} unhealthy"] += 1
            self._say(f"{slot.name} does not answer /livez, killed")
            slot.child.process.kill()
            slot.killed = True
        if slot.child is None and slot.wanted and now_s >= slot.not_before_s:
            more = {"CONNECTOR_INGRESS__PORT": str(self.ports[slot.name])} if slot.role == "serve" else GATHER
            slot.child = self._stack.start(slot.name, slot.role, **more)
            slot.began_s = slot.alive_at_s = now_s
            self.starts += 1

    def _ended(self, slot: Slot, child: Child, now_s: float) -> None:
        code = child.process.returncode
        if not slot.killed:
            self.exits[f"{slot.role} {code}"] += 1
            if slot.wanted:
                last = child.tail().splitlines()[-1]
                self._say(f"{slot.name} (pid {child.process.pid}) ended by itself with {code}: {last}")
        child.close()
        self._stack.children.remove(child)
        slot.child, slot.ready, slot.killed, slot.paused = None, False, False, False
        slot.not_before_s = now_s + BACK_OFF_S[min(slot.failures, len(BACK_OFF_S) - 1)]
        slot.failures += 1

    def _ask(self) -> None:
        with ThreadPoolExecutor(len(self._slots)) as pool:
            while not self._over.wait(ASK_S):
                list(pool.map(self._probe, self._slots.values()))

    def _probe(self, slot: Slot) -> None:
        child = slot.child
        if child is None or slot.paused:
            return
        ready = child.get("/readyz")[0] == 200
        alive = ready or child.get("/livez")[0] == 200
        with self._lock:
            if slot.child is child and not slot.paused:
                slot.ready = ready
                slot.alive_at_s = time.monotonic() if alive else slot.alive_at_s
