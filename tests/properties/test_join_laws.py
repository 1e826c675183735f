"""The laws of the merge, over arbitrary well-formed states."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from connector.core.join import Rank, apply, dump, exists, join, load, version_of, well_formed
from connector.model import NEVER, NOTHING, Facet, State

VERSIONS = st.integers(0, 4)
VALUES = st.integers(0, 2) | st.text("abø\x7f", max_size=1) | st.booleans() | st.just(Decimal("1.2000"))
FACETS = st.builds(
    Facet,
    VERSIONS,
    st.sampled_from([int(rank) for rank in Rank]),
    st.dictionaries(st.sampled_from("xy"), VALUES),
)
STATES = st.builds(
    State,
    st.just(NEVER) | VERSIONS,
    st.dictionaries(st.sampled_from(["body", "status", "merge", "moved", "ids"]), FACETS, max_size=4),
    st.dictionaries(st.tuples(st.just("merged_from"), st.sampled_from("12")), VERSIONS),
).map(well_formed)


@given(STATES, STATES)
def test_join_is_commutative(a: State, b: State) -> None:
    assert join(a, b) == join(b, a)


@given(STATES, STATES, STATES)
def test_join_is_associative(a: State, b: State, c: State) -> None:
    assert join(a, join(b, c)) == join(join(a, b), c)


@given(STATES)
def test_join_is_idempotent_and_nothing_is_its_unit(a: State) -> None:
    assert join(a, a) == a
    assert join(NOTHING, a) == a
    assert join(a, NOTHING) == a


@given(STATES, STATES)
def test_the_version_of_a_key_never_falls(a: State, b: State) -> None:
    assert version_of(join(a, b)) >= version_of(a)


@given(STATES)
def test_a_dumped_state_loads_as_itself(a: State) -> None:
    assert load(dump(a)) == a


@given(st.lists(STATES, max_size=6), st.randoms(use_true_random=False))
def test_any_redelivery_in_any_order_ends_in_the_same_state(events: list[State], chance: Random) -> None:
    again = events + chance.sample(events, k=len(events) // 2)
    chance.shuffle(again)

    assert _outcome(again) == _outcome(events)


@given(st.lists(STATES, min_size=1, max_size=6))
def test_a_redelivery_is_never_applied(events: list[State]) -> None:
    state = _outcome(events)

    assert {apply(state, event)[1] for event in events} <= {"duplicate", "stale"}


@given(STATES)
@example(State(5, {}, {}))
def test_a_deleted_key_comes_back_only_by_a_newer_state_facet(a: State) -> None:
    deleted = join(a, State(deleted=4))
    revived = join(deleted, State(facets={"body": Facet(5, Rank.UPDATE, {"x": 1})}))

    assert not exists(deleted, "body")
    assert not exists(join(deleted, State(facets={"status": Facet(9, Rank.STATUS)})), "body")
    assert exists(revived, "body") == ("moved" not in revived.facets and revived.deleted < 5)


def _outcome(events: list[State]) -> State:
    state = NOTHING
    for event in events:
        state, _ = apply(state, event)
    return state
