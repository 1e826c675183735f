"""What golden cases cannot say one by one: orders of arrival, spellings, and bodies nobody foresaw."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import flow
from connector.core import binding
from connector.core.join import join
from connector.core.privacy import Privacy
from connector.core.source import Part
from connector.entities import ENTITIES
from connector.errors import Unusable
from connector.model import NOTHING, Callback, EntityKey, RawMeta, RawRecord, Reading, State
from connector.sources import SOURCES

GOLDEN = Path(__file__).parents[1] / "golden"
RECEIVED_US = 1_762_000_000_000_000
PRIVACY = Privacy(None, ENTITIES)
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/endpoint.json"))


def callback(source: str, body: bytes, headers: dict[str, str] | None = None) -> Callback:
    return Callback(source, "e", headers or {}, body, RECEIVED_US, "01UNIT")


def raws(source: str, body: bytes, headers: dict[str, str] | None = None) -> list[RawRecord]:
    """Cut a body as the door does, without proof, tenant check and redaction."""
    one = callback(source, body, headers)
    found = []
    for part in SOURCES[source].split(one):
        meta = RawMeta("01UNIT", RECEIVED_US, event=part.event, event_id=part.event_id, headers=one.headers)
        for address in SOURCES[source].address(part, one):
            key = EntityKey.of(source, "t", address.entity, address.id)
            found.append(RawRecord(key, part.body, meta))
    return found


def read(source: str, body: bytes, headers: dict[str, str] | None = None) -> list[Reading]:
    return [SOURCES[source].normalise(raw) for raw in raws(source, body, headers)]


def states(source: str, records: list[RawRecord]) -> dict[str, State]:
    """Join the effects of records, key by key."""
    known: dict[str, State] = {}
    for raw in records:
        event = flow.normalise(raw, SOURCES[source], PRIVACY)
        known[raw.key.text] = join(known.get(raw.key.text, NOTHING), event.state)
    return known


def golden(name: str) -> bytes:
    (body,) = (GOLDEN / name).glob("body.*")
    return body.read_bytes()


def test_the_printed_pair_of_envelopes_is_one_key_and_one_state_in_both_orders() -> None:
    both = [
        raw
        for name in ("changed", "updated")
        for raw in raws("visma-net", golden(f"visma-net/printed-{name}"))
    ]

    first, second = (states("visma-net", list(order)) for order in permutations(both))
    assert first == second
    assert list(first) == ["visma-net/t/customer/55555"]


@pytest.mark.parametrize("stamp", ["638974335577900000", '"638974335577900000"', '" 638974335577900000\\n"'])
def test_ticks_are_one_time_as_number_text_or_text_with_blanks(stamp: str) -> None:
    body = golden("visma-net/printed-changed").replace(b"638974335577900000", stamp.encode())

    assert read("visma-net", body)[0].occurred == 17_618_367_577_900_000


def test_the_printed_delete_reads_the_same_broken_and_mended() -> None:
    broken = read("duett", golden("duett/printed-delete-broken"))
    mended = read("duett", golden("duett/printed-delete-with-comma"))

    assert broken == mended


def test_a_fetched_copy_of_a_duett_event_has_the_same_event_id() -> None:
    body = golden("duett/de-14-voucher-update")
    again = json.dumps(json.loads(body)).encode()
    other_case = body.replace(b'"event": "update"', b'"event": "Update"')

    ids = {read("duett", one)[0].event_id for one in (body, again, other_case)}
    assert len(ids) == 1


def test_the_three_events_of_one_payment_end_in_one_state_in_any_order() -> None:
    records = raws("quickfile", golden("quickfile/three-events-of-one-payment"))

    assert all(
        states("quickfile", list(order)) == states("quickfile", records) for order in permutations(records)
    )


def test_a_voucher_s_life_ends_in_one_state_in_any_order() -> None:
    records = raws("visma-journal", golden("visma-journal/a-whole-life-in-one-array"))

    assert all(
        states("visma-journal", list(order)) == states("visma-journal", records)
        for order in permutations(records)
    )


def test_a_note_names_no_guid_because_it_leaves_none_in_the_state() -> None:
    assert read("visma-net", golden("visma-net/vf-10-customer-action-triggered"))[0].guid is None
    assert read("visma-net", golden("visma-net/vf-13-customer-updated"))[0].guid is not None


def test_an_event_name_without_letters_still_has_a_key() -> None:
    (raw,) = raws("visma-net", b'{"event": "\xc3\x86\xc3\x98!"}')

    assert raw.key.id == "unnamed"


def test_endless_event_names_do_not_travel_with_every_item() -> None:
    (raw,) = raws("quickfile", b'{"%s": [{"Id": 1}], "HookId": "%s"}' % (b"x" * 5000, b"h" * 5000))

    assert len(raw.meta.event) == 100
    assert len(raw.meta.event_id) < 250
    assert len(raw.key.id) == 100


@pytest.mark.parametrize("name", ["x-vwd-event-id", "x-vwd-tenant-id"])
def test_a_dispatcher_s_header_that_came_twice_is_not_believed(name: str) -> None:
    headers = {"x-vwd-event-id": "Customer_Updated", "x-vwd-tenant-id": "g"}
    headers[name] += "\nother"
    one = callback("visma-net", b'{"entityLocation": "v1/customer/5"}', headers)
    (part,) = SOURCES["visma-net"].split(one)

    if name == "x-vwd-event-id":
        with pytest.raises(Unusable):
            SOURCES["visma-net"].address(part, one)
    else:
        assert SOURCES["visma-net"].address(part, one)[0].company is None


def test_reading_a_thousand_events_makes_no_new_bindings() -> None:
    """Conversion keeps every table it meets: one made per event would be kept for ever."""
    bodies = [
        ("quickfile", golden("quickfile/unknown-fields")),
        ("visma-net", golden("visma-net/status-of-an-entity-without-status")),
        ("visma-journal", golden("visma-journal/fields-in-the-body")),
        ("duett", golden("duett/de-14-voucher-update")),
    ]
    for source, body in bodies:
        read(source, body)
    made = len(binding._made)  # noqa: SLF001  what must not grow has no other name

    for _ in range(250):
        for source, body in bodies:
            read(source, body)

    assert len(binding._made) == made  # noqa: SLF001


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.name}" for case in CASES])
def test_a_reading_fills_only_columns_its_shape_names(case: Path) -> None:
    source = SOURCES[case.parent.name]
    headers = case / "headers.json"
    try:
        records = raws(
            source.name,
            golden(f"{case.parent.name}/{case.name}"),
            json.loads(headers.read_text()) if headers.exists() else None,
        )
    except Unusable:
        return
    for raw in records:
        reading = source.normalise(raw)
        if reading.operation == "note":
            assert (reading.facets, reading.deletes, reading.sets) == ({}, False, ())
            continue
        shape = source.shapes[raw.key.entity]
        for facet, (_, fields) in reading.facets.items():
            assert set(fields) <= {*shape.facets[facet], "extras"}
        assert {name for name, _ in reading.sets} <= set(shape.sets)
        assert set(source.derive(raw.key)) <= set(shape.derived)


@pytest.mark.parametrize(("source", "body"), [("duett", b"{"), ("duett", b"7"), ("quickfile", b"7")])
def test_a_raw_record_that_cannot_be_read_is_refused_not_a_bug(source: str, body: bytes) -> None:
    raw = RawRecord(EntityKey.of(source, "t", "customer", "1"), body, RawMeta("01UNIT", RECEIVED_US))

    with pytest.raises(Unusable):
        SOURCES[source].normalise(raw)


TEXTS = st.sampled_from(["", " ", "5", "0", "a/b", "\x00", "²", "9" * 30, "v1/customer/5", "2024-13-01", "é"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.sampled_from([0.5, 1e300, -0.0]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "event",
        "eventTime",
        "data",
        "subscription",
        "clientKey",
        "tag",
        "id",
        "Id",
        "timeStamp",
        "companyId",
        "contextId",
        "entityId",
        "entityLocation",
        "resourceUri",
        "resourceId",
        "action",
        "documentStatus",
        "status",
        "IsScheduler",
        "PayLoad",
        "HookId",
        "Authentication",
        "ClientMerged",
        "InvoicesPaid",
        "InvoicesCreated",
        "TimeStamp",
        "SourceId",
        "TargetId",
        "Deleted",
        "PaymentId",
        "AmountPaid",
        "FromRecurring",
        "orderId",
        "orderType",
        "voucherId",
        "refNumber",
        "errors",
        "type",
        "name",
        "carriers",
    ]
)
EVENTS = st.sampled_from(
    [
        "customer_changed",
        "Account_Deleted",
        "SalesOrder_StatusChanged",
        "SALESORDER_UPDATED",
        "SALESORDER_UI_CUSTOMACTION",
        "VOUCHER_SYNCHRONIZATION_FAILED",
        "VOUCHER_DOCUMENT_SYNCHRONIZED",
        "update",
        "delete",
        "nonsense",
    ]
)
OBJECTS = st.dictionaries(NAMES, JSON | EVENTS | st.just("Voucher") | st.just('{"id":1}'), max_size=8)


@given(
    st.sampled_from(list(SOURCES)),
    OBJECTS | st.lists(OBJECTS, max_size=2) | st.builds(dict, PayLoad=OBJECTS),
    EVENTS,
)
def test_no_body_makes_a_source_raise_anything_but_a_refusal(source: str, body: Any, event: str) -> None:
    if isinstance(body, dict) and source != "quickfile":
        body.setdefault("event", event)
    one = callback(source, msgspec.json.encode(body))
    try:
        parts: list[Part] = list(SOURCES[source].split(one))
    except Unusable:
        return
    for part in parts:
        try:
            addresses = SOURCES[source].address(part, one)
            assert addresses
            for address in addresses:
                assert address.id
                meta = RawMeta("01UNIT", RECEIVED_US, event=part.event, event_id=part.event_id)
                raw = RawRecord(EntityKey.of(source, "t", address.entity, address.id), part.body, meta)
                flow.normalise(raw, SOURCES[source], PRIVACY)
                if address.entity != "system":
                    SOURCES[source].derive(raw.key)
        except Unusable:
            continue
