"""Business numbers that move between GUIDs, in any order, learnt late, renamed back, swapped."""

from __future__ import annotations

from random import Random
from typing import Any

from furniture import Bench, callback, furnished, raws
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.model import Outcome

GUID_A, GUID_B = (f"dddddddd-0000-4000-8000-00000000000{digit}" for digit in "ab")
TICKS_0 = 638_974_335_577_900_000
TICKS_OF_1970 = 621_355_968_000_000_000
KEY = "visma-net/acme/account/{}"


def named(number: int, guid: str, hour: int, event: str = "Account_Updated") -> dict[str, Any]:
    """One envelope that names an account by number and GUID."""
    return {
        "event": event,
        "companyId": "7",
        "entityId": guid.upper(),
        "notificationId": f"{event}{hour}",
        "entityLocation": f"api/v1/account/{number}",
        "timeStamp": str(TICKS_0 + hour),
    }


def changed(number: int, hour: int) -> dict[str, Any]:
    """One envelope of the other family: it has no GUID."""
    return {
        "NotificationId": "n",
        "contextId": "7",
        "event": "account_changed",
        "relativeResourceUri": f"v1/account/{number}",
        "timeStamp": TICKS_0 + hour,
    }


def version(hour: int) -> int:
    return TICKS_0 + hour - TICKS_OF_1970


def worked(*sent: dict[str, Any], chance: Random | None = None) -> Bench:
    return Bench().work([raw for one in sent for raw in raws(callback("visma-net", one))], chance)


EVENTS = st.builds(
    named,
    st.integers(1, 3),
    st.sampled_from([GUID_A, GUID_B]),
    st.integers(0, 6),
    st.sampled_from(["Account_Updated", "Account_Created", "Account_Deleted", "Account_Identity_Changed"]),
) | st.builds(changed, st.integers(1, 3), st.integers(0, 6))


@settings(max_examples=500, deadline=None)
@given(st.lists(EVENTS, max_size=9), st.randoms(use_true_random=False))
def test_any_order_of_renames_ends_the_same(sent: list[dict[str, Any]], chance: Random) -> None:
    shuffled = sent + chance.sample(sent, k=len(sent) // 3)
    chance.shuffle(shuffled)

    assert worked(*shuffled, chance=chance).changelog() == worked(*sent).changelog()


def test_a_renamed_account_is_deleted_under_its_old_number_and_both_sides_name_each_other() -> None:
    bench = worked(named(3010, GUID_A, 0), named(3011, GUID_A, 1, "Account_Identity_Changed"))

    view = bench.changelog()
    assert view[KEY.format(3010)] == {
        "tombstone": str(version(0)).encode(),
        "successor": KEY.format(3011).encode(),
    }
    assert bench.row(KEY.format(3011))["previous_key"] == KEY.format(3010)
    assert bench.row(KEY.format(3011))["vendor_guid"] == GUID_A
    assert _successors(bench) == [KEY.format(3011)]


def test_a_rename_that_is_learnt_late_ends_as_if_it_had_been_known() -> None:
    late = worked(named(3011, GUID_A, 1, "Account_Identity_Changed"), named(3010, GUID_A, 0))

    assert late.changelog() == worked(named(3010, GUID_A, 0), named(3011, GUID_A, 1)).changelog()


def test_an_account_renamed_twice_leaves_one_living_number() -> None:
    bench = worked(*(named(3010 + step, GUID_A, step) for step in range(3)))

    living = [key for key, row in bench.changelog().items() if "tombstone" not in row]
    assert living == [KEY.format(3012)]
    assert bench.row(KEY.format(3012))["previous_key"] == KEY.format(3011)


def test_an_account_renamed_back_lives_again_under_its_first_number() -> None:
    bench = worked(named(3010, GUID_A, 0), named(3011, GUID_A, 1), named(3010, GUID_A, 2))

    assert "tombstone" in bench.changelog()[KEY.format(3011)]
    assert bench.row(KEY.format(3010))["previous_key"] == KEY.format(3011)


def test_swapped_numbers_leave_both_accounts_alive() -> None:
    bench = worked(
        named(3010, GUID_A, 0), named(3011, GUID_B, 1), named(3010, GUID_B, 2), named(3011, GUID_A, 3)
    )

    assert bench.row(KEY.format(3010))["vendor_guid"] == GUID_B
    assert bench.row(KEY.format(3011))["vendor_guid"] == GUID_A
    assert bench.row(KEY.format(3010))["previous_key"] == KEY.format(3011)
    assert bench.row(KEY.format(3011))["previous_key"] == KEY.format(3010)


def test_a_change_without_a_guid_does_not_revive_a_number_that_moved() -> None:
    bench = worked(named(3010, GUID_A, 0), named(3011, GUID_A, 1), changed(3010, 5))

    assert "tombstone" in bench.changelog()[KEY.format(3010)]


def _successors(bench: Bench) -> list[str]:
    return [
        dict(record.headers)["x-erp-successor"].decode()
        for one in bench.outcomes
        for record in getattr(one, "records", ())
        if record.value is None
    ]


def test_the_successor_named_is_the_living_number_whatever_the_order() -> None:
    renames = [named(3013, GUID_A, 0), named(3012, GUID_A, 1), named(3011, GUID_A, 2)]

    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        view = worked(*(renames[at] for at in order)).changelog()
        assert view[KEY.format(3013)]["successor"] == KEY.format(3011).encode()


def test_every_record_of_a_renaming_tells_a_time_that_any_client_can_read() -> None:
    """An answer that names a predecessor alone has that one's time: the year 1970 minus 29,000 is none."""
    bench = worked(named(3010, GUID_A, 0), named(3011, GUID_A, 1, "Account_Identity_Changed"))

    told = [
        furnished()[1].decode(value, name)
        for one in bench.outcomes
        if isinstance(one, Outcome)
        for name, value in (("event", one.history), *((row.key.entity, row.value) for row in one.records))
        if value is not None
    ]
    assert sum("verdict" in one for one in told) == 4  # two events, and an answer to each key
    assert {one["meta_version"] for one in told} == {version(0), version(1)}
    for one in told:
        assert one.get("meta_occurred_at", version(0) // 10_000) == one["meta_version"] // 10_000
