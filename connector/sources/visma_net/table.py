"""Visma.net's 44 events, what is kept of each entity, and the words entities go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connector.core import visma
from connector.core.events import EventTable, row
from connector.core.source import Shape

NAME: Final = "visma-net"

_REKEY: Final = {
    "rekey": {"previous_key": "entityId under a new number"},
    "moved": {"replaced_by": "entityId under a new number"},
}
_STATUS: Final = {"status": visma.STATUS_COLUMNS}
WHOLE: Final = {"number": "location"}
_LAST: Final = {"number": "location, last part"}
_OWNED: Final = "location, first of two parts"


def _detail(**columns: str) -> dict[str, dict[str, str]]:
    """Name the columns that enrichment alone fills; no announcement carries them."""
    return {"detail": columns}


def _shape(derived: Mapping[str, str], *facets: Mapping[str, Mapping[str, str]]) -> Shape:
    """Give the shape of a thin entity: announced, known by its GUID, and whatever is special."""
    merged: dict[str, Mapping[str, str]] = {"change": {}, "ids": visma.IDS_COLUMNS}
    for one in facets:
        merged.update(one)
    return Shape("change", merged, derived=derived)


SHAPES: Final[Mapping[str, Shape]] = {
    "account": _shape(WHOLE, _REKEY),
    "customer": _shape(
        WHOLE,
        _REKEY,
        _detail(
            name="name",
            vat_number="vatRegistrationId",
            currency_code="currencyId",
            credit_limit="creditLimit",
        ),
    ),
    "customer_invoice": _shape(_LAST, _STATUS, {"kind": {"invoice_type": "location, resource word"}}),
    "dimension": _shape(WHOLE),
    "employee": _shape(WHOLE, _REKEY),
    "item": _shape(WHOLE, _REKEY),
    "project": _shape(WHOLE, _REKEY),
    "project_task": _shape({**_LAST, "project_id": _OWNED}),
    "purchase_order": _shape(
        _LAST,
        _STATUS,
        _detail(
            order_type="orderType",
            order_date="date",
            supplier_id="supplier",
            lines="lines",
            lines_truncated="lines",
        ),
    ),
    "sales_order": _shape({**_LAST, "order_type": _OWNED}, _STATUS),
    "segment": _shape({**_LAST, "dimension_id": _OWNED}),
    "segment_value": _shape(
        {
            **_LAST,
            "segment_id": "location, parts before the last",
            "dimension_id": "location, first of three parts",
        }
    ),
    "shipment": _shape(WHOLE, _STATUS),
    "supplier": _shape(
        WHOLE,
        _detail(
            name="name",
            supplier_class="supplierClassId",
            address_line1="mainAddress.addressLine1",
            postal_code="mainAddress.postalCode",
            city="mainAddress.city",
            country_code="mainAddress.country.id",
            county_code="mainAddress.county.id",
        ),
    ),
    "supplier_invoice": Shape(
        "status",
        {
            **_STATUS,
            "ids": visma.IDS_COLUMNS,
            **_detail(
                document_type="documentType",
                invoice_date="date",
                supplier_id="supplierNumber",
                supplier_reference="supplierReference",
                payment_reference="paymentRefNo",
                post_period="postPeriod",
                lines="invoiceLines",
                lines_truncated="invoiceLines",
            ),
        },
        derived=_LAST,
    ),
}

_ORDERS: Final = "visma-sales"
"""Visma calls the sales order events of this publisher approaching end of life (VF-93)."""

ROWS: Final = (
    row("VF-01", "Account Changed", "account", "update"),
    row("VF-02", "Account Created", "account", "create"),
    row("VF-03", "Account Deleted", "account", "delete"),
    row("VF-04", "Account Identity Changed", "account", "rekey"),
    row("VF-05", "Account Updated", "account", "update"),
    row("VF-06", "AP Invoice Status Changed", "supplier_invoice", "status", "supplierinvoicestatuschanged"),
    row("VF-07", "AR Invoice Action Triggered", "customer_invoice", "note", "customerinvoiceactiontriggered"),
    row("VF-08", "AR Invoice Changed", "customer_invoice", "update", "customerinvoicechanged"),
    row("VF-09", "AR Invoice Status Changed", "customer_invoice", "status", "customerinvoicestatuschanged"),
    row("VF-10", "Customer Action Triggered", "customer", "note"),
    row("VF-11", "Customer Changed", "customer", "update"),
    row("VF-12", "Customer Created", "customer", "create"),
    row("VF-13", "Customer Updated", "customer", "update"),
    row("VF-14", "Dimension Changed", "dimension", "update"),
    row("VF-15", "Employee Changed", "employee", "update"),
    row("VF-16", "EP Employee Created", "employee", "create"),
    row("VF-17", "EP Employee Updated", "employee", "update"),
    row("VF-18", "First Time Startup Completed", None, "note"),
    row("VF-19", "Inventory Item Action Triggered", "item", "note"),
    row("VF-20", "Inventory Item Changed", "item", "update"),
    row("VF-21", "Inventory Item Created", "item", "create"),
    row("VF-22", "Inventory Item Updated", "item", "update"),
    row("VF-23", "PM Project Action Triggered", "project", "note"),
    row("VF-24", "PM Project Created", "project", "create"),
    row("VF-25", "PM Project PMTask Updated", "project_task", "update"),
    row("VF-26", "PM Project Updated", "project", "update"),
    row("VF-27", "Project Changed", "project", "update"),
    row("VF-28", "Purchase Order Action Triggered", "purchase_order", "note"),
    row("VF-29", "Purchase Order Changed", "purchase_order", "update"),
    row("VF-30", "Purchase Order Status Changed", "purchase_order", "status"),
    row("VF-31", "Sales Order Action Triggered", "sales_order", "note", deprecated_for=_ORDERS),
    row("VF-32", "Sales Order Changed", "sales_order", "update", deprecated_for=_ORDERS),
    row("VF-33", "Sales Order Status Changed", "sales_order", "status", deprecated_for=_ORDERS),
    row("VF-34", "Segment Changed", "segment", "update"),
    row("VF-35", "Segment Value Changed", "segment_value", "update"),
    row("VF-36", "Shipment Action Triggered", "shipment", "note"),
    row("VF-37", "Shipment Changed", "shipment", "update"),
    row("VF-38", "Shipment Deleted", "shipment", "delete"),
    row("VF-39", "Shipment Status Changed", "shipment", "status"),
    row("VF-40", "Supplier Action Triggered", "supplier", "note"),
    row("VF-41", "Supplier Changed", "supplier", "update"),
    row("VF-42", "Supplier Created", "supplier", "create"),
    row("VF-43", "Supplier Updated", "supplier", "update"),
    row(
        "VF-44",
        "Background API Operation Response Ready",
        None,
        "note",
        "backgroundapiresponse",
        "backgroundapiresponseready",
    ),
)

WORDS: Final = {
    "account": "account",
    "apinvoice": "supplier_invoice",
    "arinvoice": "customer_invoice",
    "customer": "customer",
    "customerinvoice": "customer_invoice",
    "dimension": "dimension",
    "employee": "employee",
    "epemployee": "employee",
    "inventory": "item",
    "inventoryitem": "item",
    "pmproject": "project",
    "pmprojectpmtask": "project_task",
    "project": "project",
    "purchaseorder": "purchase_order",
    "salesorder": "sales_order",
    "segment": "segment",
    "segmentvalue": "segment_value",
    "shipment": "shipment",
    "supplier": "supplier",
    "supplierinvoice": "supplier_invoice",
}
"""Entity words of event names. As resource words of a location they all mean the entity itself."""

_TASKS: Final = frozenset({"projecttask", "pmtask", "task"})
_PARTS_OF: Final = {
    "project_task": _TASKS | {"project", "pmproject", "pmprojectpmtask"},
    "segment": frozenset({"segment", "dimension"}),
    "segment_value": frozenset({"segmentvalue", "segment", "dimension"}),
}
PRINCIPAL: Final[Mapping[str, frozenset[str]]] = {
    entity: _PARTS_OF.get(entity, frozenset(word for word, named in WORDS.items() if named == entity))
    for entity in SHAPES
}
"""Entity -> resource words whose number is the id. Any other word (a credit note's, say) has numbers of
its own, so it stands before the number."""

EVENTS: Final = EventTable(ROWS, WORDS, SHAPES)
