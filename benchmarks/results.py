"""Rounds -> best and median -> JSON; the form is that of docs/performance.md, "The result file"."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import confluent_kafka
import msgspec

from benchmarks.gauge import MOST_DRIFT, MOST_FOREIGN, OTHER_CORE, SUBJECT_CORE, Usage
from benchmarks.program import ROOT

FOLDER: Final = ROOT / "benchmarks" / "results"
SCHEMA: Final = 1
PINNED: Final = {"subject": [SUBJECT_CORE], "load": [OTHER_CORE], "broker": [OTHER_CORE]}


class Round(msgspec.Struct, omit_defaults=True):
    """One measured run of one subject."""

    events: int
    wall_s: float
    cpu_s: float
    rss_mib: float
    calibration_us: tuple[float, float]
    foreign_cpu: float
    limit: str
    extra: dict[str, float] = {}
    discarded: str | None = None
    """Why it does not count."""

    def per_event_us(self) -> float:
        """CPU per event."""
        return self.cpu_s / self.events * 1e6

    def units(self) -> float:
        """CPU per event, in calibration units."""
        return self.per_event_us() / statistics.mean(self.calibration_us)


class Figures(msgspec.Struct):
    """What is told of a case."""

    events_per_s: float
    cpu_us_per_event: float
    units: float


class Correct(msgspec.Struct, rename={"taken": "in"}):
    """What was verified, over all rounds."""

    taken: int = 0
    distinct_out: int = 0
    lost: int = 0
    order_violations: int = 0
    invalid: int = 0

    def add(self, other: Correct) -> None:
        """Take one more round."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.lost or self.order_violations or self.invalid) and self.taken > 0


class Case(msgspec.Struct, omit_defaults=True):
    """All rounds of one subject."""

    id: str
    subject: str
    params: dict[str, Any]
    loop: str
    pinned: dict[str, list[int]]
    limit: str
    rounds: list[Round]
    best: Figures
    median: Figures
    correct: Correct
    target: dict[str, Any] | None = None


class Ratio(msgspec.Struct):
    """The product beside a peer: CPU per event of the peer over ours, medians of the same run."""

    id: str
    peer: str
    value: float
    target: float
    met: bool


class Part(msgspec.Struct, omit_defaults=True):
    """One station, in µs per event."""

    name: str
    cpu_us: float
    units: float


class Report(msgspec.Struct, omit_defaults=True):
    """One result file."""

    schema: int
    commit: str
    date: str
    tier: str
    scale: str
    machine: dict[str, Any]
    versions: dict[str, str]
    broker: dict[str, Any] | None = None
    cases: list[Case] = []
    ratios: list[Ratio] = []
    profile: list[Part] = []
    """Where the CPU of S1 goes; the last part is the whole, measured on the real process."""
    calibration_us: float = 0.0
    """Of the profile."""


def judged(events: int, usage: Usage, calibration_us: tuple[float, float], **extra: float) -> Round:
    """Make a round, discarded where the machine was not ours."""
    low, high = sorted(calibration_us)
    why = None
    if high > low * (1 + MOST_DRIFT):
        why = f"the two calibrations differ by {high / low - 1:.0%}"
    elif usage.foreign_cpu > MOST_FOREIGN:
        why = f"other programs used {usage.foreign_cpu:.0%} of the core under test"
    return Round(
        events,
        usage.wall_s,
        usage.cpu_s,
        usage.rss_mib,
        calibration_us,
        usage.foreign_cpu,
        usage.limit,
        extra,
        why,
    )


def case(
    id_: str, subject: str, params: dict[str, Any], rounds: Sequence[Round], correct: Correct
) -> Case | None:
    """Sum rounds up; None where none counts or something was wrong, for such numbers are not published."""
    counted = [one for one in rounds if one.discarded is None]
    if not counted or not correct.good:
        return None
    return Case(
        id=id_,
        subject=subject,
        params=params,
        loop="closed",
        pinned=PINNED,
        limit=statistics.mode(one.limit for one in counted),
        rounds=list(rounds),
        best=_figures(counted, max, min),
        median=_figures(counted, statistics.median, statistics.median),
        correct=correct,
    )


def _figures(
    rounds: Sequence[Round], fast: Callable[[list[float]], float], cheap: Callable[[list[float]], float]
) -> Figures:
    return Figures(
        events_per_s=round(fast([one.events / one.wall_s for one in rounds])),
        cpu_us_per_event=round(cheap([one.per_event_us() for one in rounds]), 2),
        units=round(cheap([one.units() for one in rounds]), 2),
    )


def ratio(ours: Case, peer: Case, target: float) -> Ratio:
    """Compare CPU per event, medians."""
    value = round(peer.median.cpu_us_per_event / ours.median.cpu_us_per_event, 2)
    return Ratio(ours.id, peer.subject, value, target, value >= target)


def tell(one: Round) -> str:
    """Say a round in one line."""
    return (
        f"{one.events / one.wall_s:,.0f} events/s, {one.per_event_us():.1f} µs CPU,"
        f" {1e6 / one.per_event_us():,.0f} per core, {one.units():.1f} units, {one.rss_mib:.0f} MiB,"
        f" limit: {one.limit}" + (f"; DISCARDED: {one.discarded}" if one.discarded else "")
    )


def verdict(correct: Correct) -> str:
    """Say what was verified in one line."""
    if not correct.taken:
        return "not verified"
    return f"correct: {correct.taken:,} in" if correct.good else f"WRONG: {correct}"


def report(tier: str, scale: str) -> Report:
    """Begin a result file: this machine, this tree, now."""
    real = tier == "real"
    return Report(
        schema=SCHEMA,
        commit=_commit(),
        date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        tier=tier,
        scale=scale,
        machine=_machine(),
        versions=_versions(kafka=real),
        broker=_BROKER if real else None,
    )


_BROKER: Final = {"kind": "jvm", "nodes": 1, "partitions": 12, "rtt_ms": 0, "replication": 1}


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() if told.returncode == 0 else "none"


def _machine() -> dict[str, Any]:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "cpu": found[1] if found else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "memory_gib": round(memory),
    }


def _versions(*, kafka: bool) -> dict[str, str]:
    named = ("confluent-kafka", "fastavro", "msgspec", "uvicorn", "faust-streaming", "fastapi", "pydantic")
    versions = {"connector": importlib.metadata.version("erp-connector")}
    versions |= {name: importlib.metadata.version(name) for name in named}
    versions["librdkafka"] = confluent_kafka.libversion()[0]
    if kafka:
        lock = (ROOT / "connector" / "runtime" / "kafka-jars.lock").read_text()
        found = re.search(r"org\.apache\.kafka:kafka-clients:(\S+)", lock)
        versions["kafka"] = found[1] if found else "unknown"
    return versions


def write(done: Report) -> Path:
    """Write a result file into benchmarks/results."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{done.date.replace(':', '')}-{done.commit}-{done.tier}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")
    return path


def read(path: Path) -> Report:
    """Read a result file.

    Raises:
        msgspec.ValidationError: Not of this form.
    """
    return msgspec.json.decode(path.read_bytes(), type=Report)


def newest(folder: Path = FOLDER) -> list[Report]:
    """Give the newest result of each case: of an older file what no newer one has, the newest file first."""
    reports = sorted(map(read, sorted(folder.glob("*.json"))), key=lambda one: one.date, reverse=True)
    seen: set[str] = set()
    kept = []
    for one in reports:
        ids = {_STATIONS[one.tier]} if one.profile and one.tier in _STATIONS else set()
        ids = (ids | {case.id for case in one.cases}) - seen
        if ids:
            kept.append(_only(one, ids))
        seen |= ids
    return kept


_STATIONS: Final = {"real": "S1", "micro": "micro"}
"""What the profile of a result belongs to."""


def _only(report: Report, ids: set[str]) -> Report:
    """Leave the cases of these ids in a result."""
    return msgspec.structs.replace(
        report,
        cases=[one for one in report.cases if one.id in ids],
        ratios=[one for one in report.ratios if one.id in ids],
        profile=report.profile if _STATIONS.get(report.tier) in ids else [],
    )
