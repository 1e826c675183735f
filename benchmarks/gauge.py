"""CPU of a whole process tree, the calibration loop, and pinning; Linux, from /proc.

CPU time is `/proc/<pid>/task/*/schedstat`, first number: nanoseconds on a core, native threads included.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

SUBJECT_CORE: Final = 0
OTHER_CORE: Final = 1
"""Where load and broker are; on a machine with one core this cannot be measured."""
MOST_DRIFT: Final = 0.10
MOST_FOREIGN: Final = 0.20
_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class _Inner(msgspec.Struct, gc=False):
    id: int
    type: str
    modified: str


class _Outer(msgspec.Struct, gc=False):
    event: str
    tenant: str
    data: str


_REFERENCE: Final = msgspec.json.encode(
    {
        "event": "invoice.changed",
        "tenant": "acme",
        "data": msgspec.json.encode(
            {
                "id": 4220,
                "type": "invoice",
                "modified": "2024-08-23T11:00:32.2216966Z",
                "lines": [{"number": one, "text": "reference line", "amount": 1} for one in range(13)],
            }
        ).decode(),
    }
)
"""938 bytes of JSON with JSON text inside; never changed, else units of different days differ."""


def unit(rounds: int = 15, bodies: int = 20_000) -> float:
    """Give the calibration: µs to decode the reference body, best of so many rounds, on this core."""
    outer, inner = msgspec.json.Decoder(_Outer).decode, msgspec.json.Decoder(_Inner).decode
    best = []
    for _ in range(rounds):
        begun = time.process_time_ns()
        for _ in range(bodies):
            inner(outer(_REFERENCE).data)
        best.append((time.process_time_ns() - begun) / bodies / 1e3)
    return min(best)


def calibration() -> float:
    """Calibrate on the core under test."""
    with on(SUBJECT_CORE):
        return round(unit(), 3)


@contextmanager
def on(core: int) -> Iterator[None]:
    """Run the calling thread on one core; what it starts meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(pid: int) -> list[int]:
    """List a process and all its descendants."""
    found = [pid]
    for task in _tasks(pid):
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def _tasks(pid: int) -> list[Path]:
    with suppress(OSError):
        return list((_PROC / str(pid) / "task").iterdir())
    return []


def cpu_s(pid: int) -> float:
    """Give the CPU seconds of all living threads of a process tree."""
    total = 0
    for one in tree(pid):
        for task in _tasks(one):
            with suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss_mib(pid: int) -> float:
    """Give the resident memory of a process tree, MiB."""
    kib = 0
    for one in tree(pid):
        with suppress(OSError):
            for line in (_PROC / str(one) / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kib += int(line.split()[1])
    return kib / 1024


def busy_s(core: int) -> float:
    """Give the seconds a core has worked for programs (user, nice, system) since the machine started."""
    for line in (_PROC / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return sum(int(one) for one in ticks[:3]) / _TICKS
    raise LookupError(f"no core {core}")


class Usage(msgspec.Struct, frozen=True):
    """What a process tree used while it was watched."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    foreign_cpu: float
    """Share of the subject's core that other programs used."""
    limit: str
    """What could not go faster."""


class Watch:
    """Watches a process tree from now until `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._busy = {core: busy_s(core) for core in (SUBJECT_CORE, OTHER_CORE)}
        self._cpu_s = cpu_s(pid)
        self._begun_s = time.perf_counter()

    def stop(self) -> Usage:
        """Say what was used; the process must still live."""
        wall_s = time.perf_counter() - self._begun_s
        used_s = cpu_s(self._pid) - self._cpu_s
        busy = {core: busy_s(core) - since for core, since in self._busy.items()}
        return Usage(
            wall_s=round(wall_s, 3),
            cpu_s=round(used_s, 3),
            rss_mib=round(rss_mib(self._pid), 1),
            foreign_cpu=round(max(busy[SUBJECT_CORE] - used_s, 0) / wall_s, 3),
            limit=_limit(used_s / wall_s, busy[OTHER_CORE] / wall_s),
        )


_FULL: Final = 0.9


def _limit(subject: float, other: float) -> str:
    if subject >= _FULL:
        return "subject core"
    return "core of broker and load" if other >= _FULL else "waiting"
