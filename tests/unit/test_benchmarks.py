import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import callbacks, gauge, profiling, results, stations, table
from connector.runtime.desk import topics_under

GOOD = results.Correct(taken=10, distinct_out=9)


def usage(**changed: Any) -> gauge.Usage:
    told = {"wall_s": 2.0, "cpu_s": 1.0, "rss_mib": 50.0, "foreign_cpu": 0.0, "limit": "subject core"}
    return gauge.Usage(**{**told, **changed})


def measured(*rounds: results.Round) -> results.Case | None:
    return results.case("S1", "subject", {"records": 10}, rounds, GOOD)


def test_the_table_in_the_docs_is_that_of_the_newest_results() -> None:
    assert table.between(table.PAGE.read_text()) == table.render(results.newest())


def test_every_committed_result_has_the_form_of_its_schema_and_is_correct() -> None:
    for path in sorted(results.FOLDER.glob("*.json")):
        told = json.loads(path.read_bytes())
        report = results.read(path)

        assert report.schema == results.SCHEMA
        assert path.name.endswith(f"-{report.commit}-{report.tier}.json")
        assert {"cpu", "cores", "kernel", "python", "memory_gib"} <= told["machine"].keys()
        assert all(case.correct.good for case in report.cases)
        assert all("in" in case["correct"] for case in told.get("cases", ()))
        assert all(case.best.cpu_us_per_event <= case.median.cpu_us_per_event for case in report.cases)


def test_best_and_median_are_taken_from_the_rounds_that_count() -> None:
    fast = results.judged(100_000, usage(), (1.0, 1.0))
    slow = results.judged(100_000, usage(wall_s=4.0, cpu_s=2.0), (1.0, 1.0))
    disturbed = results.judged(100_000, usage(cpu_s=0.1, foreign_cpu=0.5), (1.0, 1.0))

    case = measured(fast, slow, slow, disturbed)

    assert case is not None
    assert case.best == results.Figures(50_000, 10.0, 10.0)
    assert case.median == results.Figures(25_000, 20.0, 20.0)


def test_a_round_is_discarded_when_the_calibration_moved_or_others_used_the_core() -> None:
    assert results.judged(1, usage(), (1.0, 1.05)).discarded is None
    assert "calibrations" in (results.judged(1, usage(), (1.0, 1.2)).discarded or "")
    assert "other programs" in (results.judged(1, usage(foreign_cpu=0.3), (1.0, 1.0)).discarded or "")


def test_what_lost_a_record_is_not_published() -> None:
    one = results.judged(100, usage(), (1.0, 1.0))

    assert results.case("S1", "subject", {}, [one], results.Correct(taken=10, lost=1)) is None
    assert measured(results.judged(100, usage(foreign_cpu=0.9), (1.0, 1.0))) is None


def test_a_missed_target_stays_in_the_table_as_missed() -> None:
    case = measured(results.judged(100_000, usage(), (1.0, 1.0)))
    assert case is not None
    case.target = {"cpu_us_per_event": 1.0, "met": False}
    report = results.report("real", "small")
    report.cases = [case]
    report.ratios = [results.ratio(case, case, 5.0)]

    told = table.render([report])

    assert "| cpu_us_per_event 1.0 | **no** |" in told
    assert "| S1 | subject | 1.0 | 5.0 | **no** |" in told


def test_a_result_file_is_read_back_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    case = measured(results.judged(100_000, usage(), (1.0, 1.0)))
    assert case is not None
    report = results.report("real", "small")
    report.cases = [case]

    assert results.read(results.write(report)) == report


def test_an_older_result_keeps_the_cases_no_newer_one_has(tmp_path: Path) -> None:
    case = measured(results.judged(100_000, usage(), (1.0, 1.0)))
    assert case is not None
    other = msgspec.structs.replace(case, id="I1")
    for date, cases in (("2026-01-01", [case, other]), ("2026-01-02", [other]), ("2025-01-01", [case])):
        report = results.report("real", "small")
        report.date, report.cases = date, cases
        report.ratios = [results.ratio(one, one, 5.0) for one in cases]
        report.profile = [results.Part("join", 1.0, 1.0)] if case in cases else []
        (tmp_path / f"{date}.json").write_bytes(msgspec.json.encode(report))

    new, old = results.newest(tmp_path)

    assert (new.date, [one.id for one in new.cases], [one.id for one in new.ratios]) == (
        "2026-01-02",
        ["I1"],
        ["I1"],
    )
    assert (old.date, [one.id for one in old.cases], [one.id for one in old.ratios]) == (
        "2026-01-01",
        ["S1"],
        ["S1"],
    )
    assert (len(new.profile), len(old.profile)) == (0, 1)


def test_the_made_up_callbacks_are_what_the_door_would_write() -> None:
    sent = callbacks.sent(10_000_001, 7)
    laid = callbacks.laid(3, 10_000_001, 7)

    raw = callbacks.received(sent, f"{3:026d}", callbacks.ARRIVAL_US + 3)

    assert len(sent) == callbacks.BYTES
    assert (raw.key.text.encode(), raw.body) == (laid.key, laid.value)
    assert raw.meta.delivery_id == f"{3:026d}"
    assert callbacks.CLIENT_KEY.encode() not in laid.value


def test_a_tenth_of_a_backlog_comes_again_and_nothing_else() -> None:
    backlog = list(callbacks.backlog(2000))

    assert len(backlog) == 2000
    assert len({(one.key, one.value) for one in backlog}) == callbacks.distinct(2000) == 1800
    assert len({one.key for one in backlog}) == 900


def test_the_stations_one_by_one_write_what_they_write_together() -> None:
    topics = topics_under("erp")
    apart, together = stations.Line(topics), stations.Line(topics)

    for taken in stations.cycles(200, topics.raw["duett"]):
        one_by_one, at_once = apart.apart(taken), together.together(taken)

        assert one_by_one == at_once


def test_the_micro_tier_measures_every_station() -> None:
    _, parts = profiling.micro(1, 100)

    assert {*stations.PURE, stations.WHOLE} <= {part.name for part in parts}
