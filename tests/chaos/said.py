"""What an event of each vendor says, read with plain JSON; the shapes are those that `callbacks` makes."""

import calendar
import json
import time
from typing import Any, Final

RANKS: Final = {"create": 100, "created": 100} | dict.fromkeys(
    ("update", "updated", "changed", "identitychanged"), 200
)
STEPS: Final = {
    "VOUCHER_RECEIVED": (310, "received", "receive"),
    "IMPORT_VOUCHER_SUCCESSFUL": (320, "import_started", "import"),
    "VOUCHER_PROCESSED": (330, "processed", "process"),
    "VOUCHER_SYNCHRONIZED": (360, "synchronized", "synchronized"),
}


def when(said: Any) -> int:
    """Give the vendor's time in ticks since 1970."""
    text, _, ticks = (said.get("eventTime") or said.get("TimeStamp") or "").rstrip("Z").partition(".")
    if not text:
        return int(said["timeStamp"]) - 621_355_968 * 10**9
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) * 10**7 + int(ticks.ljust(7, "0"))


def facets(source: str, entity: str, said: Any, event: str) -> dict[str, tuple[int, Any]]:
    """Say what an event writes: facet -> (rank, column)."""
    if source == "visma-journal":
        rank, status, phase = STEPS[event]
        return {"status": (rank, status), f"phases:{phase}": (0, None)}
    if "PaymentId" in said and entity == "payment":
        bound = str(said.get("InvoiceId") or said["Id"])
        paid = {"amount": (200, said["AmountPaid"]), "method": (200, said["PaymentMethod"])}
        return {**paid, "bound": (200, bound), f"allocations:{bound}": (0, None)}
    if event in ("InvoicesPaid", "InvoicesPayment"):
        return {"paid": (200, str(said["PaymentId"]))}
    word = event.lower().rpartition("_")[2]
    rank = RANKS.get(word[-7:] if source == "quickfile" else word, 0)
    if source == "duett":
        return {"body": (rank, json.loads(said["data"]).get("name"))} if rank else {}
    told: dict[str, tuple[int, Any]] = {"change": (rank, None)} if rank else {}
    if (status := said.get("documentStatus") or said.get("status")) and entity == "sales_order":
        told["status"] = (200 if rank else 300, status)
    if "entityId" in said and word not in ("deleted", "actiontriggered"):
        told["ids"] = (0, said["entityId"].lower())
    if event == "ClientMerged":
        told["merge"] = (200, str(said["TargetId"]))
    if event == "InvoicesCreated":
        told["origin"] = (100, None)
    if event == "InvoicesViewed":
        told["viewed"] = (200, str(said["ClientContactId"]))
    return told | ({"kind": (200, said["InvoiceType"])} if "InvoiceType" in said else {})
