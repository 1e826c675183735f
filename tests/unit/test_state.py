"""What a cycle sees, what a commit keeps, what an abort forgets: the same in memory and on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from furniture import callback, furnished, raws

from connector import flow
from connector.errors import Misconfigured
from connector.model import EntityKey, Known, Outcome, RawRecord
from connector.runtime.batch import Cycle, Fence
from connector.runtime.disk import FOLDER, Disk, StateDamaged
from connector.runtime.entries import NOTHING, Checkpoint, Memory, Store
from connector.runtime.state import PartitionState, State, entry_of, form, guard_entry
from connector.sources import SOURCES
from connector.topics import GUARD_RETENTION_MS

KEY = EntityKey.of("duett", "acme", "voucher_line", "1")


def row(day: int, verb: str = "update", **model: Any) -> RawRecord:
    body = {
        "subscription": "Voucher",
        "event": verb,
        "eventTime": f"2024-08-0{day}T00:00:00Z",
        "data": json.dumps({"Id": 1, **model}),
    }
    return raws(callback("duett", body))[0]


def cycle(number: int, epoch: int = 0) -> Cycle:
    return Cycle(epoch, number, Fence(None))


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    one: Store = Memory() if request.param == "memory" else Disk(tmp_path, "1")
    yield one
    one.close()


@pytest.fixture
def state(store: Store) -> PartitionState:
    return partition(store)


def partition(store: Store) -> PartitionState:
    desk, codecs = furnished()
    return PartitionState("duett", desk.changelogs, codecs, store.entries("duett", 3))


def work(state: PartitionState, at: Cycle, *records: RawRecord) -> list[str]:
    outcomes = list(flow.carry(records, SOURCES["duett"], state.view(at), furnished()[0]))
    return [one.verdict for one in outcomes if isinstance(one, Outcome)]


def test_a_cycle_sees_what_the_one_before_it_changed_though_it_is_not_committed(
    state: PartitionState,
) -> None:
    assert work(state, cycle(0), row(1)) == ["applied"]
    assert work(state, cycle(1), row(1)) == ["duplicate"]
    assert state.decoded(KEY) is None


def test_a_record_sees_what_an_earlier_one_of_its_own_cycle_changed(state: PartitionState) -> None:
    assert work(state, cycle(0), row(1), row(1)) == ["applied", "duplicate"]


def test_a_commit_keeps_its_own_cycle_and_leaves_later_ones_open(state: PartitionState) -> None:
    first, second = cycle(0), cycle(1)
    work(state, first, row(1, lineNumber=1))
    work(state, second, row(2, lineNumber=2))

    state.commit(first)
    state.drop(1)

    known = state.decoded(KEY)
    assert known is not None
    assert known.state.facets["body"].fields["line_number"] == 1


def test_an_abort_forgets_everything_uncommitted(state: PartitionState) -> None:
    work(state, cycle(0), row(1))

    state.drop(1)

    assert work(state, cycle(0, epoch=1), row(1)) == ["applied"]


def test_a_cycle_that_was_dropped_writes_where_nobody_looks(state: PartitionState) -> None:
    dropped = cycle(0)
    view = state.view(dropped)
    state.drop(1)

    list(flow.carry([row(1)], SOURCES["duett"], view, furnished()[0]))

    state.commit(dropped)
    assert state.decoded(KEY) is None


def test_a_cycle_that_begins_after_it_was_dropped_is_known_to_nobody(state: PartitionState) -> None:
    state.drop(1)

    assert work(state, cycle(0), row(1)) == ["applied"]

    assert work(state, cycle(0, epoch=1), row(1)) == ["applied"]


def test_a_partition_taken_anew_knows_what_was_dropped_before() -> None:
    desk, codecs = furnished()
    state = State(desk.changelogs, codecs, cache_age_s=100)
    state.drop(1)
    held = state.take("duett", 3, now_s=0)

    assert work(held, cycle(0), row(1)) == ["applied"]
    assert work(held, cycle(0, epoch=1), row(1)) == ["applied"]


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_what_is_committed_decodes_as_what_was_put(verb: str, state: PartitionState) -> None:
    at = cycle(0)
    view = state.view(at)
    list(flow.carry([row(1), row(2, verb)], SOURCES["duett"], view, furnished()[0]))
    put = view.get(KEY)

    state.commit(at)

    assert state.decoded(KEY) == put
    assert isinstance(put, Known)


def test_a_tombstone_of_another_program_is_refused() -> None:
    with pytest.raises(ValueError, match="x-erp-version"):
        guard_entry(0, [])


def states(store: Store) -> State:
    desk, codecs = furnished()
    return State(desk.changelogs, codecs, 100, store)


def at(offset: int, second: float = 0) -> Checkpoint:
    return Checkpoint("cluster", second, {"log": ("id", offset)})


def test_a_released_partition_is_a_cache_until_it_is_too_old(store: Store) -> None:
    state = states(store)
    held = state.take("duett", 3, now_s=0)
    held.entries.put({"k": entry_of(0, b"\0")}, at(7))
    held.filled(at(9))

    state.release("duett", 3, now_s=1000)
    assert state.take("duett", 3, now_s=1050).entries.get("k") == entry_of(0, b"\0")
    assert held.entries.checkpoint == at(9, 1000)
    state.release("duett", 3, now_s=2000)
    assert state.take("duett", 3, now_s=1101).entries.get("k") is None
    assert held.entries.checkpoint == NOTHING


def test_a_partition_held_for_long_is_no_cache(store: Store) -> None:
    state = states(store)
    held = state.take("duett", 3, now_s=0)
    held.entries.put({"k": entry_of(0, b"\0")})
    held.filled(at(9))

    assert state.take("duett", 3, now_s=10_000).entries.get("k") is not None


def test_partitions_do_not_see_one_another(store: Store) -> None:
    here, there = store.entries("duett", 3), store.entries("duett", 4)
    here.put({"k": entry_of(0, b"\0a")}, at(1))
    there.put({"k": entry_of(0, b"\0b")}, at(2))

    here.clear()

    assert (here.get("k"), here.checkpoint) == (None, NOTHING)
    assert (there.get("k"), there.checkpoint) == (entry_of(0, b"\0b"), at(2))


def test_a_checkpoint_moves_on_only_under_the_tenure_it_was_asked_for(store: Store) -> None:
    state = states(store)
    held = state.take("duett", 3, now_s=0)
    held.filled(at(5))
    asked = state.tenures()

    state.advance(asked, {("log", 3): 8, ("log", 4): 99}, 1.0)
    assert held.entries.checkpoint == at(8, 1.0)
    state.advance(asked, {("log", 3): 6}, 2.0)
    assert held.entries.checkpoint == at(8, 2.0), "it went back"

    state.release("duett", 3, now_s=3.0)
    state.take("duett", 3, now_s=4.0)
    assert state.tenures() == {}
    held.filled(at(9))
    state.advance(asked, {("log", 3): 20}, 5.0)
    assert held.entries.checkpoint == at(9), "another worker may have written in between"


def deleted(state: PartitionState, number: int, day: int) -> None:
    one = cycle(number)
    work(state, one, row(day, "delete"))
    state.commit(one)


def test_a_delete_is_forgotten_when_kafka_forgets_its_tombstone(store: Store) -> None:
    whole = states(store)
    state = whole.take("duett", 3, now_s=0)
    deleted(state, 0, 2)
    last_s = time.time() + GUARD_RETENTION_MS / 1000

    assert whole.expire(last_s - 300) == 0, "as old as its callback, it was taken just now"
    assert work(state, cycle(1), row(1)) == ["stale"]
    assert whole.expire(last_s + 1) == 1
    assert state.decoded(KEY) is None
    assert whole.expire(last_s + 1) == 0


def test_a_key_that_lives_again_is_not_forgotten_with_its_delete(store: Store) -> None:
    whole = states(store)
    state = whole.take("duett", 3, now_s=0)
    deleted(state, 0, 2)
    again = cycle(1)
    assert work(state, again, row(3, lineNumber=3)) == ["applied"]
    state.commit(again)

    assert whole.expire(1e11) == 0
    known = state.decoded(KEY)
    assert known is not None
    assert known.state.facets["body"].fields["line_number"] == 3


def test_a_key_deleted_again_is_remembered_from_then_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = states(store)
    state = whole.take("duett", 3, now_s=0)
    deleted(state, 0, 2)
    later_s = time.time() + 1000
    monkeypatch.setattr(time, "time", lambda: later_s)
    deleted(state, 1, 4)

    assert whole.expire(later_s - 1 + GUARD_RETENTION_MS / 1000) == 0
    assert work(state, cycle(2), row(3)) == ["stale"]
    assert whole.expire(later_s + 1 + GUARD_RETENTION_MS / 1000) == 1


def test_what_is_on_disk_is_there_after_a_restart(tmp_path: Path) -> None:
    disk = Disk(tmp_path, "1")
    state = partition(disk)
    deleted(state, 0, 2)
    state.entries.put({"k": entry_of(0, b"\0")}, at(7))
    disk.close()

    disk = Disk(tmp_path, "1")
    after = disk.entries("duett", 3)
    assert (after.get("k"), after.checkpoint) == (entry_of(0, b"\0"), at(7))
    assert after.expire(10**14) == 1, "the guard's age was lost"
    disk.close()


def test_a_folder_has_one_worker(tmp_path: Path) -> None:
    disk = Disk(tmp_path, "1")
    with pytest.raises(Misconfigured, match="in use by another process"):
        Disk(tmp_path, "1")
    disk.close()


@pytest.mark.parametrize("harm", ["form", "current", "manifest", "marked"])
def test_a_folder_that_cannot_be_used_is_made_anew(tmp_path: Path, harm: str) -> None:
    disk = Disk(tmp_path, "1")
    disk.entries("duett", 3).put({"k": entry_of(0, b"\0")}, at(7))
    disk.close()
    (tmp_path / "beside").write_text("not ours")
    folder = tmp_path / FOLDER
    if harm == "current":
        (folder / "CURRENT").write_text("nonsense\n")
    elif harm == "manifest":
        next(folder.glob("MANIFEST-*")).write_bytes(b"nonsense" * 100)
    elif harm == "marked":
        (folder / "DAMAGED").touch()

    disk = Disk(tmp_path, "2" if harm == "form" else "1")

    assert disk.entries("duett", 3).get("k") is None
    assert disk.entries("duett", 3).checkpoint == NOTHING
    assert (tmp_path / "beside").read_text() == "not ours"
    disk.close()


def test_rows_that_became_unreadable_end_the_worker_and_the_next_one_makes_them_anew(tmp_path: Path) -> None:
    disk = Disk(tmp_path, "1")
    rows = {f"k{number}": entry_of(0, b"\0" + bytes(300)) for number in range(50_000)}
    disk.entries("duett", 3).put(rows, at(7))
    disk.close()
    disk = Disk(tmp_path, "1")  # what stood in the log stands in tables now
    disk.close()
    for table in (tmp_path / FOLDER).glob("*.sst"):
        whole = table.read_bytes()
        table.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :])

    disk = Disk(tmp_path, "1")
    with pytest.raises(StateDamaged):
        [disk.entries("duett", 3).get(key) for key in rows]
    disk.close()

    disk = Disk(tmp_path, "1")
    assert disk.entries("duett", 3).checkpoint == NOTHING
    disk.close()


def test_entries_of_other_facets_are_of_another_form() -> None:
    desk, _ = furnished()
    fewer = dict(list(desk.changelogs.items())[1:])

    assert form(desk.changelogs) == form(dict(reversed(desk.changelogs.items())))
    assert form(fewer) != form(desk.changelogs)
