from __future__ import annotations

import pytest

from connector.core.read import decode, repair
from connector.errors import Unreadable

NOTIFICATION = rb"""{
"integrationKey": "159c6b25-2627-4f27-8197-ee097835e2ef",
"clientKey": "25508d90-7c58-49cd-8baf-7274a3a0420c"
"tag": "Our reference 56335",
"subscription": "Voucher",
"event": "delete",
"eventTime": "2024-08-23T11:00:32.2216966Z",
"data": "{\"Id\":4220,\"VoucherNumber\":967,\"AccountNumber\":\"20003\"}"
}"""
"""As Duett prints it: the comma after clientKey is missing (D-38)."""

VOUCHER = """{
"id": 698,
"voucherNumber": 1,
"accountNumber": "2050",
"accountName": "Annen egenkapital",
"accountType": "account",
"voucherDate": "2023-12-31T00:00:00",
"voucherYear": "2023",
"lockVoucher": false,
"carriers": [{
"id": 1037,
"name": "Huels MD, Marc",
"key": "102",
"carrierTypeId": 18,
"carrierType": {
"id": 18,
"carrierTypeKind": "employee",
"name": "Ansatt",
"usedInAccounting": true,
"usedInHour": true,
"usedInInvoice": true,
"usedInLedger": true,
"usedInSalary": false,
}],
"lineNumber": 1,
"refNumber": "17885",
"description": "Justering av annen egenkapital",
"name": "Annen egenkapital",
"taxCode": 0,
"dueDate": "2024-02-28T00:00:00.000",
"amountNetto": 11541.30,
"amountGross": 11541.30,
"kid": "6542223335558874444",
"accountingPeriod": 1,
"restAmount": 1200,
"currencyGross": 1352.20,
"currencyCode": "LRE",
"currencyRate": "2024-02-28T00:00:00",
"currencyRestAmount": 14.15,
"ledgerState": "blank",
"reminderDate": "2024-02-28T00:00:00",
"reminderState": "blank",
"reminderStop": "2026-02-28T00:00:00",
"payType": "cach",
"quantity1": "12",
"quantity2": "10",
"voucherType": {
"id": 290,
"key": 1,
"name": "Nøytral postering",
"type": "periodic",
"accountingType": "taxAndFinance",
"show": true
},
"voucherCategory": "voucher",
"debtCaseId": "INKV98876",
"invoiceFlowStatus": "blank",
"payedFromBankAccount": "1822.12.36554",
"bankAccount": "1822.15.336658"
}""".encode()
"""As Duett prints it: a comma too many, and a brace that is missing (D-54)."""


def test_the_printed_notification_is_mended_by_its_one_comma() -> None:
    """D-38, A-29."""
    with pytest.raises(Unreadable):
        decode(NOTIFICATION, "x")

    mended = repair(NOTIFICATION)

    assert mended == NOTIFICATION.replace(b'0420c"', b'0420c",')
    assert decode(mended, "x")["tag"] == "Our reference 56335"
    assert repair(NOTIFICATION.replace(b"\n", b"\r\n")) == mended.replace(b"\n", b"\r\n")


def test_the_printed_voucher_with_its_missing_brace_is_not_mended() -> None:
    assert repair(VOUCHER) is None

    mended = repair(VOUCHER.replace(b"}],", b"}}],"))

    assert mended is not None
    assert decode(mended, "x")["carriers"][0]["carrierType"]["usedInSalary"] is False


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        (b'{"a":1,}', b'{"a":1}'),
        (b'{"a":[1,2 , \n],\n}', b'{"a":[1,2  \n]\n}'),
        (b'{"a":"x"\n"b":"y"\n"c":1}', b'{"a":"x",\n"b":"y",\n"c":1}'),
        (b'{"a":"x\\"\\\\"\n"b":1}', b'{"a":"x\\"\\\\",\n"b":1}'),
        (b'{"a":",}","b":",]",}', b'{"a":",}","b":",]"}'),
    ],
)
def test_only_the_two_known_faults_are_mended(body: bytes, mended: bytes) -> None:
    assert repair(body) == mended


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[,]",
        b"{,}",
        b"[1,,]",
        b"[1,,2]",
        b'{"a":1\n"b":2}',
        b'{"a":"x" "b":2}',
        b'["x"\n"y"]',
        b'{"a":"x\n"b":"y"}',
        b'{"a"\n"b":1}',
        b"{'a':1}",
        b'{"a":1}}',
        b'\xff{"a":1,}',
    ],
)
def test_any_other_fault_is_left_to_quarantine(body: bytes) -> None:
    assert repair(body) is None


def test_what_is_json_already_is_not_touched() -> None:
    body = b'{"a": ",}", "b": "x\\n\\"y\\":1", "c": [1 , 2]}'

    assert repair(body) is body
