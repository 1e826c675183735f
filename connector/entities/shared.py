"""Columns that several entities share, and the records that stand inside array columns."""

from __future__ import annotations

from typing import Final

from connector.entities.fields import Array, Element, Field, Kind, Pii, flag, instant, text

PHASES: Final = ("receive", "import", "process", "sync_started", "synchronized")
"""Phases of a journal voucher, first to last; `furthest_phase` is the greatest one ever seen."""

STATUS: Final = (
    text("status", "The vendor's own word for the state of the document, unchecked."),
    text("erp_document_status", "Raw status code of the ERP beside the word; its vocabulary is not public."),
    flag("status_unknown", "True if a status change was announced without saying the new status."),
    instant("status_at", "Vendor time of the event that brought the status."),
)
"""Columns of the facet `status` of documents."""

GUID: Final = text(
    "vendor_guid",
    "Internal GUID of the vendor, lower case; stays when the business number changes; Visma only.",
    identifier=True,
)

MERGED: Final = (
    text("merged_into", "Id of the same entity this one was merged into; same source and tenant."),
    Field("merged_from", Kind.MERGED, "Ids merged into this one, sorted; children are not moved."),
)


def rekeyed(pii: Pii = "none") -> tuple[Field, Field]:
    """Give the two columns of entities whose business number can change."""
    return (
        text("previous_key", "Full record key this entity had before its number changed; Visma only.", pii),
        text("replaced_by", "Full record key that replaced this one; seen on its DELETE record only.", pii),
    )


def contacts(whom: str) -> tuple[Field, ...]:
    """Give the columns of a postal address' neighbours: telephones, mail, and the contact person."""
    return (
        text("phone1", f"First telephone number of the {whom}, as typed.", "contact"),
        text("phone2", f"Second telephone number of the {whom}, as typed.", "contact"),
        text("phone3", f"Third telephone number of the {whom}, as typed.", "contact"),
        text("mobile", f"Mobile number of the {whom}, as typed.", "contact"),
        text("email", f"Mail address of the {whom}.", "contact"),
        text("homepage", f"Web address of the {whom}.", "contact"),
        text("contact_name", "Name of the contact person.", "person"),
        text("contact_phone1", "First telephone number of the contact person.", "contact"),
        text("contact_phone2", "Second telephone number of the contact person.", "contact"),
        text("contact_phone3", "Third telephone number of the contact person.", "contact"),
        text("contact_mobile", "Mobile number of the contact person.", "contact"),
        text("contact_email", "Mail address of the contact person.", "contact"),
    )


CARRIER: Final = Array(
    "Carrier",
    "A cost carrier of a posted row.",
    (
        Element("id", Kind.STRING, "Carrier id; a project is a carrier too (`project.carrier_id`)."),
        Element("name", Kind.STRING, "Carrier name, often an employee's; may be stale.", "person"),
        Element("key", Kind.STRING, "The carrier's number as people see it; may be stale."),
        Element("carrier_type_id", Kind.STRING, "Id of the carrier's type."),
        Element("carrier_type_kind", Kind.STRING, "Kind of the type, such as `employee`; may be stale."),
        Element("carrier_type_name", Kind.STRING, "Name of the type; may be stale."),
        Element("used_in_accounting", Kind.BOOLEAN, "Whether the type is used in accounting; may be stale."),
        Element("used_in_hour", Kind.BOOLEAN, "Whether the type is used in hour registration; may be stale."),
        Element("used_in_invoice", Kind.BOOLEAN, "Whether the type is used in invoicing; may be stale."),
        Element("used_in_ledger", Kind.BOOLEAN, "Whether the type is used in the ledger; may be stale."),
        Element("used_in_salary", Kind.BOOLEAN, "Whether the type is used in salary; may be stale."),
    ),
)

LINE: Final = Array(
    "DocumentLine",
    "A line of a purchase order or supplier invoice.",
    (
        Element("line_number", Kind.LONG, "Number of the line within its document."),
        Element("line_type", Kind.STRING, "The vendor's word for the type of line."),
        Element("item_number", Kind.STRING, "Number of the item; equals the item's id in Visma."),
        Element("quantity", Kind.QUANTITY, "Quantity in `unit`."),
        Element("unit", Kind.STRING, "Unit of measure, the vendor's code."),
        Element("unit_price", Kind.QUANTITY, "Price of one unit in the document's currency."),
        Element("warehouse", Kind.STRING, "Warehouse the goods belong to."),
        Element("project_id", Kind.STRING, "Project the line is posted on."),
        Element("vat_code", Kind.STRING, "The vendor's VAT code."),
        Element("subaccount", Kind.STRING, "JSON text of the segment ids and their values."),
    ),
)

MERGED_FROM: Final = Array(
    "MergedFrom",
    "An entity that was merged into this one.",
    (
        Element("id", Kind.STRING, "Id of the entity that was merged into this one.", required=True),
        Element("version", Kind.LONG, "Vendor time of the merge, 100-ns ticks since 1970.", required=True),
    ),
    sorted_by="id",
)

ALLOCATION: Final = Array(
    "Allocation",
    "An invoice a payment was bound to.",
    (
        Element("invoice_id", Kind.STRING, "Id of an invoice the payment was bound to.", required=True),
        Element("version", Kind.LONG, "Vendor time of that event, 100-ns ticks since 1970.", required=True),
    ),
    sorted_by="invoice_id",
)
