"""JSON pointers that an operator gives for bodies no document describes."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from furniture import callback, endpoint, furnished, read_event, received, told_of

from connector.core.again import again
from connector.core.authenticate import Binding
from connector.core.pointers import at, pointed, pointer
from connector.core.times import from_iso
from connector.model import Quarantined, RawRecord
from connector.sources import SOURCES

RFC: Final = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
ORDER: Final = {"kind": "SALESORDER_CREATED", "order": {"nr": 41, "what": "SO"}, "at": "2025-06-02T10:00:00"}
POINTERS: Final = {"event": "/kind", "id": "/order/nr", "order_type": "/order/what", "time": "/at"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/foo/1", "baz"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/-1", None),
        ("/foo/00", None),
        ("/foo/01", None),
        ("/foo/x", None),
        ("/foo/0/x", None),
        ("/Foo", None),
        ("/m~0n/x", None),
        ("/foo/" + "9" * 5000, None),
    ],
)
def test_a_pointer_leads_where_rfc_6901_says(text: str, value: Any) -> None:
    assert at(RFC, pointer(text)) == value


def test_an_escaped_tilde_before_a_one_is_no_slash() -> None:
    assert pointer("/~01/~10") == ("~1", "/0")


@pytest.mark.parametrize("text", ["", "order/number", "#/order", "/a~", "/a~2b", "/~/x"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a JSON pointer"):
        pointer(text)


def test_a_pointer_for_a_field_the_source_does_not_declare_is_refused() -> None:
    with pytest.raises(KeyError):
        pointed({"colour": (("a",),)}, {"id": ("id",)})


def test_both_roles_find_the_fields_of_an_invented_body() -> None:
    """A-17, VS-91: the door finds the key, the worker event and time; nothing stays assumed."""
    sources = told_of("visma-sales", zone="Europe/Oslo", pointers=POINTERS)

    read = read_event(sources, "visma-sales", ORDER)
    assert read.key.text == "visma-sales/acme/sales_order/SO%2F41"
    assert (read.reading.event_type, read.version) == ("SALESORDER_CREATED", from_iso("2025-06-02T08:00:00Z"))
    assert read.flags == ("pointer_given", "zone_given", "event_id_made")
    assert read.reading.unknown_fields == ()
    assert json.loads(read.state.facets["change"].fields["extras"]) == {"order": {"nr": 41, "what": "SO"}}


@pytest.mark.parametrize(
    ("pointers", "body", "key"),
    [
        ({"id": ["/x/0", "/y/nr"]}, {"y": {"nr": 5}}, "5"),
        ({"id": ["/x/0", "/y/nr"]}, {"y": {"nr": 5}, "x": ["7"]}, "7"),
        ({"id": "/x"}, {"x": 5, "orderId": 6, "location": "SalesOrders/SO/7"}, "5"),
        ({"id": "/x"}, {"x": "5", "orderType": "SO"}, "SO%2F5"),
        ({"id": "/x"}, {"x": "v3/SalesOrders/SO/000223"}, "SO%2F000223"),
        ({"id": "/x", "order_type": "/t"}, {"x": "5", "orderType": "SO", "t": "QT"}, "QT%2F5"),
        ({"id": "/x", "order_type": "/t"}, {"x": "5", "orderType": "SO"}, "5"),
        ({"order_type": "/t/a"}, {"orderId": "5", "t": {"a": "QT"}}, "QT%2F5"),
        ({"id": "/x"}, {"orderId": 6}, None),
        ({"id": "/x"}, {"order": {"orderId": 6}}, None),
        ({"id": "/x"}, {"x": {"y": 6}, "orderId": 6}, None),
        ({"id": "/x"}, {"x": True}, None),
        ({"id": "/x"}, {"x": None, "id": 6}, None),
        ({"id": "/X"}, {"x": 6}, None),
    ],
)
def test_a_pointer_takes_the_place_of_every_guess(
    pointers: dict[str, Any], body: dict[str, Any], key: str | None
) -> None:
    """A-17: where it leads nowhere the event goes to quarantine, reason no_entity_id."""
    sources = told_of("visma-sales", pointers=pointers)
    (one,) = received(
        callback("visma-sales", {"event": "SALESORDER_CREATED", "contextId": "1", **body}), sources=sources
    )

    if key is None:
        assert isinstance(one, Quarantined)
        assert (one.reason, one.why) == (
            "no_entity_id",
            "reading.pointers.id of its endpoint leads to no order",
        )
    else:
        assert isinstance(one, RawRecord)
        assert one.key.text == f"visma-sales/acme/sales_order/{key}"
        assert ("field_assumed" in one.meta.flags) is ("id" not in pointers)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"voucherId": 1}, "reading.pointers.id of its endpoint leads to no voucher"),
        ({"a": 1, "refNumber": 2}, "reading.pointers.reference of its endpoint leads to no reference"),
    ],
)
def test_a_voucher_that_is_not_where_the_operator_says_is_set_aside(body: dict[str, Any], why: str) -> None:
    """A-17, VJ-91."""
    sources = told_of("visma-journal", pointers={"id": "/a", "reference": "/b"})
    sent = {"event": "VOUCHER_DOCUMENT_SYNCHRONIZED", "contextId": "1", **body}
    (one,) = received(callback("visma-journal", sent), sources=sources)

    assert isinstance(one, Quarantined)
    assert (one.reason, one.why) == ("no_entity_id", why)


def test_event_and_company_may_stand_anywhere_and_the_header_still_counts_where_the_body_is_silent() -> None:
    """A-17."""
    sources = told_of("visma-sales", pointers={"event": "/meta/kind", "company": "/meta/of/0"})
    (one,) = received(
        callback("visma-sales", {"meta": {"kind": "SALESORDER_UPDATED", "of": [7]}, "orderId": 1}),
        sources=sources,
    )
    assert isinstance(one, RawRecord)
    assert (one.key.entity, one.meta.flags) == ("sales_order", ("pointer_given", "field_assumed"))

    body = {"event": "SALESORDER_DELETED", "orderId": 1}
    (one,) = received(callback("visma-sales", body, x_vwd_event_id="SALESORDER_UPDATED"), sources=sources)
    assert isinstance(one, RawRecord)
    assert "from_header" in one.meta.flags
    read = read_event(sources, "visma-sales", body, x_vwd_event_id="SALESORDER_UPDATED")
    assert (read.reading.event_type, read.reading.deletes) == ("SALESORDER_UPDATED", False)


def test_a_field_whose_place_was_taken_is_kept_with_what_nobody_reads() -> None:
    sources = told_of("visma-sales", pointers={"time": "/when"})
    body = {"event": "SALESORDER_UPDATED", "contextId": "1", "orderId": 1}
    body |= {"timeStamp": "sent later", "when": "2025-06-02T08:00:00Z"}

    read = read_event(sources, "visma-sales", body)
    assert read.version == from_iso("2025-06-02T08:00:00Z")
    assert json.loads(read.state.facets["change"].fields["extras"]) == {"timeStamp": "sent later"}


def test_the_company_that_a_pointer_finds_decides_the_tenant() -> None:
    sources = told_of("visma-sales", pointers={**POINTERS, "company": "/who"})
    bound = Binding(source="visma-sales", id="e1", tenants={"77": "north", "78": "south"})
    record = received(callback("visma-sales", {**ORDER, "who": 78}))[0]
    assert isinstance(record, Quarantined)

    (one,) = again(record, sources["visma-sales"], bound, furnished()[0].privacy)
    assert isinstance(one, RawRecord)
    assert one.key.tenant == "south"


def test_what_was_set_aside_for_want_of_a_pointer_is_taken_when_there_is_one() -> None:
    """A-17: the first real callback goes to quarantine, then its pointers are set, then it is used."""
    (record,) = received(callback("visma-sales", ORDER, x_vwd_event_id="SALESORDER_CREATED"))
    assert isinstance(record, Quarantined)
    assert record.reason == "no_entity_id"
    assert "reading.pointers.id can say" in record.why

    at_e1 = endpoint("visma-sales")
    sources = told_of("visma-sales", pointers=POINTERS)
    (one,) = again(record, sources["visma-sales"], at_e1, furnished()[0].privacy)
    assert isinstance(one, RawRecord)
    assert one.key.text == "visma-sales/acme/sales_order/SO%2F41"
    assert again(record, SOURCES["visma-sales"], at_e1, furnished()[0].privacy) == [
        msgspec.structs.replace(record, meta=msgspec.structs.replace(record.meta, origin="quarantine"))
    ]
