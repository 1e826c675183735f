"""A run -> names and numbers -> the table, the result file and the part of docs/guarantees.md."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.chaos.load import ROOT
from tests.chaos.run import Asked, Run
from tests.chaos.schedule import LEAST, MINUTES, sums

PAGE: Final = ROOT / "docs" / "guarantees.md"
RESULTS: Final = ROOT / "benchmarks" / "results"
BEGIN: Final = "<!-- chaos:begin -->"
END: Final = "<!-- chaos:end -->"
WRONG: Final = ("lost", "mismatched", "duplicates", "regressions")
ZEROS: Final = (*WRONG, "watched_regressions", "watched_again", "failed")
"""What must be nothing."""
ACKED: Final = 1_000_000
REBALANCES: Final = 50
"""What a run of the usual length must reach, beside `schedule.LEAST`."""
ROWS: Final = (
    ("acked", "callbacks answered 2xx"),
    ("raw", "raw records of callbacks"),
    ("unanswered", "of them, records whose sender got no 2xx and sent again"),
    ("written_twice", "of them, records the door's client wrote again after a fault; absorbed below"),
    ("forwarded", "records sent on to a second key"),
    ("applied", "events that changed a state"),
    ("ignored", "events that came twice or too late"),
    ("noted", "events kept as history only"),
    ("quarantined", "bodies set aside"),
    ("changes", "changelog records"),
    ("watched", "changelog records the watching consumer saw"),
    ("lost", "acknowledged, and gone"),
    ("mismatched", "other than the model or the sender says"),
    ("duplicates", "told more than once"),
    ("regressions", "versions that fall in a changelog"),
    ("watched_regressions", "versions that fell before the watching consumer's eyes"),
    ("watched_again", "offsets it was given twice, or out of order"),
    ("failed", "waits that came to no end, records the watching consumer did not see"),
    ("kills", "SIGKILLs of ingresses, workers and brokers"),
    ("pauses", "workers stopped for longer than their session"),
    ("outages", "brokers killed, stopped, or cut off from their clients"),
    ("rebalances", "times the workers' group met anew"),
    ("coordinator_moves", "times another broker became coordinator of offsets or transactions"),
    ("recovery_p50_s", "seconds after a fault until all was well, later faults included; median"),
    ("recovery_max_s", "the same, longest"),
)


def numbers(run: Run) -> dict[str, Any]:
    """Give everything a run found out, by name."""
    checker, watched = run.checker, run.watched
    done = sums(run.faults) | {"rebalances": run.rebalances}
    short = short_of(run.asked, done | {"acked": checker.acked})
    ignored = checker.verdicts["duplicate"] + checker.verdicts["stale"]
    middle, longest = run.recovery.figures()
    return {
        "asked": run.asked._asdict(),
        "acked": checker.acked,
        "raw": checker.raw,
        "unanswered": checker.open.unanswered,
        "written_twice": checker.open.twice,
        "forwarded": checker.forwarded,
        "applied": checker.verdicts["applied"],
        "ignored": ignored,
        "noted": checker.verdicts["noted"],
        "quarantined": checker.quarantined,
        "changes": checker.changes,
        "watched": watched["records"],
        **{name: checker.wrong[name] for name in WRONG},
        "watched_regressions": watched.get("regressions", 0),
        "watched_again": watched.get("again", 0),
        **done,
        "coordinator_moves": run.coordinator_moves,
        "recovery_p50_s": middle,
        "recovery_max_s": longest,
        "recovery_s": _longest(run.recovery.took_s),
        "faults": dict(sorted(run.faults.items())),
        "starts": run.starts,
        "exits": run.exits,
        "refused": run.refused,
        "took_s": run.took_s,
        "memory_mib": run.memory_mib,
        "failed": len(run.lines) + len(short) + (watched["records"] != checker.changes),
        "notes": list(checker.notes),
        "findings": [*run.lines, *short, *checker.lines, *watched.get("faults", ())],
    }


def short_of(asked: Asked, done: Mapping[str, int]) -> list[str]:
    """Say what a run as long as the usual one has not reached; shorter ones need not."""
    if asked.seconds < MINUTES * 60:
        return []
    least = LEAST | {"acked": ACKED, "rebalances": REBALANCES}
    return [f"only {done[name]:,} {name}, not {most:,}" for name, most in least.items() if done[name] < most]


def _longest(took: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Give the longest recovery of each kind."""
    longest: dict[str, float] = {}
    for kind, seconds in took:
        longest[kind] = max(seconds, longest.get(kind, 0.0))
    return dict(sorted(longest.items()))


def clean(told: Mapping[str, Any]) -> bool:
    """Say whether everything that must be nothing is nothing, and something was looked at."""
    return not any(told[name] for name in ZEROS) and told["acked"] > 0 and told["applied"] > 0


def table(told: Mapping[str, Any]) -> list[str]:
    """Give the rows of one run as Markdown."""
    lines = ["| what | count | meaning |", "|---|--:|---|"]
    lines += [f"| {name} | {told[name]:,} | {why} |" for name, why in ROWS if name in told]
    lines += ["", "| fault | times | longest recovery, s |", "|---|--:|--:|"]
    longest = told["recovery_s"]
    lines += [f"| {kind} | {times:,} | {longest.get(kind, '-')} |" for kind, times in told["faults"].items()]
    return lines


def section(report: Mapping[str, Any] | None) -> str:
    """Give what stands between the marks of the page."""
    if report is None:
        return "No results yet: run `make chaos`."
    told, machine, asked = report["chaos"], report["machine"], report["chaos"]["asked"]
    head = (
        f"Seed {asked['seed']}, {asked['seconds'] / 60:g} minutes at {asked['rate']:g} callbacks a second on "
        f"the average, {asked['brokers']} brokers, group protocol `{asked['group']}`; {report['date']}, "
        f"commit `{report['commit']}`: {machine['cpu']}, {machine['cores']} cores."
    )
    return "\n".join([head, "", *table(told)])


def rewrite(report: Mapping[str, Any] | None, path: Path = PAGE) -> None:
    """Put a result into the page."""
    page = path.read_text()
    head, _, rest = page.partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n\n{section(report)}\n\n{END}{rest.partition(END)[2]}")


def between(page: str) -> str:
    """Give what stands between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()
