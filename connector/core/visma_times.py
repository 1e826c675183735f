"""When a Visma event happened: ticks, milliseconds or text in its body, else the dispatcher's header."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from connector.core.times import from_dotnet, from_epoch_ms, in_zone, tolerant
from connector.core.tolerances import FIELD_ALIAS, TIME_FORM, ZONE_ASSUMED
from connector.core.visma import TIMES, Envelope

_TICKS_FROM: Final = 10**17
"""Whole numbers from here on are .NET ticks (year 317), smaller ones epoch milliseconds."""


def ticks(one: Envelope, zone: tzinfo | None = None) -> int | None:
    """Read `timeStamp` as .NET ticks, else the dispatcher's header; None where neither can be read.

    Args:
        one: A notification.
        zone: Of the ticks, which name none; None: UTC (A-07). The header counts from an instant.
    """
    value = one.folded.get("timestamp")
    if value is None:
        return dispatched(one)
    if isinstance(value, str) and not value.isdigit():
        one.used.append(TIME_FORM)
    try:
        found = from_dotnet(value)
        return found if zone is None else _local(one, found, zone)
    except ValueError:
        return None


def _local(one: Envelope, wall: int, zone: tzinfo) -> int:
    found, used = in_zone(wall, zone)
    one.used.extend(used)
    return found


def instant(one: Envelope, zone: tzinfo | None = None) -> tuple[int | None, bool]:
    """Read the time of a body whose form is not public: .NET ticks, epoch milliseconds or ISO text.

    Args:
        one: A notification.
        zone: Of ticks, and of text without an offset; None: UTC.

    Returns:
        Ticks since 1970-01-01 UTC, or None; and whether a missing zone was taken as UTC.
    """
    for name in TIMES:
        value = one.folded.get(name)
        if value is None:
            continue
        if name != TIMES[0]:
            one.used.append(FIELD_ALIAS)
        try:
            if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
                found, used = tolerant(value, zone)
                one.used.extend(flag for flag in used if flag != ZONE_ASSUMED)
                return found, ZONE_ASSUMED in used
            if isinstance(value, str) and not value.isdigit():
                one.used.append(TIME_FORM)
            number = int(value) if isinstance(value, str) else value
            if number < _TICKS_FROM:
                return from_epoch_ms(number), False
            found = from_dotnet(number)
            return (found if zone is None else _local(one, found, zone)), False
        except (ValueError, TypeError):
            return None, False
    return dispatched(one), False


def dispatched(one: Envelope) -> int | None:
    """Read the dispatcher's own time, epoch milliseconds."""
    for name in ("notification-timestamp", "webhook-timestamp"):
        if (value := one.header(name)) is not None:
            try:
                return from_epoch_ms(value)
            except ValueError:
                return None
    return None
