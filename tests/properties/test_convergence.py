"""Any order, duplication and re-splitting of the same callbacks leaves the same changelog."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from everything import Everything, delivered
from furniture import Bench, callback, furnished, raws
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.changelog import guard
from connector.core.identity import ENTITY as IDENTITY
from connector.model import Callback, Outcome, RawRecord

TICKS_0 = 638_974_335_577_900_000
GUIDS = [f"dddddddd-0000-4000-8000-00000000000{digit}" for digit in range(2)]
HOURS = st.integers(0, 5)
IDS = st.integers(1, 3)


def _iso(hour: int) -> str:
    return f"2025-06-0{hour + 1}T10:00:00"


@st.composite
def duett(draw: st.DrawFn) -> Callback:
    """A voucher row or customer, full model or delete."""
    thing = draw(st.sampled_from(["Voucher", "Customer"]))
    verb = draw(st.sampled_from(["create", "Update", "update", "delete"]))
    model: dict[str, Any] = {"Id": draw(IDS)}
    if verb != "delete":
        model |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "voucherNumber": st.integers(1, 2),
                    "amountGross": st.sampled_from(["1.50", "2"]),
                    "name": st.sampled_from(["Ø", "b"]),
                    "vatNumber": st.just("395131656M"),
                    "pidNumber": st.sampled_from(["12060080192", "1"]),
                    "bankAccount": st.just("1822.15.336658"),
                    "unheardOf": st.integers(0, 1),
                },
            )
        )
    return callback(
        "duett",
        {
            "clientKey": "c",
            "subscription": thing,
            "event": verb,
            "eventTime": _iso(draw(HOURS)) + ".2216966Z",
            "data": json.dumps(model),
        },
    )


@st.composite
def visma_change(draw: st.DrawFn) -> dict[str, Any]:
    """One Visma notification of any envelope: upserts, statuses, deletes, re-keys."""
    ticks = TICKS_0 + draw(HOURS) * 10_000_000
    number = draw(IDS)
    if draw(st.booleans()):
        word = draw(st.sampled_from(["customer", "salesorder"]))
        return {
            "NotificationId": "n",
            "contextId": "7",
            "event": f"{word}_changed",
            "relativeResourceUri": f"v1/{word}/{number}",
            "timeStamp": ticks,
        }
    event, word = draw(
        st.sampled_from(
            [
                ("Customer_Updated", "customer"),
                ("Customer_Created", "customer"),
                ("Account_Updated", "account"),
                ("Account_Deleted", "account"),
                ("Account_Identity_Changed", "account"),
                ("SalesOrder_Status_Changed", "salesorder"),
            ]
        )
    )
    return {
        "event": event,
        "companyId": "7",
        "entityId": draw(st.sampled_from(GUIDS)),
        "notificationId": "n",
        "entityLocation": f"api/v1/{word}/{number}",
        "documentStatus": draw(st.sampled_from([None, "Open", "Closed"])),
        "timeStamp": str(ticks),
    }


@st.composite
def quickfile(draw: st.DrawFn) -> Callback:
    """One delivery with one item, or several of one name."""
    name = draw(
        st.sampled_from(
            [
                "InvoicesCreated",
                "InvoicesUpdated",
                "InvoicesDeleted",
                "InvoicesViewed",
                "InvoicesPaid",
                "InvoicesPayment",
                "PaymentsCreated",
                "EstimatesStatusChange",
                "ClientsCreated",
                "ClientsDeleted",
                "ClientMerged",
            ]
        )
    )
    items = []
    for _ in range(draw(st.integers(1, 2))):
        source, target = draw(st.permutations([1, 2, 3]))[:2]
        items.append(
            {
                "TimeStamp": _iso(draw(HOURS)),
                "Id": source,
                "InvoiceId": target,
                "PaymentId": draw(IDS),
                "InvoiceType": draw(st.sampled_from(["INV", "EST"])),
                "Status": draw(st.sampled_from(["ACCEPTED", "DECLINED"])),
                "AmountPaid": draw(st.integers(1, 2)),
                "CurrencyCode": "GBP",
                "PaymentMethod": "STRIPE",
                "ClientId": draw(IDS),
                "ClientContactId": draw(IDS),
                "SourceId": source,
                "TargetId": target,
                "Deleted": draw(st.booleans()),
            }
        )
    return callback("quickfile", {"PayLoad": {name: items, "Hookid": "h", "Timestamp": _iso(0)}})


@st.composite
def journal(draw: st.DrawFn) -> Callback:
    """One step of a voucher's import."""
    event = draw(
        st.sampled_from(
            [
                "VOUCHER_RECEIVED",
                "VOUCHER_PROCESSED",
                "VOUCHER_SYNCHRONIZED",
                "VOUCHER_SYNCHRONIZATION_FAILED",
            ]
        )
    )
    return callback(
        "visma-journal",
        {"event": event, "voucherId": f"v{draw(IDS)}"},
        x_vwd_notification_timestamp=str(1_748_000_000_000 + draw(HOURS)),
    )


VISMA = st.lists(visma_change(), min_size=1, max_size=4)
SENT = st.lists(
    duett() | quickfile() | journal() | VISMA.map(lambda several: callback("visma-net", several)), max_size=12
)


def _records(sent: list[Callback]) -> list[RawRecord]:
    return [raw for one in sent for raw in raws(one)]


@settings(max_examples=300, deadline=None)
@given(SENT, st.randoms(use_true_random=False))
def test_any_permutation_with_duplicates_leaves_the_same_changelog(
    sent: list[Callback], chance: Random
) -> None:
    records = _records(sent)
    again = records + chance.sample(records, k=len(records) // 3)
    chance.shuffle(again)

    assert Bench().work(again, chance).changelog() == Bench().work(records).changelog()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_all_events_of_all_vendors_in_any_two_deliveries_leave_the_same_changelog(seed: int) -> None:
    changes = Everything(seed).changes(150)
    views = []
    for chance in (Random(seed), Random(seed + 1)):
        sent = delivered(changes, chance, "c")
        records = _records([callback(one.source, one.body) for one in sent])
        views.append(Bench().work(records, chance).changelog())

    assert views[0] == views[1]
    assert len({key.split("/")[2] for key in views[0]}) == 20


@settings(max_examples=100, deadline=None)
@given(st.lists(visma_change(), min_size=1, max_size=8), st.integers(1, 4))
def test_how_events_were_grouped_into_callbacks_does_not_matter(changes: list[Any], size: int) -> None:
    grouped = [callback("visma-net", changes[at : at + size]) for at in range(0, len(changes), size)]
    single = [callback("visma-net", one) for one in changes]

    assert Bench().work(_records(grouped)).changelog() == Bench().work(_records(single)).changelog()


@settings(max_examples=200, deadline=None)
@given(SENT)
def test_a_state_rebuilt_from_its_record_is_the_one_it_was_written_from(sent: list[Callback]) -> None:
    bench = Bench().work(_records(sent))
    desk, codecs = furnished()

    for one in bench.outcomes:
        if not isinstance(one, Outcome) or one.known is None or one.event.key.entity == IDENTITY:
            continue
        last = one.records[-1]
        if last.value is None:
            assert guard(last.headers) == one.known.state
        else:
            changelog = desk.changelogs[one.event.key.source, one.event.key.entity]
            assert changelog.state(codecs.decode(last.value, one.event.key.entity)) == one.known.state


@settings(max_examples=100, deadline=None)
@given(SENT)
def test_a_redelivery_of_everything_writes_no_changelog_record(sent: list[Callback]) -> None:
    records = _records(sent)
    bench = Bench().work(records)
    bench.outcomes.clear()

    bench.work(records)

    assert [one for one in bench.outcomes if isinstance(one, Outcome) and one.records] == []


@settings(max_examples=100, deadline=None)
@given(SENT)
def test_the_version_a_consumer_sees_never_falls(sent: list[Callback]) -> None:
    seen: dict[str, int] = {}
    for one in Bench().work(_records(sent)).outcomes:
        if not isinstance(one, Outcome) or one.event.key.entity == IDENTITY:
            continue
        for record in one.records:
            version = int(dict(record.headers)["x-erp-version"])
            assert version >= seen.get(record.key.text, version)
            seen[record.key.text] = version
