"""Vendor clocks -> ticks: 100-nanosecond steps since 1970-01-01 UTC, always whole numbers.

`datetime` cuts the seventh digit of a fraction and a float shifts .NET ticks by up to 32, so
everything is read digit by digit. Instants outside the years 1 to 9999 are refused everywhere.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, tzinfo
from functools import lru_cache
from typing import Final

from connector.core.tolerances import TIME_CUT, TIME_FORM, ZONE_ASSUMED, ZONE_CHANGE, ZONE_GIVEN

PER_SECOND: Final = 10_000_000
PER_DAY: Final = 86_400 * PER_SECOND
_PER_MS: Final = 10_000

_EPOCH_DAY: Final = 719_163
"""`date(1970, 1, 1).toordinal()`."""
_DOTNET_EPOCH: Final = 621_355_968_000_000_000
"""1970-01-01 in .NET ticks, which count from 0001-01-01."""
_FIRST: Final = -_DOTNET_EPOCH
_LAST: Final = 3_155_378_975_999_999_999 - _DOTNET_EPOCH
"""9999-12-31T23:59:59.9999999Z, the end of .NET's and Python's calendar."""

MIN_PLAUSIBLE: Final = 946_684_800 * PER_SECOND
"""2000-01-01: an older event time is a vendor's default value, not a time."""

_DATE: Final = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
_TIME: Final = r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:[.,]([0-9]{1,30}))?"
_ZONE: Final = r"([Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
_instant: Final = re.compile(rf"{_DATE}[Tt ]{_TIME}{_ZONE}?").fullmatch
_business: Final = re.compile(rf"{_DATE}(?:[Tt ]{_TIME}{_ZONE}?)?").fullmatch
_whole: Final = re.compile(r"[+-]?[0-9]{1,19}").fullmatch


def from_iso(text: str) -> int:
    """Read an ISO 8601 instant with an offset.

    Args:
        text: Date, `T`, time and `Z` or `+hh:mm`; blanks around it are allowed. Digits below
            100 ns are cut off, not rounded: order is kept.

    Returns:
        Ticks since 1970-01-01 UTC; negative before it.

    Raises:
        ValueError: No such instant, or no offset: a time without a zone is never guessed here.

    Example:
        >>> from_iso("2024-08-23T11:00:32.2216966Z")
        17244108322216966

    Source: Duett webhooks, "eventTime" (D-34); seven digits in every example there.
    """
    ticks, zone_assumed = from_naive(text)
    if zone_assumed:
        raise ValueError("an instant without an offset")
    return ticks


def from_naive(text: str) -> tuple[int, bool]:
    """Read an ISO 8601 instant whose offset may be missing and is then taken as UTC.

    Returns:
        Ticks since 1970-01-01 UTC, and whether the zone was assumed.

    Raises:
        ValueError: No such instant.

    Example:
        >>> from_naive("2015-03-26T22:03:18")
        (14274073980000000, True)

    Source: QuickFile events, "TimeStamp" (Q-01, A-41).
    """
    ticks, used = tolerant(text)
    return ticks, ZONE_ASSUMED in used


_PRINTED: Final[tuple[str, ...]] = ()
_NAIVE: Final = (ZONE_ASSUMED,)
_GIVEN: Final = (ZONE_GIVEN,)
_CHANGE: Final = (ZONE_GIVEN, ZONE_CHANGE)


def tolerant(text: str, local: tzinfo | None = None) -> tuple[int, tuple[str, ...]]:
    """Read an ISO 8601 instant and name every tolerance that took.

    Args:
        text: Date, `T`, time, and `Z`, an offset or nothing.
        local: Zone of a time without one; None: UTC is assumed.

    Returns:
        Ticks since 1970-01-01 UTC; `zone_assumed`, `time_form`, `time_cut` and those of `in_zone` where
        they were used.

    Raises:
        ValueError: No such instant.

    Example:
        >>> tolerant("2015-03-26 22:03:18.00000019")
        (14274073980000001, ('zone_assumed', 'time_form', 'time_cut'))
    """
    stripped = text.strip()
    found = _instant(stripped)
    if found is None:
        raise ValueError("not an ISO 8601 instant")
    day, hour, minute, second, fraction, zone = found.groups()
    used = _NAIVE if zone is None else _PRINTED
    printed = zone is None or zone == "Z" or zone[3:4] == ":"
    if not printed or stripped[10] != "T" or "," in stripped or len(stripped) != len(text):
        used = (*used, TIME_FORM)
    ticks = _days(day) * PER_DAY + (int(hour) * 3600 + int(minute) * 60 + int(second)) * PER_SECOND
    if fraction is not None:
        ticks += int(fraction[:7].ljust(7, "0"))
        if len(fraction) > 7:  # noqa: PLR2004  100 ns
            used = (*used, TIME_CUT)
    if zone is None:
        if local is None:
            return ticks, used
        ticks, told = in_zone(ticks, local)
        return ticks, (*told, *used[1:])
    if zone not in "Zz":
        ticks -= int(zone[0] + "1") * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60) * PER_SECOND
    return _in_calendar(ticks), used


def sent_time(value: object, local: tzinfo | None = None) -> tuple[int | None, tuple[str, ...]]:
    """Read as `tolerant` does whatever stands where a time should; (None, ()) where it is no instant."""
    try:
        return tolerant(value, local) if isinstance(value, str) else (None, ())
    except ValueError:
        return None, ()


def in_zone(wall: int, zone: tzinfo) -> tuple[int, tuple[str, ...]]:
    """Read what a clock on a wall of this zone shows.

    As clocks change, a time that they show twice is taken as the first of the two, and one that they leave
    out is counted on from before the change: 02:30 becomes 03:30. So the result depends on the time alone.

    Args:
        wall: Ticks as if the zone were UTC.
        zone: Read before; nothing is looked up here.

    Returns:
        Ticks since 1970-01-01 UTC; `zone_given`, and `zone_change` for such a time.

    Raises:
        ValueError: Outside the years 1 to 9999.
    """
    days, rest = divmod(_in_calendar(wall), PER_DAY)
    minutes, seconds = divmod(rest // PER_SECOND, 60)
    clock = time(minutes // 60, minutes % 60, seconds, tzinfo=zone)
    shown = datetime.combine(date.fromordinal(days + _EPOCH_DAY), clock)
    offset, other = shown.utcoffset(), shown.replace(fold=1).utcoffset()
    if offset is None:
        raise ValueError("a zone without offsets")
    used = _GIVEN if offset == other else _CHANGE
    return _in_calendar(wall - (offset.days * 86_400 + offset.seconds) * PER_SECOND), used


def from_dotnet(value: int | str) -> int:
    """Read .NET ticks: 100 ns since 0001-01-01, as a number or as text with blanks around it.

    Raises:
        ValueError: Not a whole number (a float has already lost digits), or outside the calendar.

    Example:
        >>> from_dotnet(" 638974335577900000 ")
        17618367577900000

    Source: Visma "timeStamp" (V-10, A-08).
    """
    return _in_calendar(_integer(value) - _DOTNET_EPOCH)


def from_epoch_ms(value: int | str) -> int:
    """Read milliseconds since 1970-01-01 UTC, as a number or as text with blanks around it.

    Raises:
        ValueError: Not a whole number, or outside the calendar.

    Source: `x-vwd-notification-timestamp`.
    """
    return _in_calendar(_integer(value) * _PER_MS)


def business_date(text: str) -> tuple[int, bool]:
    """Read the date as written, whatever time and offset follow it.

    Returns:
        Days since 1970-01-01, and whether nothing is lost by that: no time part, or exactly
        midnight without an offset.

    Raises:
        ValueError: No such date.

    Example:
        >>> business_date("2024-02-28T00:00:00.000"), business_date("2021-10-27T15:00:00")
        ((19781, True), (18927, False))

    Source: Duett models, local dates without zone (D-61, A-32).
    """
    found = _business(text.strip())
    if found is None:
        raise ValueError("not an ISO 8601 date")
    day, *time, fraction, zone = found.groups()
    midnight = zone is None and all(part in (None, "00") for part in time) and not (fraction or "").strip("0")
    return _days(day), midnight


def to_rfc3339(ticks: int) -> str:
    """Write an instant in UTC with all seven digits, so that texts sort as times do.

    Raises:
        ValueError: Outside the years 1 to 9999.

    Example:
        >>> to_rfc3339(17244108322216966)
        '2024-08-23T11:00:32.2216966Z'
    """
    days, rest = divmod(_in_calendar(ticks), PER_DAY)
    seconds, fraction = divmod(rest, PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{_day(days)}T{_TWO[hours]}:{_TWO[minutes]}:{_TWO[seconds]}.{fraction:07}Z"


# Calendar arithmetic was half of what a time costs, and vendors speak of few days.
@lru_cache(maxsize=4096)
def _days(day: str) -> int:
    return date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal() - _EPOCH_DAY


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


_TWO: Final = tuple(f"{one:02}" for one in range(60))


def _integer(value: int | str) -> int:
    if isinstance(value, str):
        if _whole(text := value.strip()) is None:
            raise ValueError("not a whole number")
        return int(text)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a whole number")  # noqa: TRY004  one refusal for whatever a vendor sends
    return value


def _in_calendar(ticks: int) -> int:
    if not _FIRST <= ticks <= _LAST:
        raise ValueError("outside the years 1 to 9999")
    return ticks
