"""The guards' judgement: facts in, findings out."""

from pathlib import Path

import pytest

from connector.core.facts import GRADES, GUARDS, Facts, Finding, Found, Place, Wanted, grouped
from connector.core.guards import judge, others
from connector.runtime.admin import wanted_config
from connector.runtime.desk import topics_under

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
DOCS = Path(__file__).parents[2] / "docs"
TABLE = {
    one.name: Wanted(one.name, one.kind, 12, 3, wanted_config(one, 3)) for one in topics_under("erp").all()
}
RAW, CHANGELOG, IDENTITY = "erp.raw.duett", "erp.changelog.item", "erp.identity"
EVENTS, QUARANTINE = "erp.events", "erp.quarantine"


def found(name: str, *, without: str = "", **settings: str) -> Found:
    """Give a topic as it must be but for some settings, whose dots are written `__`."""
    config = {**TABLE[name].config, **{one.replace("__", "."): text for one, text in settings.items()}}
    config.pop(without, None)
    return Found(f"id-of-{name}", 12, 3, 3, 0, config)


def changed(name: str, **fields: object) -> Found:
    """Give a topic as it must be but for some facts."""
    right = found(name)
    return Found(**{one: fields.get(one, getattr(right, one)) for one in Found.__struct_fields__})


def facts(*places: Place, known: dict[str, str] | None = None, **topics: Found | None) -> Facts:
    """Give a cluster as it must be but for some topics, written as in the constants above."""
    named = {globals()[name]: one for name, one in topics.items()}
    return Facts(NOW_MS, "erp-worker", {name: found(name) for name in TABLE} | named, places, known or {})


def told(facts: Facts) -> list[tuple[str, str, str]]:
    return [(one.guard, one.grade, one.where) for one in judge(list(TABLE.values()), facts)]


def only(facts: Facts) -> Finding:
    (one,) = judge(list(TABLE.values()), facts)
    return one


def test_a_cluster_as_it_must_be_has_no_findings() -> None:
    places = [Place(RAW, 0, 50, 0, 50), Place(RAW, 1, 0, 0, 9), Place(RAW, 2, 7, 7, 7)]

    assert told(facts(*places, known={name: f"id-of-{name}" for name in TABLE})) == []


def test_a_missing_topic_stops() -> None:
    one = only(facts(CHANGELOG=None))

    assert (one.guard, one.grade, one.where) == ("missing", "stop", CHANGELOG)
    assert one.line() == (
        "erp.changelog.item: found no such topic, wanted one of 12 partitions; run: connector topics apply"
    )


def test_a_topic_nobody_answered_for_is_not_judged() -> None:
    known = facts()
    del known.topics[CHANGELOG]  # type: ignore[attr-defined]  # a plain dict here

    assert told(known) == []


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("RAW", "stop"),
        ("CHANGELOG", "stop"),
        ("IDENTITY", "stop"),
        ("EVENTS", "warn"),
        ("QUARANTINE", "warn"),
    ],
)
def test_a_topic_made_anew_stops_where_states_depend_on_it(name: str, grade: str) -> None:
    topic = globals()[name]
    anew = facts(**{name: changed(topic, id="new")}, known={topic: f"id-of-{topic}"})

    assert told(anew) == [("recreated", grade, topic)]
    assert "deleted and made anew" in only(anew).line()
    assert told(facts(**{name: changed(topic, id="new")})) == []


@pytest.mark.parametrize(
    ("name", "grade"), [("RAW", "stop"), ("CHANGELOG", "stop"), ("IDENTITY", "stop"), ("EVENTS", "warn")]
)
def test_another_partition_count_stops_where_keys_must_meet(name: str, grade: str) -> None:
    one = only(facts(**{name: changed(globals()[name], partitions=13)}))

    assert (one.guard, one.grade) == ("partitions", grade)
    assert "found 13 partitions, wanted 12; the count is fixed for life" in one.line()
    assert "cannot be lowered" in one.line()


def test_where_all_counts_agree_it_is_the_setting_that_is_wrong() -> None:
    everywhere = facts()
    for name in TABLE:
        everywhere.topics[name] = changed(name, partitions=6)  # type: ignore[index]  # a plain dict here
    findings = judge(list(TABLE.values()), everywhere)

    assert {one.guard for one in findings} == {"partitions"}
    assert "set topics.partitions to it" in findings[0].remedy
    assert "lowered" not in findings[0].remedy


@pytest.mark.parametrize(
    ("name", "policy"), [("CHANGELOG", "delete"), ("RAW", "compact"), ("EVENTS", "compact")]
)
def test_another_cleanup_refuses_a_start_but_stops_nobody(name: str, policy: str) -> None:
    topic = globals()[name]

    assert told(facts(**{name: found(topic, cleanup__policy=policy)})) == [("cleanup", "refuse", topic)]


@pytest.mark.parametrize(
    ("memory_days", "raw_days", "expected"),
    [
        (15, 14, []),
        (14, 14, [("delete_retention", "refuse", CHANGELOG)]),
        (1, 14, [("delete_retention", "refuse", CHANGELOG)]),
        (29, 28, []),
    ],
)
def test_deletes_must_be_remembered_for_longer_than_raw_records_stay(
    memory_days: int, raw_days: int, expected: list[tuple[str, str, str]]
) -> None:
    here = facts(
        CHANGELOG=found(CHANGELOG, delete__retention__ms=str(memory_days * DAY_MS)),
        RAW=found(RAW, retention__ms=str(raw_days * DAY_MS)),
    )

    others = [one for one in told(here) if one[2] == CHANGELOG]
    assert others == expected


@pytest.mark.parametrize("kept", [str(16 * DAY_MS), "-1"])
def test_raw_records_kept_longer_than_deletes_are_remembered_are_told(kept: str) -> None:
    findings = judge(list(TABLE.values()), facts(RAW=found(RAW, retention__ms=kept)))

    assert {(one.guard, one.grade, one.kind) for one in findings} == {
        ("delete_retention", "warn", "changelog"),
        ("delete_retention", "warn", "identity"),
    }
    assert findings[0].remedy == "lower raw's retention.ms"


@pytest.mark.parametrize(
    ("setting", "text", "guard"),
    [
        ("retention__ms", str(DAY_MS), "raw_retention"),
        ("retention__bytes", "1000000", "raw_retention"),
        ("max__message__bytes", "1000", "max_message_bytes"),
        ("min__insync__replicas", "1", "min_insync_replicas"),
        ("unclean__leader__election__enable", "true", "unclean_election"),
    ],
)
def test_what_weakens_a_promise_is_told_and_stops_nobody(setting: str, text: str, guard: str) -> None:
    assert told(facts(RAW=found(RAW, **{setting: text}))) == [(guard, "warn", RAW)]


def test_more_than_wanted_is_no_fault() -> None:
    more = found(
        RAW, max__message__bytes="9999999", retention__ms=str(14 * DAY_MS), min__insync__replicas="3"
    )

    assert told(facts(RAW=more)) == []


def test_one_copy_needs_no_second_to_confirm() -> None:
    alone = changed(RAW, copies=1, in_sync=1, config=found(RAW, min__insync__replicas="1").config)

    assert told(facts(RAW=alone)) == []


@pytest.mark.parametrize("fields", [{"in_sync": 1}, {"leaderless": 2}])
def test_a_partition_that_takes_no_writes_is_told(fields: dict[str, int]) -> None:
    assert told(facts(RAW=changed(RAW, **fields))) == [("unwritable", "warn", RAW)]


def test_settings_that_may_not_be_read_are_told_and_not_guessed() -> None:
    assert told(facts(RAW=changed(RAW, config=None))) == [("settings", "warn", RAW)]


def test_an_offset_behind_the_end_of_the_log_stops() -> None:
    one = only(facts(Place(RAW, 3, 51, 0, 50)))

    assert (one.guard, one.grade, one.where) == ("offsets", "stop", f"{RAW}/3")
    assert "--topic erp.raw.duett:3 --reset-offsets" in one.remedy


def test_records_deleted_unread_stop_with_the_way_out() -> None:
    one = only(facts(Place(RAW, 3, 40, 41, 50)))

    assert (one.guard, one.grade, one.where) == ("overtaken", "stop", f"{RAW}/3")
    assert one.found == "committed offset 40"
    assert "at least 41" in one.wanted
    assert "--group erp-worker" in one.remedy


def test_marks_of_transactions_that_were_deleted_are_no_loss() -> None:
    assert told(facts(Place(RAW, 3, 40, 41, 41, clean_to=41))) == []
    assert told(facts(Place(RAW, 3, 40, 42, 42, clean_to=41))) == [("overtaken", "stop", f"{RAW}/3")]


@pytest.mark.parametrize(("age_days", "expected"), [(0, 0), (10, 0), (11, 1), (13, 1)])
def test_an_unread_record_is_told_before_it_is_deleted(age_days: int, expected: int) -> None:
    place = Place(RAW, 3, 40, 0, 50, oldest_ms=NOW_MS - age_days * DAY_MS)

    assert told(facts(place)) == [("aging", "warn", f"{RAW}/3")] * expected


def test_what_is_kept_for_ever_does_not_age() -> None:
    place = Place(RAW, 3, 40, 0, 50, oldest_ms=NOW_MS - 900 * DAY_MS)

    assert "aging" not in {one[0] for one in told(facts(place, RAW=found(RAW, retention__ms="-1")))}


def test_the_worst_comes_first_and_alike_findings_are_one_line() -> None:
    here = facts(RAW=found(RAW, max__message__bytes="1"), EVENTS=found(EVENTS, cleanup__policy="compact"))
    for name in [name for name in TABLE if ".changelog." in name]:
        here.topics[name] = None  # type: ignore[index]  # a plain dict here
    findings = judge(list(TABLE.values()), here)

    assert [GRADES.index(one.grade) for one in findings] == [0] * 20 + [1, 2]
    (first, more), *_ = grouped(findings)
    assert first.line(more).startswith("erp.changelog.account and 19 more: found no such topic")


def test_settings_without_a_guard_are_only_listed() -> None:
    here = facts(RAW=found(RAW, segment__bytes="1"), CHANGELOG=found(CHANGELOG, max__message__bytes="1"))

    assert others(list(TABLE.values()), here) == [(RAW, "segment.bytes")]


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_is_explained_to_operators(guard: str) -> None:
    assert f"| `{guard}` |" in (DOCS / "operating.md").read_text()
