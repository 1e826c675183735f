"""What the changelogs must hold, told by plain dictionaries; knows nothing of the product's join.

Fed with raw records in the order of their partition, forwarded ones included. Per key it says which
records the changelog must have, in order, and what a reader must see at the end. It knows the shapes that
`callbacks` makes, a few columns of each, numbers that move between GUIDs, and nothing else; no two changes
of a facet share a time.
"""

import calendar
import json
import time
from collections import Counter
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

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
RANKS: Final = dict.fromkeys(("created", "create"), 100) | dict.fromkeys(
    ("changed", "updated", "update", "identitychanged"), 200
)
NUMBERED: Final = ("account", "customer", "item")
"""Entities here whose number may move."""
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
    return {"at": at, "gone": at if gone else NEVER, "facets": told, "sets": dict.fromkeys(sets, at)}


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


class Forward(NamedTuple):
    """One effect on a second key."""

    delivery_id: str
    event_id: str
    key: str
    effect: str
    """Canonical JSON."""

    @classmethod
    def of(cls, meta: dict[str, Any], key: str, facets: dict[str, Any], *sets: tuple[str, str, int]) -> Self:
        """Write down what an event means for a key."""
        effect = {"deleted": None, "facets": facets, "sets": [[*one] for one in sets]}
        return cls(meta["delivery_id"], meta["event_id"], key, canonical(effect))


def canonical(effect: object) -> str:
    """Write an effect so that equal ones are equal text."""
    return json.dumps(effect, sort_keys=True, default=str)


class Model:
    """What was said of every key, and the records that must tell it."""

    def __init__(self) -> None:
        self.states: dict[str, Effect] = {}
        self.records: dict[str, list[tuple[str | None, int, str | None]]] = {}
        """Key -> (UPSERT, DELETE or None for a tombstone; version; successor), in order."""
        self.seen: dict[str, dict[str, int]] = {}
        """Identity key -> key a GUID was seen under -> newest version there."""
        self.forwards: Counter[Forward] = Counter()
        """What must be sent on to other keys, and how often."""

    def take(self, key: str, body: bytes, meta: dict[str, Any]) -> None:
        """Read the next raw record of a partition."""
        source, _, entity, _ = key.split("/")
        said = json.loads(body, parse_float=Decimal)
        if entity == "identity":
            self._see(key, said["sets"], meta)
            return
        if meta.get("origin") == "forward":
            sets = {(name, one): at for name, one, at in said["sets"]}
            effect: Effect = {"gone": said["deleted"] or NEVER, "facets": said["facets"], "sets": sets}
        else:
            effect = READERS.get(source, _visma)(entity, said, meta.get("event", ""))
            self._forward(key, said, meta, effect["at"])
        old = self.states.get(key, {"gone": NEVER, "facets": {}, "sets": {}})
        new = _joined(old, effect)
        if new != old:
            self.states[key] = new
            clocks = [one[0] for name, one in new["facets"].items() if not name.startswith("rekey:")]
            version = max([new["gone"], *clocks, *new["sets"].values()])
            ops: tuple[str | None, ...] = ("UPSERT",) if _lives(key, new) else ("DELETE", None)
            successor = None if _lives(key, new) else _successor(key, new)
            self.records.setdefault(key, []).extend((op, version, successor) for op in ops)

    def _forward(self, key: str, said: Any, meta: dict[str, Any], at: int) -> None:
        """Note what an event means for a second key: the owner of its GUID, the target of its merge."""
        source, tenant, entity, id_ = key.split("/")
        if meta.get("event") == "ClientMerged":
            target = f"{source}/{tenant}/{entity}/{said['TargetId']}"
            self.forwards[Forward.of(meta, target, {}, ("merged_from", id_, at))] += 1
        elif source == "visma-net" and entity in NUMBERED and "entityId" in said and "action" not in said:
            guid = f"{source}/{tenant}/identity/{entity}.{said['entityId'].lower()}"
            named = meta | {"event_id": said["notificationId"].lower()}
            self.forwards[Forward.of(named, guid, {}, ("seen", key, at))] += 1

    def _see(self, guid: str, sets: list[tuple[str, str, int]], meta: dict[str, Any]) -> None:
        """Note under which key a GUID was seen; every key whose answer changes must be told."""
        seen = self.seen.setdefault(guid, {})
        before = _answers(guid, seen)
        for _, key, version in sets:
            seen[key] = max(version, seen.get(key, NEVER))
        for key, facets in _answers(guid, seen).items():
            if before.get(key) != facets:
                self.forwards[Forward.of(meta, key, facets)] += 1

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
    named = facets["ids"][0] if "ids" in facets else NEVER  # a number that is named again has come back
    kept = {
        name: facet
        for name, facet in facets.items()
        if name == "merge" or (facet[0] > gone and (name != "moved" or facet[0] >= named))
    }
    return {"gone": gone, "facets": kept, "sets": {one: at for one, at in sets.items() if at > gone}}


def _answers(owner: str, seen: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Say for each number of a GUID what its owner must be told: the other number, and where it went."""
    order = sorted(seen, key=lambda key: (seen[key], key), reverse=True)
    if len(order) < 2:
        return {}
    (living, previous), rekey = order[:2], f"rekey:{owner.partition('.')[2]}"
    told: dict[str, dict[str, Any]] = {living: {rekey: [seen[previous], 200, {"previous_key": previous}]}}
    for key in order[1:]:
        told[key] = {
            rekey: [seen[living], 200, {"previous_key": living}],
            "moved": [seen[key], seen[living], {"replaced_by": living}],
        }
    return told


def _lives(key: str, state: Effect) -> bool:
    source, _, entity, _ = key.split("/")
    by = LIVES_BY.get(entity) or LIVES_BY.get(source, "change")
    return "moved" not in state["facets"] and (by in state["facets"] or state["gone"] == NEVER)


def _successor(key: str, state: Effect) -> str | None:
    """Give the key that a DELETE must name."""
    facets = state["facets"]
    if "moved" in facets:
        return str(facets["moved"][2]["replaced_by"])
    return f"{key.rpartition('/')[0]}/{facets['merge'][2]['merged_into']}" if "merge" in facets else None


def _shown(state: Effect) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, (at, _, fields) in state["facets"].items():
        if at > state["gone"] and not name.startswith("rekey:"):
            told |= fields
    moved = state["facets"].get(f"rekey:{told.get('vendor_guid')}")
    told["previous_key"] = moved and moved[2]["previous_key"]
    for name in ("merged_from", "allocations"):
        told[name] = sorted(one for kind, one in state["sets"] if kind == name) or None
    phases = [one for kind, one in state["sets"] if kind == "phases"]
    return told | ({"furthest_phase": max(phases, key=PHASES.index)} if phases else {})
