"""What the changelogs must hold, told by plain dictionaries; knows nothing of the product's join.

Fed with raw records in the order of their partition, forwarded ones included. Per key it says which
records the changelog must have, in order, and what a reader must see at the end. It knows the shapes that
`callbacks` makes, a few columns of each, and nothing else; no two changes of a facet share a time.
"""

import calendar
import json
import time
from decimal import Decimal
from typing import Any, Final

NEVER: Final = -(2**63)
DOTNET: Final = 621_355_968_000_000_000
COLUMNS: Final = {
    "customer": {"customernumber": "number", "name": "name", "show": "active", "vatnumber": "vat_number"},
    "voucher_line": {
        "accountnumber": "account_number",
        "amountgross": "amount_gross",
        "linenumber": "line_number",
    },
}
RANKS: Final = {"created": 100, "create": 100, "changed": 200, "updated": 200, "update": 200}
VOUCHERS: Final = {
    "VOUCHER_RECEIVED": (310, "received", "receive"),
    "IMPORT_VOUCHER_SUCCESSFUL": (320, "import_started", "import"),
    "VOUCHER_PROCESSED": (330, "processed", "process"),
    "VOUCHER_SYNCHRONIZED": (360, "synchronized", "synchronized"),
}
PHASES: Final = ["receive", "import", "process", "synchronized"]
LIVES_BY: Final = {"duett": "body", "payment": "bound", "visma-journal": "status"}
Effect = dict[str, Any]
Facets = dict[str, tuple[int, dict[str, Any]]]
"""Facet -> (rank, fields)."""


def _iso(text: str) -> int:
    """Give ticks since 1970 of a time in UTC."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**7 + int(fraction.ljust(7, "0"))


def _effect(
    at: int, facets: Facets | None = None, *, gone: bool = False, sets: tuple[tuple[str, str], ...] = ()
) -> Effect:
    told = {name: (at, rank, fields) for name, (rank, fields) in (facets or {}).items()}
    return {"gone": at if gone else NEVER, "facets": told, "sets": dict.fromkeys(sets, at)}


def _duett(entity: str, body: Any, _: str) -> Effect:
    at, verb = _iso(body["eventTime"]), body["event"].lower()
    if verb == "delete":
        return _effect(at, gone=True)
    row = {name.lower(): value for name, value in json.loads(body["data"], parse_float=Decimal).items()}
    return _effect(at, {"body": (RANKS[verb], {to: row.get(name) for name, to in COLUMNS[entity].items()})})


def _visma(entity: str, body: Any, _: str) -> Effect:
    at, event = int(body["timeStamp"]) - DOTNET, body["event"]
    if event in VOUCHERS:
        rank, status, phase = VOUCHERS[event]
        return _effect(at, {"status": (rank, {"status": status})}, sets=(("phases", phase),))
    verb, word = event.lower().rpartition("_")[2], body.get("documentStatus") or body.get("status")
    facets: Facets = {}
    if verb == "deleted":
        return _effect(at, gone=True)
    if verb in RANKS:
        facets["change"] = (RANKS[verb], {})
    if word is not None and entity == "sales_order":
        facets["status"] = (200 if verb in RANKS else 300, {"status": word})
    if "entityId" in body and verb != "actiontriggered":
        facets["ids"] = (0, {"vendor_guid": body["entityId"].lower()})
    return _effect(at, facets)


def _quickfile(entity: str, item: Any, event: str) -> Effect:
    at = _iso(item["TimeStamp"])
    if event == "ClientMerged":
        return _effect(at, {"merge": (200, {"merged_into": str(item["TargetId"])})}, gone=item["Deleted"])
    if event.endswith("Deleted"):
        return _effect(at, gone=True)
    facets: Facets = {}
    if "InvoiceType" in item:
        facets["kind"] = (200, {"invoice_type": item["InvoiceType"]})
    if event == "InvoicesViewed":
        facets["viewed"] = (200, {"last_viewed_by_contact_id": str(item["ClientContactId"])})
    elif "PaymentId" not in item:
        facets["change"] = (RANKS[event[-7:].lower()], {})
        if event == "InvoicesCreated":
            facets["origin"] = (100, {})
    elif entity == "customer_invoice":
        facets["paid"] = (200, {"last_payment_id": str(item["PaymentId"])})
    else:
        invoice = str(item.get("InvoiceId") or item["Id"])
        facets["amount"] = (200, {"amount": item["AmountPaid"]})
        facets["method"] = (200, {"payment_method": item["PaymentMethod"]})
        facets["bound"] = (200, {"invoice_id": invoice})
        return _effect(at, facets, sets=(("allocations", invoice),))
    return _effect(at, facets)


READERS: Final = {"duett": _duett, "quickfile": _quickfile}


class Model:
    """What was said of every key, and the records that must tell it."""

    def __init__(self) -> None:
        self.states: dict[str, Effect] = {}
        self.records: dict[str, list[tuple[str | None, int]]] = {}
        """Key -> (UPSERT, DELETE or None for a tombstone; version), in order."""
        self.forwards: dict[tuple[str, str], int] = {}
        """(delivery id, event id) -> how many records must be sent on to a second key because of it."""

    def take(self, key: str, body: bytes, meta: dict[str, Any]) -> None:
        """Read the next raw record of a partition."""
        source, _, entity, _ = key.split("/")
        if entity == "identity":  # every GUID here has one key: nothing follows from seeing it
            return
        said = json.loads(body, parse_float=Decimal)
        if meta.get("origin") == "forward":
            sets = {(name, one): at for name, one, at in said["sets"]}
            effect: Effect = {"gone": said["deleted"] or NEVER, "facets": said["facets"], "sets": sets}
        else:
            effect = READERS.get(source, _visma)(entity, said, meta.get("event", ""))
            named = entity in ("account", "customer", "item") and "entityId" in said and "action" not in said
            if (source == "visma-net" and named) or meta.get("event") == "ClientMerged":
                event = (meta["delivery_id"], meta.get("event_id") or said["notificationId"].lower())
                self.forwards[event] = self.forwards.get(event, 0) + 1
        old = self.states.get(key, {"gone": NEVER, "facets": {}, "sets": {}})
        new = _joined(old, effect)
        if new != old:
            self.states[key] = new
            version = max([new["gone"], *(one[0] for one in new["facets"].values()), *new["sets"].values()])
            ops: tuple[str | None, ...] = ("UPSERT",) if _lives(key, new) else ("DELETE", None)
            self.records.setdefault(key, []).extend((op, version) for op in ops)

    def view(self) -> dict[str, dict[str, Any]]:
        """Give what a reader must see: key -> some columns; deleted keys are not there."""
        return {key: _shown(state) for key, state in self.states.items() if _lives(key, state)}


def _joined(old: Effect, new: Effect) -> Effect:
    gone, facets, sets = max(old["gone"], new["gone"]), dict(old["facets"]), dict(old["sets"])
    for name, (at, rank, fields) in new["facets"].items():
        mine = facets.get(name)
        if mine is None or (at, rank) > mine[:2]:
            facets[name] = (at, rank, fields)
    for one, at in new["sets"].items():
        sets[one] = max(at, sets.get(one, NEVER))
    kept = {name: facet for name, facet in facets.items() if facet[0] > gone or name == "merge"}
    return {"gone": gone, "facets": kept, "sets": {one: at for one, at in sets.items() if at > gone}}


def _lives(key: str, state: Effect) -> bool:
    source, _, entity, _ = key.split("/")
    by = LIVES_BY.get(entity) or LIVES_BY.get(source, "change")
    return by in state["facets"] or state["gone"] == NEVER


def _shown(state: Effect) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for at, _, fields in state["facets"].values():
        if at > state["gone"]:
            told |= fields
    for name in ("merged_from", "allocations"):
        told[name] = sorted(one for kind, one in state["sets"] if kind == name) or None
    phases = [one for kind, one in state["sets"] if kind == "phases"]
    return told | ({"furthest_phase": max(phases, key=PHASES.index)} if phases else {})
