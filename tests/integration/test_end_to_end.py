"""From a vendor's bytes at the door to the record another team decodes, through both processes."""

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from auditing import topics_of
from callbacks import CANARY
from partitions import java_partition
from reader import Reader, Record
from stack import COMPANY, DELIVERIES, Child, Stack, fetch

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

TICKS = 638974335577900000
VERSION = TICKS - 621355968000000000
VOUCHER = {"Id": 4220, "VoucherNumber": 967, "AccountNumber": "20003"}


class Rig(Stack):
    """One ingress and one worker for all tests of this file; each test has keys of its own."""

    ingress: Child
    worker: Child

    def sent(self, source: str, body: bytes, **more: Any) -> dict[str, Any]:
        """Post a body that is taken, and wait until the worker has done with it."""
        status, answer = self.post(source, body, **more)
        assert status == 202, answer
        self.drained()
        told: dict[str, Any] = json.loads(answer)
        return told

    def records(self, *topic: str, key: str | None = None) -> list[Record]:
        """Read one topic, or one key of it."""
        found = Reader(self.bootstrap, self.worker.url).read([self.topic(*topic)])
        return [one for one in found if key is None or one.key == key]

    def duett(
        self, thing: str, verb: str, model: dict[str, Any], at: str = "2025-06-01T10:00:00.0000001Z"
    ) -> bytes:
        """Write a Duett notification."""
        return json.dumps(
            {
                "integrationKey": f"{CANARY}-integration",
                "clientKey": self.secrets["STACK_CLIENT_KEY"],
                "tag": "ours",
                "subscription": thing,
                "event": verb,
                "eventTime": at,
                "data": json.dumps(model),
            }
        ).encode()


@pytest.fixture(scope="module", params=DELIVERIES)
def rig(
    request: pytest.FixtureRequest, bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("end-to-end")
    with Rig(bootstrap, f"t{uuid.uuid4().hex[:8]}", folder, worker={"delivery": request.param}) as stack:
        stack.ingress, stack.worker = stack.serve(), stack.work()
        yield stack


def changed(number: str) -> bytes:
    return json.dumps(
        {
            "NotificationId": "E1694B7C-0000-4000-8000-0000000907FF",
            "contextId": COMPANY,
            "event": "customer_changed",
            "action": "UPDATED",
            "resourceId": number,
            "resourceUri": f"https://api.finance.visma.net/v1/customer/{number}",
            "relativeResourceUri": f"v1/customer/{number}",
            "timeStamp": TICKS,
            "ApiClientId": None,
            "IsScheduler": False,
        }
    ).encode()


def updated(number: str) -> bytes:
    return json.dumps(
        {
            "event": "Customer_Updated",
            "companyId": COMPANY,
            "entityId": f"567aaaaa-0000-4000-8000-{int(number):012}",
            "notificationId": "e1691481-0000-4000-8000-0000000007ff",
            "entityLocation": f"api/v1/customer/{number}",
            "erpEvent": "1",
            "documentStatus": None,
            "UserId": "3363881",
            "timeStamp": str(TICKS),
            "ischeduler": False,
        }
    ).encode()


QUICKFILE = json.dumps(
    {
        "PayLoad": {
            "InvoicesPayment": [
                {
                    "TimeStamp": "2025-06-02T09:24:53",
                    "InvoiceId": 70000002,
                    "PaymentId": 911,
                    "AmountPaid": 11.3,
                    "CurrencyCode": "GBP",
                    "PaymentMethod": "STRIPE",
                }
            ],
            "InvoicesCreated": [{"TimeStamp": "2025-06-02T09:23:10", "Id": 70000002, "InvoiceType": "INV"}],
            "Timestamp": "2025-06-02T09:28:11.0697887+00:00",
            "Signature": f"{CANARY}-signature",
            "Hookid": "11111111-2222-4333-8444-666666666666",
        }
    }
).encode()
SALES = json.dumps(
    {
        "event": "SALESORDER_UPDATED",
        "companyId": COMPANY,
        "notificationId": "aaaaaaaa-0000-4000-8000-000000000009",
        "orderType": "SO",
        "orderNumber": "000223",
        "documentStatus": "Open",
        "timeStamp": TICKS,
    }
).encode()
JOURNAL = json.dumps(
    {
        "event": "VOUCHER_PROCESSED",
        "companyId": COMPANY,
        "notificationId": "aaaaaaaa-0000-4000-8000-000000000010",
        "voucherId": "v1",
        "timeStamp": TICKS,
    }
).encode()


def test_a_full_model_arrives_with_every_type_of_column(rig: Rig) -> None:
    model = {"id": 698, "voucherNumber": 1, "amountGross": 11541.30, "voucherDate": "2023-12-31T00:00:00"}

    rig.sent("duett", rig.duett("Voucher", "create", model))

    (record,) = rig.records("changelog", "voucher_line", key="duett/acme/voucher_line/698")
    assert record.value["meta_op"] == "UPSERT"
    assert record.value["meta_version"] == 17487720000000001
    assert record.value["amount_gross"] == Decimal("11541.3000")
    assert str(record.value["voucher_date"]) == "2023-12-31"
    assert record.value["meta_fidelity"] == "full"


def test_an_announcement_arrives_with_its_guid_and_status(rig: Rig) -> None:
    rig.sent("visma-net", updated("55555"))
    rig.sent("visma-sales", SALES)
    rig.sent("visma-journal", JOURNAL)

    (customer,) = rig.records("changelog", "customer", key=f"visma-net/{COMPANY}/customer/55555")
    (order,) = rig.records("changelog", "sales_order", key=f"visma-sales/{COMPANY}/sales_order/SO%2F000223")
    (voucher,) = rig.records(
        "changelog", "journal_voucher", key=f"visma-journal/{COMPANY}/journal_voucher/v1"
    )
    assert customer.value["vendor_guid"] == "567aaaaa-0000-4000-8000-000000055555"
    assert (order.value["number"], order.value["order_type"], order.value["status"]) == (
        "000223",
        "SO",
        "Open",
    )
    assert (voucher.value["status"], voucher.value["furthest_phase"]) == ("processed", "process")
    assert {one.value["meta_version"] for one in (customer, order, voucher)} == {VERSION}


def test_one_body_with_several_events_becomes_several_entities(rig: Rig) -> None:
    told = rig.sent("quickfile", QUICKFILE)

    assert told["accepted"] == 3
    *_, invoice = rig.records("changelog", "customer_invoice", key="quickfile/shop/customer_invoice/70000002")
    (payment,) = rig.records("changelog", "payment", key="quickfile/shop/payment/911")
    assert (invoice.value["invoice_type"], invoice.value["last_payment_id"]) == ("INV", "911")
    assert (payment.value["amount"], payment.value["invoice_id"]) == (Decimal("11.3000"), "70000002")


def test_the_second_secret_is_taken_while_the_first_is_in_use(rig: Rig) -> None:
    for source in ("duett", "visma-net", "quickfile"):
        body = {
            "duett": rig.duett("Customer", "create", {"id": 70}),
            "visma-net": changed("70"),
            "quickfile": QUICKFILE,
        }[source]

        assert [rig.post(source, body, slot=slot)[0] for slot in (1, 2)] == [202, 202]


@pytest.mark.parametrize("source", ["duett", "visma-net", "visma-sales", "visma-journal", "quickfile"])
def test_a_wrong_proof_is_refused_and_nothing_is_stored(rig: Rig, source: str) -> None:
    body = json.dumps({"event": "customer_changed", "mark": f"refused-{source}"}).encode()
    url, headers = rig.request(source, body)
    wrong = {name: text[::-1] for name, text in headers.items() if name != "content-type"}

    status, _ = fetch(url[:-1] if source == "quickfile" else url, body, headers | wrong)

    assert status == 401
    everything = Reader(rig.bootstrap).read(topics_of(rig))
    assert not [one[:4] for one in everything if b"refused-" in (one.value or b"")]


def test_every_record_lies_where_javas_partitioner_puts_it(rig: Rig) -> None:
    numbers = range(400, 430)
    body = b"[" + b",".join(changed(str(number)) for number in numbers) + b"]"

    rig.sent("visma-net", body)

    found = Reader(rig.bootstrap).read(topics_of(rig))
    wrong = [
        one[:4]
        for one in found
        if "/" in one.key and one.partition != java_partition(one.key, rig.partitions)
    ]
    assert wrong == []
    assert len({one.key for one in found}) > len(numbers)


@pytest.mark.parametrize(
    ("key", "partition"),
    [
        ("duett/acme/voucher_line/4220", 4),
        ("duett/acme/customer/13017", 10),
        ("quickfile/shop-ltd/customer_invoice/70000002", 2),
        ("visma-net/1262489/sales_order/1286", 6),
        ("visma-net/1000001/item/A%2F1%2A2", 9),
    ],
)
def test_the_tests_own_partitioner_agrees_with_the_pins(key: str, partition: int) -> None:
    assert java_partition(key, 12) == partition


def test_both_envelopes_of_one_change_end_in_one_state_in_either_order(rig: Rig) -> None:
    rig.sent("visma-net", changed("801"))
    rig.sent("visma-net", updated("801"))
    rig.sent("visma-net", updated("802"))
    rig.sent("visma-net", changed("802"))

    states = [
        rig.records("changelog", "customer", key=f"visma-net/{COMPANY}/customer/{n}") for n in (801, 802)
    ]
    assert [len(one) for one in states] == [2, 1]
    first, second = (state_of(one[-1].value) for one in states)
    for column in ("meta_key", "id", "number", "vendor_guid"):
        assert first.pop(column) != second.pop(column)
    assert first == second


def test_the_printed_delete_is_mended_and_told_with_a_tombstone(rig: Rig) -> None:
    rig.sent(
        "duett", rig.duett("Voucher", "create", {"id": 4220, "voucherNumber": 967}, "2024-08-01T00:00:00Z")
    )
    envelope = {
        "integrationKey": f"{CANARY}-integration",
        "clientKey": rig.secrets["STACK_CLIENT_KEY"],
        "tag": "Our reference 56335",
        "subscription": "Voucher",
        "event": "delete",
        "eventTime": "2024-08-23T11:00:32.2216966Z",
        "data": json.dumps(VOUCHER, separators=(",", ":")),
    }
    printed = json.dumps(envelope, indent=0).replace(',\n"tag"', '\n"tag"')

    rig.sent("duett", printed.encode())

    created, deleted, tombstone = rig.records("changelog", "voucher_line", key="duett/acme/voucher_line/4220")
    assert created.value["meta_op"] == "UPSERT"
    assert deleted.value["meta_op"] == "DELETE"
    assert deleted.value["voucher_number"] == 967
    assert tombstone.value is None
    assert tombstone.headers["x-erp-version"] == deleted.headers["x-erp-version"] == b"17244108322216966"


def test_a_body_without_its_end_is_kept_in_quarantine(rig: Rig) -> None:
    whole = rig.duett("Customer", "create", {"id": 90, "paymentInfo": {"ftpPassword": f"{CANARY}-ftp"}})

    told = rig.sent("duett", whole[:-3])

    assert (told["accepted"], told["quarantined"]) == (0, 1)
    found = rig.records("quarantine")[-1]
    assert found.headers["reason"] == b"unreadable"
    assert json.loads(found.headers["meta"])["delivery_id"] == told["id"]
    assert found.value.endswith(rb"\"ftpPassword\": \"***\"}")


def test_no_credential_reaches_a_topic_a_log_or_a_metric(rig: Rig) -> None:
    model = {"id": 91, "paymentInfo": {"ftpPassword": f"{CANARY}-ftp", "ftpUserName": f"{CANARY}-user"}}
    rig.sent("duett", rig.duett("Customer", "create", model))
    rig.sent("quickfile", QUICKFILE)
    rig.sent("visma-net", changed("91"), headers={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})
    assert fetch(rig.request("quickfile", b"{}")[0] + "x", b"{}", {})[0] == 401
    proof = rig.request("visma-net", changed("91"))[1]["x-vwd-signature-v1"]
    hidden = [CANARY, proof, *rig.secrets.values()]

    everything = [
        *(str(one) for one in Reader(rig.bootstrap).read(topics_of(rig))),
        *(child.log.read_text() for child in rig.children),
        *(child.get("/metrics")[1] for child in rig.children),
    ]

    assert len(everything) > 50
    assert rig.ingress.get("/metrics")[1].count("connector_") > 5
    for secret in hidden:
        assert not [text[:200] for text in everything if secret in text]


def state_of(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says which event caused a record."""
    provenance = {
        "meta_received_at",
        "meta_event_id",
        "meta_event_type",
        "meta_origin_client",
        "meta_origin_user",
        "meta_origin_connect",
        "meta_by_scheduler",
        "meta_vendor_tenant",
    }
    return {name: one for name, one in value.items() if name not in provenance}
