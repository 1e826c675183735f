"""The zone that an operator gives for times that name none."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from furniture import NOON_US, Bench, callback, furnished, raws, read_event, told_of
from hypothesis import given
from hypothesis import strategies as st

from connector.core.times import from_dotnet, from_iso, in_zone, to_rfc3339, tolerant
from connector.model import Outcome
from connector.runtime import zones
from connector.sources import SOURCES


@pytest.mark.parametrize(
    ("zone", "shown", "instant", "changing"),
    [
        ("Europe/London", "2025-06-02T09:45:12", "2025-06-02T08:45:12Z", ""),
        ("Europe/London", "2025-12-02T09:45:12", "2025-12-02T09:45:12Z", ""),
        ("Europe/Oslo", "2025-06-02T09:45:12.1234567", "2025-06-02T07:45:12.1234567Z", ""),
        ("Europe/Oslo", "2025-03-30T01:59:59.9999999", "2025-03-30T00:59:59.9999999Z", ""),
        ("Europe/Oslo", "2025-03-30T02:00:00", "2025-03-30T01:00:00Z", "zone_change"),
        ("Europe/Oslo", "2025-03-30T02:30:00", "2025-03-30T01:30:00Z", "zone_change"),
        ("Europe/Oslo", "2025-03-30T03:00:00", "2025-03-30T01:00:00Z", ""),
        ("Europe/Oslo", "2025-10-26T01:59:59", "2025-10-25T23:59:59Z", ""),
        ("Europe/Oslo", "2025-10-26T02:00:00", "2025-10-26T00:00:00Z", "zone_change"),
        ("Europe/Oslo", "2025-10-26T02:59:59.9999999", "2025-10-26T00:59:59.9999999Z", "zone_change"),
        ("Europe/Oslo", "2025-10-26T03:00:00", "2025-10-26T02:00:00Z", ""),
        ("America/New_York", "2025-06-02T22:00:00", "2025-06-03T02:00:00Z", ""),
        ("Asia/Kathmandu", "2025-01-01T00:00:00", "2024-12-31T18:15:00Z", ""),
        ("Australia/Lord_Howe", "2025-04-06T01:45:00", "2025-04-05T14:45:00Z", "zone_change"),
        ("UTC", "2025-06-02T09:45:12", "2025-06-02T09:45:12Z", ""),
    ],
)
def test_a_time_without_a_zone_is_read_in_the_one_that_is_given(
    zone: str, shown: str, instant: str, changing: str
) -> None:
    """A-41: the first of two equal times counts, and a time that is left out counts on from before."""
    told = ("zone_given", changing) if changing else ("zone_given",)

    assert tolerant(shown, zones.zone(zone)) == (from_iso(instant), told)
    assert tolerant(f"{shown}Z", zones.zone(zone)) == (from_iso(f"{shown}Z"), ())
    assert tolerant(f"{shown} ", zones.zone(zone)) == (from_iso(instant), (*told, "time_form"))


@pytest.mark.parametrize("shown", ["0001-01-01T00:00:00", "9999-12-31T23:30:00"])
def test_a_zone_leads_out_of_no_calendar(shown: str) -> None:
    zone = zones.zone("Asia/Tokyo" if shown[0] == "0" else "America/New_York")
    with pytest.raises(ValueError, match="outside the years"):
        tolerant(shown, zone)


_zones: Final = st.sampled_from(["Europe/Oslo", "America/St_Johns", "Africa/Casablanca", "Asia/Kolkata"])
_walls: Final = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001  a clock on a wall


@given(_zones, _walls, st.integers(0, 9))
def test_ticks_in_a_zone_agree_with_pythons_own_arithmetic(name: str, wall: datetime, spare: int) -> None:
    zone = zones.zone(name)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = (wall.replace(tzinfo=zone).astimezone(UTC) - epoch) // timedelta(microseconds=1)

    shown = (wall.replace(tzinfo=UTC) - epoch) // timedelta(microseconds=1) * 10 + spare
    assert in_zone(shown, zone)[0] == expected * 10 + spare


def test_zones_come_from_the_locked_package_and_from_no_host() -> None:
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=())
    try:
        zones.names.cache_clear()
        found = zones.zone("Europe/London")
    finally:
        zoneinfo.reset_tzpath(to=before)

    assert in_zone(from_iso("2025-06-02T09:00:00Z"), found)[0] == from_iso("2025-06-02T08:00:00Z")


def test_a_zone_given_is_no_zone_assumed_and_reaches_every_column_of_time() -> None:
    """A-41."""
    sources = told_of("quickfile", zone="Europe/London")
    viewed = {"TimeStamp": "2025-06-02T09:45:12", "Id": 1, "ClientId": 2, "ClientContactId": 3}

    bench = Bench(sources).work(
        raws(callback("quickfile", {"InvoicesViewed": [viewed], "Hookid": "h"}), sources=sources)
    )
    row = bench.row("quickfile/acme/customer_invoice/1")
    assert row["last_viewed_at"] * 10_000 == row["meta_version"] == from_iso("2025-06-02T08:45:12Z")
    (outcome,) = bench.outcomes
    assert isinstance(outcome, Outcome)
    assert furnished()[1].decode(outcome.history or b"", "event")["meta_zone_assumed"] is False


@pytest.mark.parametrize(
    ("source", "time"),
    [
        ("visma-net", {"timeStamp": 638845488000000000}),
        ("visma-net", {"timeStamp": "638845488000000000"}),
        ("visma-sales", {"timeStamp": 638845488000000000}),
        ("visma-journal", {"occurredAt": "2025-06-03T12:00:00"}),
        ("duett", {"eventTime": "2025-06-03T12:00:00"}),
    ],
)
def test_ticks_and_texts_of_a_connection_can_be_in_its_zone(source: str, time: dict[str, Any]) -> None:
    """A-07."""
    name = {"visma-net": "Account_Updated", "visma-sales": "SALESORDER_DELETED"}.get(
        source, "VOUCHER_RECEIVED"
    )
    body = {"event": name, "contextId": "1", "id": 7, "entityLocation": "api/v1/account/7", **time}
    if source == "duett":
        body = {"clientKey": "c", "subscription": "Customer", "event": "update", "data": '{"id":7}', **time}
    if source == "visma-sales":
        body["entityLocation"] = "api/v3/SalesOrders/SO/7"

    assert from_dotnet(638845488000000000) == from_iso("2025-06-03T12:00:00Z")
    assert read_event(SOURCES, source, body).version == from_iso("2025-06-03T12:00:00Z")
    read = read_event(told_of(source, zone="Europe/Oslo"), source, body)
    assert to_rfc3339(read.version)[:19] == "2025-06-03T10:00:00"
    assert "zone_given" in read.flags


@pytest.mark.parametrize("source", ["visma-net", "visma-sales"])
def test_what_counts_from_an_instant_has_no_zone_to_be_read_in(source: str) -> None:
    """A-07: the dispatcher's header, and epoch milliseconds in a body."""
    name, place = (
        ("Account_Updated", "api/v1/account/7")
        if source == "visma-net"
        else ("SALESORDER_DELETED", "SalesOrders/SO/7")
    )
    body = {"event": name, "contextId": "1", "entityLocation": place}
    header = {"x_vwd_notification_timestamp": "1748944800000"}

    sources = told_of(source, zone="Europe/Oslo")
    read = read_event(sources, source, body, **header)
    assert (read.version, "zone_given" in read.flags) == (from_iso("2025-06-03T10:00:00Z"), False)
    if source == "visma-sales":
        read = read_event(sources, source, {**body, "timeStamp": 1748944800000})
        assert (read.version, "zone_given" in read.flags) == (from_iso("2025-06-03T10:00:00Z"), False)


def test_the_time_of_receipt_stays_what_it_was() -> None:
    """A zone moves the vendor's time alone."""
    sources = told_of("quickfile", zone="America/New_York")
    item = {"TimeStamp": "2025-11-24T11:30:00", "Id": 1}

    read = read_event(sources, "quickfile", {"ClientsUpdated": [item], "Hookid": "h"})
    assert (read.meta.received_us, read.clock_suspect) == (NOON_US, True)
    assert read.version == NOON_US * 10
