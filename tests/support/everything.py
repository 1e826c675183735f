"""All 92 events of the five vendors over two numbers of each of the 20 entities, and ways to deliver them.

Unlike in `callbacks`, times tie, events contradict each other, GUIDs change their numbers and numbers their
GUIDs: there is no order in which it happened. What may be asked is that every order ends the same.
"""

import csv
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from callbacks import Made
from stack import COMPANY

EVENTS: Final = Path(__file__).parents[1] / "unit" / "events.csv"
TICKS_0: Final = 638_974_335_577_900_000
TIMES: Final = 9
NUMBERS: Final = 2
GROUP: Final = 5
"""At most so many changes stand in one body."""
PATHS: Final = {
    "account": "account/{}",
    "customer": "customer/{}",
    "customer_invoice": "customerinvoice/{}",
    "dimension": "dimension/D{}",
    "employee": "employee/{}",
    "item": "inventory/A%2F{}",
    "project": "project/P{}",
    "project_task": "projecttask/P1/{}",
    "purchase_order": "purchaseorder/RO/{}",
    "sales_order": "salesorder/SO/{:06}",
    "segment": "segment/D1/{}",
    "segment_value": "segmentvalue/D1/1/{}",
    "shipment": "shipment/{}",
    "supplier": "supplier/{}",
    "supplier_invoice": "supplierinvoice/{}",
}
FIELDS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "Article": {"name": ("Fisk", "Øl"), "salesPrice": (764.57, 1), "active": (True, False)},
    "Customer": {
        "name": ("Ærlend Ødegård", "b"),
        "pidNumber": ("12060080192",),
        "budgetAmount": (123000.00, 0.5),
        "address": ({"zipCodeName": "SØRREISA"}, {"zipCodeName": "BODØ", "country": "Norway"}),
    },
    "Project": {"Key": (",300",), "Name": ("Ny kornsilo",), "EndDate": ("2021-11-27T15:00:00",)},
    "Supplier": {"name": ("Å", "B"), "bankAccountNumber": ("1822.15.336658",), "unheardOf": (1, [2])},
    "Voucher": {
        "voucherNumber": (1, 2),
        "voucherYear": ("2023",),
        "amountGross": (11541.30, "1.50"),
        "carriers": ([{"id": 1037, "name": "Huels"}],),
    },
}
STATUSES: Final = (None, "Open", "Closed", "Hold")


class Change(NamedTuple):
    """One event, not yet in a body."""

    source: str
    event: str
    """Name of the list it stands in, for QuickFile."""
    said: dict[str, Any]


class Everything:
    """Makes changes; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance: Final = Random(seed)
        with EVENTS.open() as file:
            self._rows: Final = list(csv.DictReader(file))
        self._makers: Final = {
            "duett": self._duett,
            "quickfile": self._quickfile,
            "visma-journal": self._journal,
            "visma-net": self._visma,
            "visma-sales": self._sales,
        }

    def changes(self, count: int) -> list[Change]:
        """Make so many: every event once, the rest at random."""
        rows = [*self._rows, *self._chance.choices(self._rows, k=max(count - len(self._rows), 0))]
        return [Change(row["source"], row["name"], self._makers[row["source"]](row)) for row in rows]

    def _number(self) -> int:
        return self._chance.randint(1, NUMBERS)

    def _time(self) -> int:
        return self._chance.randrange(TIMES)

    def _some(self, fields: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
        return {name: self._chance.choice(of) for name, of in fields.items() if self._chance.random() < 0.7}

    def _duett(self, row: dict[str, str]) -> dict[str, Any]:
        thing, verb = row["name"].split()
        model: dict[str, Any] = {"Id": self._number()}
        if verb != "Delete":
            model |= self._some(FIELDS[thing])
        elif thing == "Voucher":
            model |= {"VoucherNumber": 1, "AccountNumber": "2050"}
        return {
            "tag": "ours",
            "subscription": thing,
            "event": verb,
            "eventTime": f"2025-06-01T10:00:0{self._time()}.2216966Z",
            "data": json.dumps(model),
        }

    def _notification(self) -> dict[str, Any]:
        id_ = str(uuid.UUID(int=self._chance.getrandbits(128)))
        return {"companyId": COMPANY, "notificationId": id_, "timeStamp": str(TICKS_0 + self._time())}

    def _visma(self, row: dict[str, str]) -> dict[str, Any]:
        said = {"event": row["name"].replace(" ", "_"), **self._notification()}
        if not row["entity"]:
            return said
        path = PATHS[row["entity"]].format(self._number())
        kind = row["name"].rpartition(" ")[0]
        if row["name"].endswith(" Changed") and row["operation"] == "upsert" and self._chance.random() < 0.5:
            return {
                "NotificationId": said["notificationId"].upper(),
                "contextId": COMPANY,
                "event": f"{kind.replace(' ', '').lower()}_changed",
                "relativeResourceUri": f"v1/{path}",
                "timeStamp": int(said["timeStamp"]),
            }
        if row["operation"] == "note":
            said["action"] = "Release"
        return said | {
            "entityId": f"dddddddd-0000-4000-8000-00000000000{self._number()}",
            "entityLocation": f"api/v1/{path}",
            "documentStatus": self._chance.choice(STATUSES),
        }

    def _sales(self, row: dict[str, str]) -> dict[str, Any]:
        order = {"orderType": "SO", "orderNumber": f"{self._number():06}"}
        return {
            "event": row["name"],
            **self._notification(),
            **order,
            "documentStatus": self._chance.choice(STATUSES),
        }

    def _journal(self, row: dict[str, str]) -> dict[str, Any]:
        said = {"event": row["name"], **self._notification(), "voucherId": f"v{self._number()}"}
        if row["entity"] == "journal_voucher_document":
            said["refNumber"] = f"r{self._number()}"
        return said | ({"error": "no such account"} if row["name"].endswith("FAILED") else {})

    def _quickfile(self, row: dict[str, str]) -> dict[str, Any]:
        source, target = self._chance.sample(range(1, NUMBERS + 2), 2)
        item: dict[str, Any] = {"TimeStamp": f"2025-06-01T10:00:0{self._time()}"}
        if row["operation"] == "merge":
            return item | {"SourceId": source, "TargetId": target, "Deleted": self._chance.random() < 0.5}
        item |= {"Id": source, "InvoiceId": source, "PaymentId": self._number(), "ClientId": self._number()}
        item |= {"InvoiceType": self._chance.choice(("INV", "EST", "REC")), "ClientContactId": self._number()}
        item |= {
            "Status": self._chance.choice(("ACCEPTED", "DECLINED")),
            "AmountPaid": 11.3,
            "CurrencyCode": "GBP",
        }
        return item | {"PaymentMethod": self._chance.choice(("STRIPE", "PAYPAL"))}


def delivered(changes: Iterable[Change], chance: Random, client_key: str) -> list[Made]:
    """Send a third of the changes twice, all in any order, one to five of a source in a body."""
    once = list(changes)
    sent = once + chance.sample(once, k=len(once) // 3)
    chance.shuffle(sent)
    waiting: dict[str, list[Change]] = {}
    made = []
    for one in sent:
        waiting.setdefault(one.source, []).append(one)
        if len(waiting[one.source]) >= chance.randint(1, GROUP):
            made.append(_body(waiting.pop(one.source), chance, client_key))
    return made + [_body(rest, chance, client_key) for rest in waiting.values()]


def _body(changes: list[Change], chance: Random, client_key: str) -> Made:
    source = changes[0].source
    if source == "quickfile":
        payload: dict[str, Any] = {}
        for one in changes:
            payload.setdefault(one.event, []).append(one.said)
        payload |= {"Timestamp": "2025-06-01T11:00:00", "Hookid": str(uuid.UUID(int=chance.getrandbits(128)))}
        return Made(source, json.dumps({"PayLoad": payload}).encode())
    several = [one.said for one in changes]
    if source == "duett":
        several = [{"clientKey": client_key, **one} for one in several]
    alone = len(several) == 1 and chance.random() < 0.5
    return Made(source, json.dumps(several[0] if alone else several).encode())
