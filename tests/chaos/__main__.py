"""`python -m tests.chaos`: load and faults for a while, then account for every record.

`python -m tests.chaos plan` shows what a seed does to whom; `report` renews the table in docs/guarantees.md
from the newest result.
"""

import argparse
import datetime as dt
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import results
from tests.chaos import telling
from tests.chaos.run import GROUPS, Asked, Run
from tests.chaos.schedule import EVERY_S, MINUTES, plan

RATE: Final = 570.0
"""A million in half an hour, and a little."""
_BEGUN_S: Final = time.monotonic()


class Report(results.Report, kw_only=True):
    """A result file of the benchmarks' form, with what the run found out."""

    chaos: dict[str, Any]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "plan", "report"), default="run")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"of load and faults; {MINUTES:g} else"
    )
    parser.add_argument("--seed", type=int, default=None, help="of schedule and callbacks; else the time")
    parser.add_argument(
        "--rate", type=float, default=RATE, help=f"callbacks per second on the average; {RATE:g} else"
    )
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=3)
    parser.add_argument(
        "--every", type=float, default=EVERY_S, help=f"mean seconds from fault to fault; {EVERY_S:g} else"
    )
    parser.add_argument("--group", choices=list(GROUPS), default="range", help="the workers' group protocol")
    parser.add_argument("--json", type=Path, help="write the numbers here, and change no result and no page")
    return parser.parse_args()


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _BEGUN_S:7.1f} s] {line}", flush=True)


def _newest() -> dict[str, Any] | None:
    paths = sorted(telling.RESULTS.glob("*-chaos.json"))
    return json.loads(paths[-1].read_bytes()) if paths else None


def _report(told: dict[str, Any]) -> Report:
    head = results.report("real", f"{told['asked']['seconds'] / 60:g} minutes")
    given = {name: getattr(head, name) for name in head.__struct_fields__}
    broker = {"kind": "jvm", "nodes": told["asked"]["brokers"]}
    return Report(**{**given, "tier": "chaos", "broker": broker}, chaos=told)


def main() -> int:
    """Do what was asked; 1 where anything was lost, doubled, wrong or not in time."""
    asked = _arguments()
    if asked.command == "report":
        telling.rewrite(_newest())
        return 0
    seed = int(dt.datetime.now(dt.UTC).timestamp()) if asked.seed is None else asked.seed
    what = Asked(seed, asked.minutes * 60, asked.rate, asked.brokers, asked.every, asked.group)
    if asked.command == "plan":
        for fault in plan(seed, what.seconds, what.brokers, what.every_s):
            at, whom = f"{fault.at_s:8.1f} s", f"{fault.target:10} {fault.kind:33}"
            print(at, whom, f"{fault.lasts_s:5.1f} s", fault.size or "")
        return 0
    _say(f"seed {seed}")
    run = Run(what, _say)
    _say(f"logs in {run.folder}")
    run.go()
    told = telling.numbers(run)
    print("\n".join(telling.table(told)))
    for name in ("exits", "refused", "took_s", "memory_mib", "failed"):
        print(f"{name}: {told[name]}")
    good = telling.clean(told)
    if good:
        run.forget()
    else:
        print("\n".join(told["findings"]))
        print(f"NOT CLEAN; the logs stay in {run.folder}; again with --seed {seed}")
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    elif good:
        _say(f"written: {results.write(_report(told)).name}")
        telling.rewrite(_newest())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
