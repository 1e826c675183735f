"""Callbacks as five vendors would send them: seeded, over few entities, twice, late and in disorder.

Every change has a vendor time of its own, one second after the one before and days in the past, so that
no clock is ever doubted; only the two Visma envelopes of one change share theirs.
"""

import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stack import COMPANY

DOTNET: Final = 621_355_968_000_000_000
TICKS: Final = 10_000_000
PAST_S: Final = 10 * 86_400
WINDOW: Final = 40
"""Callbacks are shuffled within windows of this many."""
LATE: Final = 400
"""A repeated callback comes at most this many places behind its first."""
CANARY: Final = "canary-7d1f"
"""Begins every made-up credential inside a body: must be found nowhere."""


class Made(NamedTuple):
    """One callback, unsigned."""

    source: str
    body: bytes


class Vendors:
    """Makes callbacks; the same seed makes the same ones."""

    def __init__(self, seed: int, client_key: str, *, now_s: int | None = None) -> None:
        self._chance: Final = random.Random(seed)
        self._client_key: Final = client_key
        self._second = (now_s or int(time.time())) - PAST_S
        self._kinds: Final[list[tuple[Callable[[], list[Made]], int]]] = [
            (self._customer, 20),
            (self._voucher, 25),
            (self._pair, 12),
            (self._notified, 14),
            (self._renumbered, 4),
            (self._array, 6),
            (self._order, 6),
            (self._journal, 7),
            (self._quickfile, 20),
            (self._broken, 1),
        ]

    def callbacks(self, count: int, *, twice: float = 0.2) -> list[Made]:
        """Make so many, of which the share `twice` are repetitions, in the order they are sent."""
        once: list[Made] = []
        makers, weights = zip(*self._kinds, strict=True)
        while len(once) < round(count * (1 - twice)):
            once += self._chance.choices(makers, weights)[0]()
        sent = [(float(at), made) for at, made in enumerate(once)]
        again = self._chance.choices(range(len(once)), k=max(count - len(once), 0))
        sent += [(at + self._chance.uniform(0, LATE), once[at]) for at in again]
        sent.sort(key=lambda one: one[0])
        made = [one for _, one in sent]
        for at in range(0, len(made), WINDOW):
            window = made[at : at + WINDOW]
            self._chance.shuffle(window)
            made[at : at + WINDOW] = window
        return made

    def _next(self) -> int:
        self._second += 1
        return self._second

    def _id(self, most: int) -> int:
        return self._chance.randint(1, most)

    def _verb(self) -> str:
        return self._chance.choices(("Create", "Update", "Delete"), (3, 6, 2))[0]

    def _duett(self, thing: str, verb: str, model: dict[str, Any]) -> list[Made]:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._next()))
        envelope = {
            "integrationKey": f"{CANARY}-{uuid.UUID(int=self._chance.getrandbits(128))}",
            "clientKey": self._client_key,
            "tag": "ours",
            "subscription": thing,
            "event": verb,
            "eventTime": f"{when}.{self._chance.randrange(10**7):07}Z",
            "data": json.dumps(model),
        }
        return [Made("duett", json.dumps(envelope).encode())]

    def _customer(self) -> list[Made]:
        one, verb = self._id(60), self._verb()
        if verb == "Delete":
            return self._duett("Customer", "delete", {"Id": one})
        model = {
            "id": one,
            "customerNumber": str(10_000 + one),
            "name": f"Kunde {self._chance.randrange(1000)} Åse",
            "show": self._chance.random() < 0.9,
            "vatNumber": f"{self._chance.randrange(10**9):09}M",
            "invoiceInfo": {"creditLimit": f"{self._chance.randrange(10**6)}.50", "payDays": 14},
            "paymentInfo": {"ftpUserName": f"{CANARY}-user", "ftpPassword": f"{CANARY}-password"},
        }
        return self._duett("Customer", verb, model)

    def _voucher(self) -> list[Made]:
        one, verb = self._id(120), self._verb()
        if verb == "Delete":
            keys = {"Id": one, "VoucherNumber": one // 3, "AccountNumber": "2050"}
            return self._duett("Voucher", "delete", keys)
        model = {
            "id": one,
            "voucherNumber": one // 3,
            "voucherYear": "2025",
            "accountNumber": str(self._chance.choice((1500, 2050, 3000))),
            "lineNumber": 1 + one % 3,
            "amountGross": self._chance.randrange(10**7) / 100,
            "voucherDate": "2025-12-31T00:00:00",
            "carriers": [{"id": 1037, "name": "Huels", "key": "102", "carrierTypeId": 18}],
        }
        return self._duett("Voucher", verb, model)

    def _visma(self, source: str, body: object) -> Made:
        return Made(source, json.dumps(body).encode())

    def _notification(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128)))

    def _ticks(self) -> int:
        return self._next() * TICKS + DOTNET + self._chance.randrange(TICKS)

    def _thing(self) -> tuple[str, str, str]:
        """Choose an entity: its word in events, its path, its id."""
        word = self._chance.choice(("customer", "inventoryitem", "account"))
        number = self._id({"customer": 50, "inventoryitem": 40, "account": 20}[word])
        if word == "inventoryitem":
            return word, f"inventory/A%2F1*{number}", f"A/1*{number}"
        return word, f"{word}/{50_000 + number}", str(50_000 + number)

    def _changed(self, word: str, path: str, number: str, ticks: int) -> dict[str, Any]:
        return {
            "NotificationId": self._notification().upper(),
            "contextId": COMPANY,
            "event": f"{word}_changed",
            "action": "UPDATED",
            "resourceId": number,
            "resourceUri": f"https://api.finance.visma.net/v1/{path}",
            "relativeResourceUri": f"v1/{path}",
            "timeStamp": ticks,
            "ApiClientId": None,
            "IsScheduler": False,
        }

    def _updated(self, event: str, path: str, ticks: int, guid_of: str = "") -> dict[str, Any]:
        return {
            "event": event,
            "companyId": COMPANY,
            "entityId": str(uuid.uuid5(uuid.NAMESPACE_URL, guid_of or path)),
            "notificationId": self._notification(),
            "entityLocation": f"api/v1/{path}",
            "erpEvent": "1",
            "erpDocumentStatus": None,
            "documentStatus": None,
            "UserId": "3363881",
            "timeStamp": str(ticks),
            "ischeduler": False,
        }

    def _pair(self) -> list[Made]:
        """One change in both envelopes."""
        word, path, number = self._thing()
        ticks = self._ticks()
        pair = [
            self._visma("visma-net", self._changed(word, path, number, ticks)),
            self._visma("visma-net", self._updated(f"{word.title()}_Updated", path, ticks)),
        ]
        self._chance.shuffle(pair)
        return pair

    def _notified(self) -> list[Made]:
        word, path, _ = self._thing()
        verb = self._chance.choices(("Created", "Updated", "Deleted"), (2, 4, 3))[0]
        if verb == "Deleted" and word != "account":
            body = self._updated(f"{word}_ActionTriggered", path, self._ticks()) | {"action": "Release"}
        else:
            body = self._updated(f"{word.title()}_{verb}", path, self._ticks())
        return [self._visma("visma-net", body)]

    def _renumbered(self) -> list[Made]:
        """Say that an account goes by the number of another one now."""
        was, now = (f"account/{50_000 + one}" for one in self._chance.sample(range(1, 21), 2))
        body = self._updated("Account_IdentityChanged", now, self._ticks(), guid_of=was)
        return [self._visma("visma-net", body)]

    def _array(self) -> list[Made]:
        """Several changes in one body, as the vendor groups them under load; orders with a status."""
        elements = []
        for _ in range(self._chance.randint(2, 5)):
            path = f"salesorder/SO/{self._id(30):06}"
            elements.append(
                {
                    "notificationId": self._notification(),
                    "contextId": COMPANY,
                    "event": "salesorder_changed",
                    "resourceUri": f"https://integration.visma.net/API/controller/api/v1/{path}",
                    "status": self._chance.choice(("Open", "Hold", "Completed")),
                    "timeStamp": self._ticks(),
                }
            )
        status = self._updated("SalesOrder_StatusChanged", f"salesorder/SO/{self._id(30):06}", self._ticks())
        return [self._visma("visma-net", [*elements, status | {"documentStatus": "Shipped"}])]

    def _order(self) -> list[Made]:
        body = {
            "event": self._chance.choice(("SALESORDER_CREATED", "SALESORDER_UPDATED", "SALESORDER_DELETED")),
            "companyId": COMPANY,
            "notificationId": self._notification(),
            "orderType": "SO",
            "orderNumber": f"{self._id(30):06}",
            "timeStamp": self._ticks(),
        }
        if body["event"] != "SALESORDER_DELETED":
            body["documentStatus"] = self._chance.choice(("Open", "Completed"))
        return [self._visma("visma-sales", body)]

    def _journal(self) -> list[Made]:
        steps = ("VOUCHER_RECEIVED", "IMPORT_VOUCHER_SUCCESSFUL", "VOUCHER_PROCESSED", "VOUCHER_SYNCHRONIZED")
        body = {
            "event": self._chance.choice(steps),
            "companyId": COMPANY,
            "notificationId": self._notification(),
            "voucherId": f"v{self._id(30)}",
            "timeStamp": self._ticks(),
        }
        return [self._visma("visma-journal", body)]

    def _quickfile(self) -> list[Made]:
        payload: dict[str, Any] = {}
        for _ in range(self._chance.randint(1, 4)):
            name, item = self._item()
            payload.setdefault(name, []).insert(0, item)
        payload["Timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._next()))
        payload["Signature"] = f"{CANARY}-signature"
        payload["Hookid"] = str(uuid.UUID(int=self._chance.getrandbits(128)))
        return [Made("quickfile", json.dumps({"PayLoad": payload}).encode())]

    def _item(self) -> tuple[str, dict[str, Any]]:
        event = self._chance.choices(
            (
                "InvoicesCreated",
                "InvoicesUpdated",
                "InvoicesDeleted",
                "InvoicesViewed",
                "InvoicesPayment",
                "InvoicesPaid",
                "ClientsCreated",
                "ClientsUpdated",
                "ClientsDeleted",
                "ClientMerged",
            ),
            (4, 6, 2, 2, 4, 2, 3, 4, 1, 2),
        )[0]
        item: dict[str, Any] = {"TimeStamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._next()))}
        if event == "ClientMerged":
            source, target = self._chance.sample(range(1, 31), 2)
            return event, item | {
                "SourceId": source,
                "TargetId": target,
                "Deleted": self._chance.random() < 0.6,
            }
        if event.startswith("Clients"):
            return event, item | {"Id": self._id(30)}
        invoice = 70_000_000 + self._id(50)
        if event in ("InvoicesPayment", "InvoicesPaid"):
            name = "Id" if event == "InvoicesPaid" else "InvoiceId"
            paid = {
                name: invoice,
                "PaymentId": 900 + self._id(60),
                "AmountPaid": self._chance.randrange(9999) / 10,
            }
            return event, item | paid | {
                "CurrencyCode": "GBP",
                "PaymentMethod": self._chance.choice(("PAYPAL", "STRIPE")),
            }
        item |= {"Id": invoice}
        if event != "InvoicesDeleted":
            item["InvoiceType"] = self._chance.choice(("INV", "EST", "REC"))
        if event == "InvoicesCreated":
            item |= {"FromRecurring": False, "RecurringParentId": 0}
        if event == "InvoicesViewed":
            item["ClientContactId"] = self._id(99)
        return event, item

    def _broken(self) -> list[Made]:
        """Authentic, and no JSON: its end is missing."""
        cut = self._customer()[0].body[:-9]
        return [Made("duett", cut)]
