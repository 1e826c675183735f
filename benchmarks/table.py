"""The newest results -> the generated part of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.latency import middle
from benchmarks.program import ROOT
from benchmarks.results import Case, Part, Report, newest

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- bench:begin -->"
END: Final = "<!-- bench:end -->"
PARTS: Final = ("p50", "p99", "p999", "max")


def render(results: Sequence[Report]) -> str:
    """Give everything between the two marks."""
    lines: list[str] = []
    for one in results:
        lines += _head(one)
        if one.tier == "micro":
            lines += ["Each station alone, in process, best of its rounds:", "", *_parts(one.profile)]
            continue
        lines += _cases(one)
        lines += _latencies(one)
        lines += _ratios(one)
        lines += _discarded(one)
        if one.profile:
            lines += ["", "Where the CPU of S1 goes, per event:", "", *_parts(one.profile)]
    return "\n".join(lines or ["No results yet: run `make bench`."]).strip()


def _head(report: Report) -> list[str]:
    machine, versions = report.machine, report.versions
    told = ", ".join(
        f"{name} {versions[name]}" for name in ("kafka", "confluent-kafka", "fastavro") if name in versions
    )
    return [
        "",
        (
            f"Tier `{report.tier}`, scale {report.scale}, {report.date}, commit `{report.commit}`: "
            f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {told}."
        ),
        "",
    ]


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _cases(report: Report) -> Iterator[str]:
    closed = [one for one in report.cases if one.loop == "closed"]
    if not closed:
        return
    yield _row(
        (
            "id",
            "subject",
            "parameters",
            "events/s best / median",
            "CPU µs",
            "units",
            "events/s per core of CPU",
            "RSS MiB",
            "limit",
            "target",
            "met",
        )
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for case in closed:
        yield _row(list(_cells(case)))


def _latencies(report: Report) -> Iterator[str]:
    """Tell the cases of an open loop; medians over the rounds."""
    opened = [one for one in report.cases if one.loop == "open"]
    if not opened:
        return
    spans = ("", "sent_", "ack_")
    yield ""
    yield _row(
        (
            "id",
            "subject",
            "parameters",
            "accepted to visible, ms p50 / p99 / p99.9 / longest",
            "sent to visible",
            "sent to accepted",
            "CPU µs",
            "target",
            "met",
        )
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for case in opened:
        cells = [*_cells(case)]
        told = [" / ".join(f"{middle(case, f'{span}{one}_ms'):g}" for one in PARTS) for span in spans]
        yield _row([*cells[:3], *told, f"{case.median.cpu_us_per_event:.0f}", *cells[-2:]])


def _cells(case: Case) -> Iterator[object]:
    counted = [one for one in case.rounds if one.discarded is None]
    yield case.id
    yield case.subject
    yield ", ".join(f"{name} {_plain(value)}" for name, value in case.params.items())
    yield f"{case.best.events_per_s:,.0f} / {case.median.events_per_s:,.0f}"
    yield f"{case.best.cpu_us_per_event:.1f} / {case.median.cpu_us_per_event:.1f}"
    yield f"{case.best.units:.1f} / {case.median.units:.1f}"
    yield f"{1e6 / case.median.cpu_us_per_event:,.0f}"
    yield f"{max(one.rss_mib for one in counted):.0f}"
    yield case.limit
    told = {name: one for name, one in (case.target or {}).items() if name != "met"}
    yield ", ".join(f"{name} {_plain(value)}" for name, value in told.items()) or "-"
    yield "-" if case.target is None else ("yes" if case.target["met"] else "**no**")


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _ratios(report: Report) -> Iterator[str]:
    if not report.ratios:
        return
    yield ""
    yield "CPU per event of the peer over ours, medians of the same run:"
    yield ""
    yield _row(("id", "peer", "times", "target", "met"))
    yield "|---|---|---|---|---|"
    for one in report.ratios:
        yield _row((one.id, one.peer, f"{one.value:.1f}", one.target, "yes" if one.met else "**no**"))


def _discarded(report: Report) -> Iterator[str]:
    dropped = [(case, one) for case in report.cases for one in case.rounds if one.discarded]
    if dropped:
        yield ""
        yield "Discarded rounds:"
        yield ""
    for case, one in dropped:
        yield f"- {case.id} {case.subject}: {one.discarded}"


def _parts(parts: Sequence[Part]) -> Iterator[str]:
    yield _row(("station", "CPU µs", "units"))
    yield "|---|---|---|"
    for one in parts:
        yield _row((one.name, f"{one.cpu_us:.2f}", f"{one.units:.2f}"))


def between(page: str) -> str:
    """Give what stands between the marks of a page."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def rewrite(path: Path = PAGE) -> None:
    """Put the newest results into the page."""
    page = path.read_text()
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(f"{head}{BEGIN}\n\n{render(newest())}\n\n{END}{tail}")
