"""What a cycle sees, what a commit keeps, what an abort forgets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from furniture import callback, furnished, raws

from connector import flow
from connector.model import EntityKey, Known, Outcome, RawRecord
from connector.runtime.batch import Cycle, Fence
from connector.runtime.state import PartitionState, State, guard_entry
from connector.sources import SOURCES

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


def partition() -> PartitionState:
    desk, codecs = furnished()
    return PartitionState("duett", desk.changelogs, codecs)


def work(state: PartitionState, at: Cycle, *records: RawRecord) -> list[str]:
    outcomes = list(flow.carry(records, SOURCES["duett"], state.view(at), furnished()[0]))
    return [one.verdict for one in outcomes if isinstance(one, Outcome)]


def test_a_cycle_sees_what_the_one_before_it_changed_though_it_is_not_committed() -> None:
    state = partition()

    assert work(state, cycle(0), row(1)) == ["applied"]
    assert work(state, cycle(1), row(1)) == ["duplicate"]
    assert state.entries == {}


def test_a_record_sees_what_an_earlier_one_of_its_own_cycle_changed() -> None:
    assert work(partition(), cycle(0), row(1), row(1)) == ["applied", "duplicate"]


def test_a_commit_keeps_its_own_cycle_and_leaves_later_ones_open() -> None:
    state, first, second = partition(), cycle(0), cycle(1)
    work(state, first, row(1, lineNumber=1))
    work(state, second, row(2, lineNumber=2))

    state.commit(first)
    state.drop(1)

    known = state.decoded(KEY)
    assert known is not None
    assert known.state.facets["body"].fields["line_number"] == 1


def test_an_abort_forgets_everything_uncommitted() -> None:
    state = partition()
    work(state, cycle(0), row(1))

    state.drop(1)

    assert work(state, cycle(0, epoch=1), row(1)) == ["applied"]


def test_a_cycle_that_was_dropped_writes_where_nobody_looks() -> None:
    state, dropped = partition(), cycle(0)
    view = state.view(dropped)
    state.drop(1)

    list(flow.carry([row(1)], SOURCES["duett"], view, furnished()[0]))

    state.commit(dropped)
    assert state.decoded(KEY) is None


def test_a_cycle_that_begins_after_it_was_dropped_is_known_to_nobody() -> None:
    state = partition()
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
def test_what_is_committed_decodes_as_what_was_put(verb: str) -> None:
    state, at = partition(), cycle(0)
    view = state.view(at)
    list(flow.carry([row(1), row(2, verb)], SOURCES["duett"], view, furnished()[0]))
    put = view.get(KEY)

    state.commit(at)

    assert state.decoded(KEY) == put
    assert isinstance(put, Known)


def test_a_tombstone_of_another_program_is_refused() -> None:
    with pytest.raises(ValueError, match="x-erp-version"):
        guard_entry(0, [])


def test_a_released_partition_is_a_cache_until_it_is_too_old() -> None:
    desk, codecs = furnished()
    state = State(desk.changelogs, codecs, cache_age_s=100)
    held = state.take("duett", 3, now_s=0)
    held.entries["k"] = b""

    state.release("duett", 3, now_s=10)
    assert state.take("duett", 3, now_s=50) is held
    state.release("duett", 3, now_s=60)
    assert state.take("duett", 3, now_s=161) is not held
