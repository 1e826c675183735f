"""Made-up Duett voucher callbacks of 1 KiB: as a vendor sends them, and as the ingress writes them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from connector import flow
from connector.core.authenticate import Endpoint, HeaderSecret, Secret, vouch
from connector.core.privacy import Privacy
from connector.entities import ENTITIES
from connector.model import Callback, RawRecord
from connector.runtime import wire
from connector.runtime.desk import topics_under
from connector.sources import SOURCES

ENDPOINT: Final = "b0b0b0b0b0b0b0b0"
TENANT: Final = "acme"
BYTES: Final = 1024
DIGEST_KEY: Final = b"a key of the benchmarks, 32 bytes"
CLIENT_KEY: Final = "11111111-2222-4333-8444-555555555555"
SECRET: Final = "a made-up secret of the benchmarks"
REPEATED: Final = 9
"""After so many events one of them comes again: 10 % of the records."""
BEHIND: Final = 50
"""How many events later it comes again."""
CHANGES: Final = 2
"""Every voucher row is created and changed once."""
FIRST_ROW: Final = 10_000_000
_MINUTE_S: Final = int(time.time() - 3600) // 60 * 60
"""An hour ago: the topics' retention would delete older records, and older events would be flagged."""
ARRIVAL_US: Final = (_MINUTE_S + 60) * 1_000_000
_WHEN: Final = time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(_MINUTE_S))
_ROW: Final = 98_765_432
_SECOND: Final = 59
_DELIVERY: Final = "00000000000000000098765432"
_ARRIVED: Final = ARRIVAL_US + 59_999_999


class Laid(NamedTuple):
    """One record as a producer is given it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, str | bytes | None]]
    timestamp_ms: int


_SCHEME: Final = HeaderSecret("authorization", (Secret.of(SECRET.encode(), "benchmarks"),))


def _model(filler: str) -> dict[str, object]:
    return {
        "id": _ROW,
        "voucherNumber": 967,
        "accountNumber": "20003",
        "accountName": "Kundefordringer",
        "accountType": "account",
        "voucherDate": "2025-03-31T00:00:00",
        "voucherYear": "2025",
        "lockVoucher": False,
        "lineNumber": 1,
        "refNumber": "17885",
        "description": f"Faktura {filler}",
        "taxCode": 0,
        "dueDate": "2025-04-30T00:00:00",
        "amountNetto": 11541.30,
        "amountGross": 14426.63,
        "kid": "6542223335558874444",
        "accountingPeriod": 3,
        "restAmount": 1200,
        "currencyCode": "NOK",
        "ledgerState": "open",
        "voucherType": {"id": 290, "key": 1, "name": "Periodisering", "type": "periodic", "show": True},
        "voucherCategory": "voucher",
        "bankAccount": "00000000000",
    }


def _sample() -> bytes:
    """Write one callback of exactly 1,024 bytes, with marks where a series differs."""
    filler = ""
    while True:
        body = json.dumps(
            {
                "integrationKey": "66666666-7777-4888-9999-000000000000",
                "clientKey": CLIENT_KEY,
                "tag": "benchmark",
                "subscription": "Voucher",
                "event": "update",
                "eventTime": f"{_WHEN}{_SECOND}.1234567Z",
                "data": json.dumps(_model(filler), separators=(",", ":")),
            },
            separators=(",", ":"),
        ).encode()
        if len(body) == BYTES:
            return body
        filler += "x" * (BYTES - len(body))


def customer() -> bytes:
    """Give a callback about one customer, whose id is 98765432."""
    address = {"address1": "Example street 1", "zipCodeKey": "0000", "zipCodeName": "EXAMPLE"}
    model = {
        "id": _ROW,
        "name": "Example Ltd",
        "externalId": "k-1266",
        "customerNumber": "10000",
        "vatNumber": "000000000MVA",
        "show": True,
        "contractEndDate": "2026-02-28T00:00:00",
        "budgetAmount": 123000.00,
        "address": {**address, "country": "Norway"},
        "contactInfo": {"phone1": "00000000", "email": "post@example.com", "homepage": "https://example.com"},
        "contactPerson": {"name": "Example person", "mobile": "00000000", "email": "one@example.com"},
        "paymentInfo": {"invoiceSendOption": "autoTrans"},
        "invoiceInfo": {
            "bankAccountNumber": "00000000000",
            "currencyCode": "NOK",
            "payType": "invoice",
            "payDays": 15,
            "creditLimit": "250000.00",
            "miscellaneousCustomer": False,
            "collectiveInvoice": False,
        },
    }
    return json.dumps(
        {
            "integrationKey": "66666666-7777-4888-9999-000000000000",
            "clientKey": CLIENT_KEY,
            "subscription": "Customer",
            "event": "create",
            "eventTime": f"{_WHEN}00.1234567Z",
            "data": json.dumps(model, separators=(",", ":")),
        },
        separators=(",", ":"),
    ).encode()


def _form(text: bytes, *marks: tuple[bytes, bytes]) -> bytes:
    """Turn a sample into a format for `%`."""
    text = text.replace(b"%", b"%%")
    for mark, format_ in marks:
        assert text.count(mark) == 1
        text = text.replace(mark, format_)
    return text


_SAMPLE: Final = _sample()
_SENT: Final = _form(
    _SAMPLE, (b":%d.1234567Z" % _SECOND, b":%(second)02d.1234567Z"), (b"%d" % _ROW, b"%(row)08d")
)


def sent(row: int, second: int = 0) -> bytes:
    """Give a callback as the vendor sends it: 1,024 bytes about one voucher row (8 digits)."""
    return _SENT % {b"row": row, b"second": second}


def privacy() -> Privacy:
    """Give the keyed hashes as a configured process has them."""
    return Privacy(DIGEST_KEY, ENTITIES)


def received(body: bytes, delivery_id: str = _DELIVERY, received_us: int = _ARRIVED) -> RawRecord:
    """Take one callback through `flow.receive`, as the ingress does."""
    callback = Callback("duett", ENDPOINT, {}, body, received_us, delivery_id)
    endpoint = Endpoint(
        source="duett", id=ENDPOINT, tenant=TENANT, tenants={}, companies=frozenset(), schemes=(_SCHEME,)
    )
    raw = flow.receive(vouch(callback, endpoint), SOURCES["duett"], privacy())[0]
    assert isinstance(raw, RawRecord)
    return raw


_RAW: Final = wire.from_raw(topics_under("erp"), received(_SAMPLE))
_BODY: Final = _form(
    _RAW.value or b"", (b":%d.1234567Z" % _SECOND, b":%(second)02d.1234567Z"), (b"%d" % _ROW, b"%(row)08d")
)
_KEY: Final = _form(_RAW.key, (b"%d" % _ROW, b"%(row)08d"))
_META: Final = _form(
    _RAW.headers[0][1],
    (_DELIVERY.encode(), b"%(delivery)026d"),
    (b"%d" % _ARRIVED, b"%(arrived)d"),
)


def laid(at: int, row: int, second: int) -> Laid:
    """Give the raw record of one callback, as the ingress writes it.

    The digest of the body in its header is that of the sample: nothing reads it, and it is long enough.
    """
    arrived = ARRIVAL_US + at
    return Laid(
        _KEY % {b"row": row},
        _BODY % {b"row": row, b"second": second},
        [
            ("meta", _META % {b"delivery": at, b"arrived": arrived}),
            ("ce_id", b"%026d:0" % at),
        ],
        arrived // 1000,
    )


def backlog(records: int) -> Iterator[Laid]:
    """Give raw records of voucher rows: created, then changed once each, 10 % of all redelivered.

    Args:
        records: A multiple of 20, so that the shares are exact.
    """
    events = records * REPEATED // (REPEATED + 1)
    rows = events // CHANGES
    at = 0
    for event in range(events):
        yield laid(at, FIRST_ROW + event % rows, event // rows)
        at += 1
        if event % REPEATED == REPEATED - 1:
            again = max(event - BEHIND, 0)
            yield laid(at, FIRST_ROW + again % rows, again // rows)
            at += 1


def distinct(records: int) -> int:
    """Say how many events a backlog holds, redeliveries aside."""
    return records * REPEATED // (REPEATED + 1)
