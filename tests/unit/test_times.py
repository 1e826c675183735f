from __future__ import annotations

import pytest

from connector.core.times import (
    MIN_PLAUSIBLE,
    business_date,
    from_dotnet,
    from_epoch_ms,
    from_iso,
    from_naive,
    to_rfc3339,
)


def test_seven_digits_of_a_fraction_are_kept() -> None:
    """D-34: `datetime` cuts the seventh."""
    assert from_iso("2024-08-23T11:00:32.2216966Z") == 17_244_108_322_216_966


def test_digits_below_100_ns_are_cut_off_and_not_rounded() -> None:
    assert from_iso("1970-01-01T00:00:00.99999999999Z") == 9_999_999


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-02T11:28:11.5+02:00",
        "2025-06-02T11:28:11.5+0200",
        " 2025-06-02T04:28:11,50-05:00\n",
        "2025-06-02 09:28:11.5z",
        "2025-06-02t09:28:11.5000000Z",
    ],
)
def test_offsets_and_spellings_of_one_instant_are_one_instant(text: str) -> None:
    assert to_rfc3339(from_iso(text)) == "2025-06-02T09:28:11.5000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-06-02",
        "2025-13-02T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2025-06-02T24:00:00Z",
        "2025-06-02T09:60:00Z",
        "2025-06-02T09:00:60Z",
        "2025-06-02T09:00:00.Z",
        "2025-06-02T09:00:00.1Z2",
        "2025-06-02T09:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "२०२५-०६-०२T09:00:00Z",  # noqa: RUF001  digits of another script
        "2025-06-02T09:00:00." + "1" * 100_000 + "Z",
    ],
)
def test_what_is_no_instant_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an ISO 8601|month|day|year|outside"):
        from_iso(text)


def test_a_time_without_an_offset_is_never_guessed_by_from_iso() -> None:
    with pytest.raises(ValueError, match="without an offset"):
        from_iso("2025-06-02T09:28:11")


def test_a_time_without_an_offset_is_utc_and_says_so() -> None:
    """Q-01, A-41."""
    assert from_naive("2015-03-26T22:03:18") == (14_274_073_980_000_000, True)
    assert from_naive("2015-03-26T22:03:18Z") == (14_274_073_980_000_000, False)


@pytest.mark.parametrize("value", [638974335577900000, "638974335577900000", " 638974335577900000 "])
def test_dotnet_ticks_lose_no_digit_as_number_or_text(value: int | str) -> None:
    """A-08, VE-04: both samples of Visma show this instant."""
    assert to_rfc3339(from_dotnet(value)) == "2025-10-30T15:05:57.7900000Z"


def test_the_legacy_sample_is_read_to_the_tick() -> None:
    """V-10."""
    assert to_rfc3339(from_dotnet(636875998723700000)) == "2019-03-07T23:57:52.3700000Z"


@pytest.mark.parametrize(
    "value",
    [6.3897e17, True, None, "6.3e17", "1_000", "", "0x10", "９", -1, 3_155_378_976_000_000_000, "9" * 20],  # noqa: RUF001
)
def test_ticks_that_were_a_float_or_leave_the_calendar_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"whole number|outside"):
        from_dotnet(value)  # type: ignore[arg-type]  # a wrong type on purpose


def test_the_ends_of_the_dotnet_calendar_are_inside() -> None:
    assert to_rfc3339(from_dotnet(0)) == "0001-01-01T00:00:00.0000000Z"
    assert to_rfc3339(from_dotnet(3_155_378_975_999_999_999)) == "9999-12-31T23:59:59.9999999Z"


def test_epoch_milliseconds_are_read_as_number_or_text() -> None:
    assert from_epoch_ms(1_761_836_757_790) == from_epoch_ms("1761836757790") == 17_618_367_577_900_000
    with pytest.raises(ValueError, match="outside"):
        from_epoch_ms(10**18)


@pytest.mark.parametrize(
    ("text", "midnight"),
    [
        ("2024-02-28T00:00:00", True),
        ("2024-02-28T00:00:00.000", True),
        ("2024-02-28", True),
        ("2024-02-28T15:00:00", False),
        ("2024-02-28T00:00:00.001", False),
        ("2024-02-28T00:00:00Z", False),
        ("2024-02-28T23:30:00-05:00", False),
    ],
)
def test_a_business_date_is_the_date_as_written_and_midnight_says_if_nothing_is_lost(
    text: str,
    midnight: bool,  # noqa: FBT001  a parameter of the case
) -> None:
    """D-61, A-32."""
    assert business_date(text) == (19_781, midnight)


@pytest.mark.parametrize("text", ["2024-02-30", "2024-2-28", "2024-02-28T", "2024-02-28T15", "today", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an ISO 8601 date|day is out of range"):
        business_date(text)


def test_written_instants_sort_as_they_happened() -> None:
    ticks = [-1, 0, 1, 9_999_999, 10_000_000, MIN_PLAUSIBLE, 17_244_108_322_216_966]

    assert sorted(map(to_rfc3339, ticks)) == [to_rfc3339(one) for one in ticks]
    assert [from_iso(to_rfc3339(one)) for one in ticks] == ticks
    assert to_rfc3339(MIN_PLAUSIBLE) == "2000-01-01T00:00:00.0000000Z"
    with pytest.raises(ValueError, match="outside"):
        to_rfc3339(2**63 - 1)
