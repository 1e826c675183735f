"""Every tolerance of the readers is told: as a flag of the event, from a closed list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from furniture import Bench, callback, furnished, raws, told_of

from connector.cli.samples import SAMPLES
from connector.core.history import UNGUARDED
from connector.core.tolerances import CLOCK_SUSPECT, NAMES, TOLERANCES, ZONE_ASSUMED
from connector.model import ChangeEvent, Outcome
from connector.sources import SOURCES

GOLDEN: Final = Path(__file__).parents[1] / "golden"


def duett(**changed: Any) -> dict[str, Any]:
    told = {
        "clientKey": "c",
        "subscription": "Voucher",
        "event": "update",
        "eventTime": "2025-11-20T11:00:32.2216966Z",
        "data": '{"id":1,"name":"Fish"}',
    }
    return {**told, **changed}


def net(**changed: Any) -> dict[str, Any]:
    told = {
        "notificationId": "e1691",
        "companyId": "1262489",
        "event": "Customer_Updated",
        "entityLocation": "api/v1/customer/55555",
        "timeStamp": "638992335577900000",
    }
    return {name: value for name, value in {**told, **changed}.items() if value is not ...}


def quickfile(event: str = "ClientsUpdated", *, hook: str = "h1", **item: Any) -> dict[str, Any]:
    item = {"TimeStamp": "2025-11-20T09:45:12Z", "Id": 1, **item}
    return {"PayLoad": {event: [item], "Hookid": hook}}


def order(event: str = "SALESORDER_DELETED", **changed: Any) -> dict[str, Any]:
    told = {"event": event, "contextId": "1", "notificationId": "n", "timeStamp": 638992335577900000}
    told |= {"voucherId" if "VOUCHER" in event else "orderId": 7}
    return {name: value for name, value in {**told, **changed}.items() if value is not ...}


PLAIN: Final = {"duett": duett(), "visma-net": net(), "quickfile": quickfile()}
"""As printed, but for QuickFile's time, which has a zone here."""


class Bent(NamedTuple):
    """One body that needs exactly these tolerances."""

    source: str
    body: Any
    flags: frozenset[str]
    headers: dict[str, str] = {}  # noqa: RUF012  never changed
    reading: dict[str, Any] = {}  # noqa: RUF012  never changed


def bent(source: str, body: Any, *flags: str, **headers: str) -> Bent:
    return Bent(source, body, frozenset(flags), headers)


def given(source: str, body: Any, reading: dict[str, Any], *flags: str) -> Bent:
    return Bent(source, body, frozenset(flags), {}, reading)


def text(body: Any) -> bytes:
    return json.dumps(body).encode()


BENT: Final = (
    bent("duett", b"\xef\xbb\xbf" + text(duett()), "bom"),
    bent("duett", text(duett())[:-1] + b",\n}", "repaired"),
    bent("duett", [duett()], "list"),
    bent("visma-net", [net()], "list"),
    bent(
        "quickfile",
        {"PayLoad": {"ClientsUpdated": {"TimeStamp": "2025-11-20T09:45:12Z", "Id": 1}, "HookId": "h"}},
        "single",
    ),
    bent("quickfile", quickfile()["PayLoad"], "unwrapped"),
    bent("duett", duett(Tag="x"), "name_case"),
    bent("duett", duett(data='{"Id":1}'), "name_case"),
    bent("duett", duett(data='{"id":1,"voucherType":{"Name":"x"}}'), "name_case"),
    bent("visma-net", net(notificationId=..., NotificationID="a"), "name_case"),
    bent("quickfile", quickfile(CLIENTID=7), "name_case"),
    bent("quickfile", {"PAYLOAD": quickfile()["PayLoad"]}, "name_case"),
    bent("duett", duett(subscription=None, subscriptionObject="Voucher"), "field_alias"),
    bent("visma-net", net(ischeduler=False), "field_alias"),
    bent("visma-net", net(event=..., eventName="Customer_Updated"), "field_alias"),
    bent("quickfile", quickfile("ClientMerged", MergedId=1, TargetId=2, Deleted=False), "field_alias"),
    bent("visma-sales", order("SALESORDER_CREATED"), "field_assumed"),
    bent("visma-journal", order("VOUCHER_RECEIVED"), "field_assumed"),
    bent("duett", duett(data='{"id":1,"name":"a","Name":"b"}'), "field_twice", "name_case"),
    bent("duett", duett(data={"id": 1}), "data_object"),
    bent("duett", duett(data='{"id":"1"}'), "id_text"),
    bent("quickfile", quickfile(Id="1"), "id_text"),
    bent("visma-net", net(entityLocation=..., resourceId="55555"), "id_fallback"),
    bent("visma-net", net(relativeResourceUri="v1/customer"), "id_fallback"),
    bent("visma-net", net(companyId=..., TenantId="t"), "id_fallback"),
    bent(
        "quickfile",
        {
            "PayLoad": {
                "ClientsUpdated": quickfile()["PayLoad"]["ClientsUpdated"],
                "Authentication": {"HookId": "h"},
            }
        },
        "id_fallback",
    ),
    bent("quickfile", quickfile("InvoicesPaid", Id=0, InvoiceId=3, PaymentId=4), "id_fallback"),
    bent("visma-net", net(entityLocation="customer/55555"), "location_form"),
    bent("visma-net", net(entityLocation="api/v1//customer/55555"), "location_form"),
    bent("visma-net", net(entityLocation="api/v1/customer/55555?expand=1"), "location_form"),
    bent("visma-net", net(notificationId=...), "event_id_made"),
    bent(
        "quickfile",
        {"PayLoad": {"ClientsUpdated": quickfile()["PayLoad"]["ClientsUpdated"]}},
        "event_id_made",
    ),
    bent("visma-net", net(notificationId="E1691"), "guid_case"),
    bent("visma-net", net(entityId="E1691"), "guid_case"),
    bent("visma-net", net(ConnectId="A1"), "guid_case"),
    bent("quickfile", quickfile(hook="ABC"), "guid_case"),
    bent("visma-net", net(companyId=...), "from_header", x_vwd_tenant_id="t"),
    bent("visma-net", net(timeStamp=...), "from_header", x_vwd_notification_timestamp="1763636712000"),
    bent("quickfile", quickfile("ClientUpdated"), "event_alias"),
    bent("visma-net", net(event="Customer_Deleted"), "event_by_rule"),
    bent("duett", duett(eventTime=" 2025-11-20T11:00:32Z"), "time_form"),
    bent("duett", duett(eventTime="2025-11-20 11:00:32,5+0100"), "time_form"),
    bent("visma-net", net(timeStamp=" 638992335577900000 "), "time_form"),
    bent("visma-sales", order(timeStamp="2025-11-20t11:00:32Z"), "field_assumed", "time_form"),
    bent("visma-sales", order(timeStamp=" 638992335577900000"), "field_assumed", "time_form"),
    bent(
        "visma-sales", order(timeStamp=..., eventTime="2025-11-20T11:00:32Z"), "field_assumed", "field_alias"
    ),
    bent("duett", duett(eventTime="2025-11-20T11:00:32.123456789Z"), "time_cut"),
    bent("quickfile", quickfile("ClientMerged", SourceId=1, TargetId=2, Deleted="true"), "boolean_text"),
    bent("duett", duett(data='{"id":1,"amountNetto":"much"}'), "not_converted"),
    bent(
        "quickfile",
        quickfile("InvoicesPayment", InvoiceId=3, PaymentId=4, AmountPaid="much"),
        "not_converted",
    ),
    bent("quickfile", quickfile(TimeStamp="2025-11-20T09:45:12"), "zone_assumed"),
    bent("duett", duett(eventTime="2025-11-20T11:00:32"), "zone_assumed"),
    bent("visma-sales", order(timeStamp="2025-11-20T11:00:32"), "field_assumed", "zone_assumed"),
    given(
        "duett", duett(subscription="Bilag"), {"aliases": {"Bilag Update": "Voucher Update"}}, "alias_given"
    ),
    given("visma-sales", order(), {"pointers": {"id": "/orderId"}}, "pointer_given"),
    given("visma-journal", order("VOUCHER_RECEIVED"), {"pointers": {"id": "/voucherId"}}, "pointer_given"),
    given("visma-net", net(), {"zone": "Europe/Oslo"}, "zone_given"),
    given(
        "quickfile",
        quickfile(TimeStamp="2025-10-26T01:30:00"),
        {"zone": "Europe/London"},
        "zone_given",
        "zone_change",
    ),
    bent("duett", duett(eventTime="2035-11-20T11:00:32Z"), "clock_suspect"),
    bent("visma-net", net(timeStamp="soon"), "clock_suspect", "time_form"),
)


def events(
    source: str, body: Any, headers: dict[str, str] | None = None, reading: dict[str, Any] | None = None
) -> list[ChangeEvent]:
    sources = told_of(source, **(reading or {}))
    bench = Bench(sources).work(raws(callback(source, body, **(headers or {})), sources=sources))
    assert all(isinstance(one, Outcome) for one in bench.outcomes), bench.outcomes
    return [
        one.event for one in bench.outcomes if isinstance(one, Outcome) and one.event.meta.origin != "forward"
    ]


def used(event: ChangeEvent) -> set[str]:
    told = set(event.flags)
    told |= {ZONE_ASSUMED} if event.reading.zone_assumed else set()
    return told | ({CLOCK_SUSPECT} if event.clock_suspect else set())


@pytest.mark.parametrize("source", PLAIN)
def test_what_comes_as_printed_needs_no_tolerance(source: str) -> None:
    (event,) = events(source, PLAIN[source])

    assert used(event) == set()
    assert event.reading.unknown_fields == ()
    assert event.reading.unknown_event == ""


@pytest.mark.parametrize("one", BENT, ids=[f"{one.source} {'+'.join(sorted(one.flags))}" for one in BENT])
def test_each_tolerance_stands_on_the_event_and_no_other(one: Bent) -> None:
    told = events(one.source, one.body, one.headers, one.reading)

    assert set().union(*map(used, told)) == one.flags


def test_the_list_is_closed_and_every_line_of_it_is_shown() -> None:
    assert frozenset().union(*(one.flags for one in BENT)) == NAMES
    assert len(NAMES) == len(TOLERANCES)
    for line in TOLERANCES:
        shown = {one.source for one in BENT if line.name in one.flags}
        assert shown <= {*(line.sources or SOURCES)}, line.name


def test_golden_cases_use_no_flag_that_is_not_in_the_list() -> None:
    flags = set()
    for path in GOLDEN.glob("*/*/expected.json"):
        for one in json.loads(path.read_text())["carried"]:
            flags.update(json.loads(one.get("event", {}).get("attributes", "{}")).get("flags", ()))

    assert flags > {"repaired", "guid_case", UNGUARDED}
    assert flags <= NAMES | {UNGUARDED}


def test_a_flag_of_the_door_and_the_same_one_of_the_worker_are_one() -> None:
    """Event and tenant from headers: the door needs them to find the key, the worker to read the event."""
    headers = {"x_vwd_event_id": "Customer_Updated", "x_vwd_tenant_id": "t"}
    (event,) = events("visma-net", net(event=..., companyId=...), headers)

    assert event.meta.flags == event.flags == ("from_header",)


def test_flags_stand_in_the_history_beside_what_the_vendor_said_of_the_event() -> None:
    bench = Bench().work(raws(callback("visma-net", [net(notificationId="E1", erpEvent="1")])))

    (one,) = [one for one in bench.outcomes if isinstance(one, Outcome) and one.history is not None]
    record = furnished()[1].decode(one.history or b"", "event")
    told = json.loads(record["attributes"])
    assert (told["flags"], told["erpEvent"]) == (["list", "guid_case"], "1")


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_printed_samples_need_only_what_is_usual(sample: str) -> None:
    usual = {one.name for one in TOLERANCES if one.usual}
    one = SAMPLES[sample]
    told = events(one.source, one.body, {name.replace("-", "_"): text for name, text in one.headers.items()})
    flags = set().union(*map(used, told))

    # The printed delete lacks a comma, the printed voucher has a date for a rate.
    assert flags - usual <= {"repaired", "not_converted", "event_alias"}
    assert {name for event in told for name in event.reading.unknown_fields} == set()


@pytest.mark.parametrize(
    ("source", "body", "unknown"),
    [
        ("duett", duett(mood="good"), ("mood",)),
        (
            "duett",
            duett(data='{"id":1,"mood":1,"voucherType":{"x":2},"carriers":[{"id":1,"y":3}]}'),
            ("mood", "voucherType.x", "carriers[0].y"),
        ),
        ("duett", duett(data='{"id":1,"mood":null}', mood=None), ()),
        ("visma-net", net(mood="good", Sort=1), ("mood", "Sort")),
        ("quickfile", quickfile(mood="good"), ("mood",)),
        (
            "visma-sales",
            {"event": "SALESORDER_CREATED", "data": {"orderId": 7, "mood": 1}, "x": 2},
            ("x", "mood"),
        ),
    ],
)
def test_fields_that_nobody_documents_are_named(source: str, body: Any, unknown: tuple[str, ...]) -> None:
    (event,) = events(source, body)

    assert event.reading.unknown_fields == unknown


def test_printed_fields_without_a_column_are_kept_and_are_not_unknown() -> None:
    (event,) = events("duett", duett(subscription="Supplier", data='{"id":1,"customer":{"a":1}}'))

    assert event.reading.unknown_fields == ()
    assert json.loads(event.state.facets["body"].fields["extras"]) == {"customer": {"a": 1}}


@pytest.mark.parametrize(
    ("source", "body", "unknown"),
    [
        ("duett", duett(event="Archive!"), "voucherarchive"),
        ("visma-net", net(event="Moon_Landed"), "moonlanded"),
        ("visma-net", net(event="Customer_Deleted"), "customerdeleted"),
        ("quickfile", quickfile("MoonLanded"), "moonlanded"),
        ("visma-net", net(event="First Time Startup Completed"), ""),
    ],
)
def test_a_name_in_no_row_is_told_by_its_token(source: str, body: Any, unknown: str) -> None:
    (event,) = events(source, body)

    assert event.reading.unknown_event == unknown


@pytest.mark.parametrize(
    "name", ["SalesOrder_Changed", "Sales Order Status Changed", "salesorder_actiontriggered"]
)
def test_sales_orders_of_visma_financials_point_to_their_successor(name: str) -> None:
    """VF-93."""
    (event,) = events("visma-net", net(event=name, entityLocation="api/v1/salesorder/SO/1"))
    (other,) = events("visma-net", net())

    assert (event.reading.deprecated_for, other.reading.deprecated_for) == ("visma-sales", "")


def test_both_sides_of_a_merge_say_what_was_assumed_of_its_time() -> None:
    """A-41."""
    item = {"TimeStamp": "2025-11-20T09:45:12", "SourceId": 1, "TargetId": 2, "Deleted": False}
    ahead = {**item, "TimeStamp": "2035-01-01T00:00:00"}
    for one, suspect in ((item, False), (ahead, True)):
        bench = Bench().work(raws(callback("quickfile", {"ClientMerged": [one], "Hookid": "h"})))

        outcomes = [out for out in bench.outcomes if isinstance(out, Outcome)]
        written = [record for out in outcomes for record in out.records]
        told = [furnished()[1].decode(one.value or b"", one.key.entity) for one in written]
        assert [one["id"] for one in told] == ["1", "2"]
        assert [one["meta_zone_assumed"] for one in told] == [True, True]
        assert [one["meta_clock_suspect"] for one in told] == [suspect, suspect]


def test_a_forward_repeats_no_flag_but_those_of_the_clock() -> None:
    item = {"TimeStamp": "2025-11-20T09:45:12", "MergedId": "1", "MasterId": 2, "Deleted": "false"}
    bench = Bench().work(raws(callback("quickfile", {"ClientMerged": item, "Hookid": "H"})))

    cause, effect = [one for one in bench.outcomes if isinstance(one, Outcome)]
    assert len(cause.event.flags) > 3
    assert effect.event.meta.flags == ("zone_assumed",)
    assert effect.event.flags == ()


def account(number: int, tick: int, event: str = "Account_Updated") -> list[Any]:
    stamp = 638992335577900000 + tick
    place = f"api/v1/account/{number}"
    return raws(callback("visma-net", net(event=event, entityId="g1", entityLocation=place, timeStamp=stamp)))


@pytest.mark.parametrize(
    ("arrivals", "told"),
    [
        ([account(1, 0), account(2, 9, "Account Identity Changed")], []),
        ([account(2, 9, "Account Identity Changed")], ["unresolved"]),
        ([account(2, 9, "Account Identity Changed")] * 2, ["unresolved"]),
        ([account(2, 9, "Account Identity Changed"), account(1, 0)], ["unresolved", "resolved"]),
        (
            [account(2, 9, "Account Identity Changed"), account(1, 0), account(1, 0)],
            ["unresolved", "resolved"],
        ),
        ([account(1, 0), account(1, 5)], []),
        ([account(1, 0), account(2, 9), account(2, 9, "Account Identity Changed")], []),
    ],
)
def test_a_new_number_is_unresolved_until_its_old_one_is_learnt(arrivals: list[Any], told: list[str]) -> None:
    """A-14."""
    bench = Bench().work([raw for one in arrivals for raw in one])

    assert [one.renaming for one in bench.outcomes if isinstance(one, Outcome) and one.renaming] == told
