"""The pure parts of the chaos program: what a seed means, what a watcher sees, what is told."""

import json
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from ledger import Row

from tests.chaos import telling
from tests.chaos.coordinators import Moves, generation_of
from tests.chaos.load import PORTION, Stream, client_key
from tests.chaos.reading import Watcher, receipt_ms
from tests.chaos.recovery import Recovery
from tests.chaos.rows import Open, Rows
from tests.chaos.run import Asked
from tests.chaos.schedule import (
    AT_FIRST,
    EVERY_S,
    KINDS,
    LEAST,
    MINUTES,
    SETTLE_S,
    WORKERS,
    Fault,
    plan,
    sums,
)

PLACE = ("erp.changelog.customer", 0)
ULID = b"01M7Z2DQQX2YZPX7NG5Q000000"


def test_a_seed_says_what_goes_wrong_when() -> None:
    first = plan(7, 45, 3, 2.5)

    assert first == plan(7, 45, 3, 2.5)
    assert first != plan(8, 45, 3, 2.5)
    assert first[:2] == [
        Fault(1.0, "worker paused beyond its session", "worker-2", 8.048),
        Fault(5.066, "worker paused", "worker-1", 1.858),
    ]


@pytest.mark.parametrize("brokers", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_possible_and_spares_nothing(seed: int, brokers: int) -> None:
    faults = plan(seed, 600, brokers, 5.0)

    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(fault.at_s + fault.lasts_s <= 600 for fault in faults)
    assert all(one.at_s <= two.at_s for one, two in pairwise(faults))
    running, busy_until = {one for one in WORKERS if one in AT_FIRST}, {}
    for fault in faults:
        assert fault.at_s >= busy_until.get(fault.target, 0) - 0.002, fault
        busy_until[fault.target] = fault.at_s + fault.lasts_s + SETTLE_S
        if fault.kind == "worker added":
            assert fault.target not in running
            running.add(fault.target)
        elif fault.target.startswith("worker"):
            assert fault.target in running
        if fault.kind == "worker removed":
            running.remove(fault.target)
        assert running, "nobody is left to work"
        if fault.target.startswith("broker"):
            assert int(fault.target[-1]) <= brokers


@pytest.mark.parametrize("seed", range(30))
def test_half_an_hour_holds_what_it_must_hold_whatever_the_seed(seed: int) -> None:
    done = sums(Counter(fault.kind for fault in plan(seed, MINUTES * 60, 3, EVERY_S)))

    assert all(done[name] >= least for name, least in LEAST.items()), done


def test_a_usual_run_that_reached_too_little_is_told_and_a_short_one_is_not() -> None:
    asked = Asked(seed=1, seconds=1800, rate=570, brokers=3, every_s=5)
    done = {"kills": 118, "pauses": 24, "outages": 60, "rebalances": 80, "acked": 1_026_000}

    assert telling.short_of(asked, done) == ["only 24 pauses, not 25"]
    assert telling.short_of(asked, done | {"pauses": 25}) == []
    assert telling.short_of(asked._replace(seconds=300), done) == []


def test_the_generation_of_a_group_is_read_from_its_coordinator() -> None:
    classic, following = struct.pack(">hh5s", 2, 5, b"group"), struct.pack(">hh5s", 3, 5, b"group")
    value = struct.pack(">hh8si", 3, 8, b"consumer", 17)

    assert generation_of(classic, value, "group") == 17
    assert generation_of(following, struct.pack(">hi", 0, 9), "group") == 9
    assert generation_of(classic, value, "other") is None
    assert generation_of(classic, None, "group") is None
    assert generation_of(struct.pack(">hh5s", 1, 5, b"group"), value, "group") is None


def test_a_coordinator_has_moved_when_another_broker_leads_its_partition() -> None:
    moves, place = Moves("nowhere:1"), ("__consumer_offsets", 0)

    for leader in (2, 2, -1, 2):
        moves.see({place: leader})
    assert moves.count == 0
    for leader in (-1, 3, 3, 1):
        moves.see({place: leader})
    assert moves.count == 2


def test_a_seed_says_what_is_sent_and_memory_is_bounded() -> None:
    one, two, other = Stream(3), Stream(3), Stream(4)

    assert client_key(3) == client_key(3) != client_key(4)
    first, again, another = one.portion(), two.portion(), other.portion()
    assert first == again
    assert len(first) == PORTION
    assert sum(made != also for made, also in zip(first, another, strict=True)) > PORTION * 0.8
    assert one.portion() == two.portion() != first


def test_a_row_is_crossed_off_record_by_record() -> None:
    rows = Rows()
    rows.append(Row("01A", "ab" * 32, 2, 0))
    rows.append(Row("01B", "cd" * 32, 0, 1))
    left = Open(rows)

    assert left.missing == 3
    assert not left.found("01A", "ab" * 32)
    assert not left.found("01B", "cd" * 32)
    assert left.missing == 1
    assert not left.found("01A", "ef" * 32)
    assert (left.missing, left.other_bytes) == (0, 1)
    assert left.found("01A", "ab" * 32)
    assert not left.found("01C", "ab" * 32)
    assert (left.twice, left.unanswered) == (1, 1)


def test_a_watcher_sees_versions_fall_and_offsets_come_again() -> None:
    watcher = Watcher()

    def see(offset: int, key: str, version: int) -> None:
        headers = {"x-erp-version": b"%d" % version, "x-erp-delivery-id": ULID}
        watcher.see(PLACE, offset, key, headers)

    see(0, "a", 5)
    see(1, "b", 3)
    see(3, "a", 5)
    assert (watcher.regressions, watcher.again) == (0, 0)
    see(4, "a", 4)
    see(4, "b", 6)
    assert (watcher.records, watcher.regressions, watcher.again) == (5, 1, 1)
    assert watcher.newest_ms == receipt_ms(ULID.decode())


def test_the_time_in_a_ulid_is_read() -> None:
    assert receipt_ms("01ARZ3NDEKTSV4RRFFQ69G5FAV") == 1_469_922_850_259


def test_a_fault_is_over_when_all_are_ready_and_newer_callbacks_are_seen() -> None:
    recovery = Recovery()
    recovery.ended("worker killed", 100.0)

    recovery.look(101.0, whole=False, newest_s=100.5)
    recovery.look(102.0, whole=True, newest_s=99.5)
    assert recovery.left == 1
    recovery.look(103.5, whole=True, newest_s=100.5)
    assert recovery.left == 0
    recovery.ended("ingress killed", 200.0)
    recovery.look(200.5, whole=True, newest_s=200.1)
    assert recovery.took_s == [("worker killed", 3.5), ("ingress killed", 0.5)]
    assert recovery.figures() == (2.0, 3.5)


def test_the_page_tells_the_newest_result() -> None:
    paths = sorted(telling.RESULTS.glob("*-chaos.json"))
    newest = json.loads(paths[-1].read_bytes()) if paths else None

    assert telling.between(telling.PAGE.read_text()) == telling.section(newest).strip()


def test_every_kept_result_is_clean() -> None:
    for path in telling.RESULTS.glob("*-chaos.json"):
        assert telling.clean(json.loads(path.read_bytes())["chaos"]), path


@pytest.mark.parametrize("name", telling.ZEROS)
def test_a_run_with_anything_wrong_is_not_clean(name: str) -> None:
    good = dict.fromkeys(telling.ZEROS, 0) | {"acked": 10, "applied": 5}

    assert telling.clean(good)
    assert not telling.clean(good | {name: 1})
    assert not telling.clean(good | {"acked": 0})


def test_a_section_is_put_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{telling.BEGIN}\nold\n{telling.END}\n\nafter\n")

    telling.rewrite(None, page)

    text = page.read_text()
    assert text.startswith("before\n\n")
    assert text.endswith("\n\nafter\n")
    assert telling.between(text) == "No results yet: run `make chaos`."
