"""`python -m benchmarks`: measure, write a result file, renew the table in docs/performance.md.

`python -m benchmarks report` only renews the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks import ingress, latency, profiling, rebuild, results, rolling, table, worker
from benchmarks.gauge import OTHER_CORE, on
from benchmarks.kafka import Kafka, broker
from benchmarks.program import Failed

TIERS: Final = ("micro", "real")
CASES: Final = {
    "S1": worker.measure,
    "I1": ingress.measure,
    "S4": rebuild.measure,
    "E1": latency.measure,
    "R1": rolling.measure,
}
MICRO_RECORDS: Final = {"small": 10_000, "full": 40_000}
_BEGUN_S: Final = time.monotonic()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--tier", choices=TIERS, action="append", help="both by default")
    parser.add_argument(
        "--case", choices=list(CASES), action="append", help="of the real tier; all by default"
    )
    parser.add_argument("--rounds", type=int, default=3, help="per subject, interleaved; 3 by default")
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--dry", action="store_true", help="write no result and leave the table alone")
    return parser.parse_args()


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _BEGUN_S:6.1f} s] {line}", flush=True)


def _micro(scale: str, rounds: int) -> results.Report:
    done = results.report("micro", scale)
    done.calibration_us, done.profile = profiling.micro(max(rounds, 3), MICRO_RECORDS[scale])
    _tell(done)
    return done


def _tell(done: results.Report) -> None:
    _say(f"calibration {done.calibration_us:.3f} µs")
    for part in done.profile:
        _say(f"  {part.cpu_us:8.2f} µs {part.units:7.2f} units  {part.name}")


def _real(names: list[str], scale: str, rounds: int) -> results.Report:
    done = results.report("real", scale)
    with tempfile.TemporaryDirectory(prefix="erp-connector-bench-") as folder, broker(Path(folder)) as kafka:
        _say("broker is up")
        with on(OTHER_CORE):
            _cases(done, kafka, names, scale, rounds)
    return done


def _cases(done: results.Report, kafka: Kafka, names: list[str], scale: str, rounds: int) -> None:
    for name in names:
        cases, ratios = CASES[name](kafka, rounds, scale, _say)
        done.cases += cases
        done.ratios += ratios
        if name == "S1":
            whole = next((one for one in cases if one.subject == worker.OURS), None)
            done.calibration_us, done.profile = profiling.parts(kafka, scale, whole)
            _tell(done)
    for ratio in done.ratios:
        met = "met" if ratio.met else "MISSED"
        _say(f"{ratio.id}: {ratio.value:.2f} times {ratio.peer} (target {ratio.target}): {met}")


def main() -> int:
    """Do what was asked; 1 where a run failed."""
    asked = _arguments()
    if asked.command == "report":
        table.rewrite()
        return 0
    if (os.cpu_count() or 1) <= OTHER_CORE:
        print("two cores are needed: one for the subject, one for broker and load", file=sys.stderr)
        return 1
    try:
        done = [_micro(asked.scale, asked.rounds)] if "micro" in (asked.tier or TIERS) else []
        if "real" in (asked.tier or TIERS):
            done.append(_real(asked.case or list(CASES), asked.scale, asked.rounds))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    if not asked.dry:
        for report in done:
            _say(f"written: {results.write(report).name}")
        table.rewrite()
    return 0


if __name__ == "__main__":
    sys.exit(main())
