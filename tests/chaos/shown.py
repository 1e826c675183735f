"""The last changelog record of a key beside what the model says of it."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from reader import Record

NEVER: Final = -(2**63)
COLUMNS: Final = {
    "body": "name",
    "status": "status",
    "kind": "invoice_type",
    "ids": "vendor_guid",
    "viewed": "last_viewed_by_contact_id",
    "paid": "last_payment_id",
    "amount": "amount",
    "method": "payment_method",
    "bound": "invoice_id",
}
"""Facet -> the column of it the model tells."""
SETS: Final = ("merged_from", "allocations")
Clocks = dict[str, tuple[int, int]]
"""Facet, or `set:element` with rank 0 -> (version, rank)."""


def compare(
    record: Record, *, lives: bool, gone: int, facets: dict[str, tuple[int, int, Any]]
) -> Iterator[str]:
    """Say in what a key's last record differs from the model: its standing, clocks, version and columns."""
    version = max([gone, *(one[0] for name, one in facets.items() if not name.startswith("rekey:"))])
    if (had := int(record.headers["x-erp-version"])) != version:
        yield f"has version {had}, model {version}"
    if lives != (record.value is not None):
        yield f"is {'there' if record.value is not None else 'gone'}, not so the model"
        return
    had_gone, clocks = _clocks(record)
    if had_gone != gone:
        yield f"was deleted at {had_gone}, model {gone}"
    wanted = {name: one[:2] for name, one in facets.items()}
    for name in clocks.keys() | wanted.keys():
        if clocks.get(name) != wanted.get(name):
            yield f"{name} has clock {clocks.get(name)}, model {wanted.get(name)}"
    yield from _columns(record, gone, facets) if lives else _successor(record, facets)


def _clocks(record: Record) -> tuple[int, Clocks]:
    """Give the delete clock and all clocks of a record, hidden ones too."""
    if record.value is None:
        text = record.headers.get("x-erp-hidden")
        if text is None:
            return int(record.headers["x-erp-version"]), {}
        hidden = json.loads(text)
        gone = NEVER if hidden["deleted"] is None else hidden["deleted"]
        sets = {f"{name}:{one}": (at, 0) for name, one, at in hidden["sets"]}
        return gone, sets | {name: tuple(one[:2]) for name, one in hidden["facets"].items()}
    told = json.loads(record.value["meta_clocks"])
    clocks: Clocks = {name: tuple(one) for name, one in told.get("f", {}).items()}
    clocks |= {name: tuple(one[:2]) for name, one in (told.get("h") or {}).get("facets", {}).items()}
    clocks |= {f"phases:{one}": (at, 0) for one, at in told.get("s", {}).get("phases", {}).items()}
    for name in SETS:
        for row in record.value.get(name) or ():
            element = next(value for column, value in row.items() if column != "version")
            clocks[f"{name}:{element}"] = (row["version"], 0)
    return told.get("d", NEVER), clocks


def _columns(record: Record, gone: int, facets: dict[str, tuple[int, int, Any]]) -> Iterator[str]:
    wanted = {COLUMNS[name]: one[2] for name, one in facets.items() if name in COLUMNS}
    if "merge" in facets and facets["merge"][0] > gone:
        wanted["merged_into"] = facets["merge"][2]
    if "ids" in facets and (moved := facets.get(f"rekey:{facets['ids'][2]}")):
        wanted["previous_key"] = moved[2]
    for column, value in wanted.items():
        had = record.value.get(column)
        if had != (Decimal(str(value)) if isinstance(had, Decimal) else value):
            yield f"{column} is {had!r}, model {value!r}"


def _successor(record: Record, facets: dict[str, tuple[int, int, Any]]) -> Iterator[str]:
    wanted = None
    if "moved" in facets:
        wanted = facets["moved"][2]
    elif "merge" in facets:
        wanted = f"{record.key.rpartition('/')[0]}/{facets['merge'][2]}"
    had = record.headers.get("x-erp-successor", b"").decode() or None
    if had != wanted:
        yield f"names successor {had}, model {wanted}"
