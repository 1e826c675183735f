"""Documents of buying and selling, and what pays and ships them."""

from __future__ import annotations

from typing import Final

from connector.entities.fields import Entity, Field, Kind, date, flag, instant, money, text
from connector.entities.shared import GUID, STATUS

_LINES: Final = (
    Field("lines", Kind.LINES, "Lines of the document; only where enrichment fetched them."),
    flag("lines_truncated", "True if lines were left out because the record would be too large."),
)

CUSTOMER_INVOICE: Final = Entity(
    "customer_invoice",
    "A sales invoice, estimate or recurring template (QuickFile, one id space), or a Visma AR invoice.",
    (
        text("number", "Invoice number, the last part of the id; QuickFile sends none.", identifier=True),
        text(
            "invoice_type",
            "QuickFile: INV, EST (estimate) or REC (recurring template); Visma: word of the location.",
            identifier=True,
        ),
        flag("from_recurring", "Whether a recurring template made it."),
        text("recurring_parent_id", "Id of that template; null where the vendor says 0 or not recurring."),
        text("customer_id", "Id of the customer; known after the first view or answered estimate."),
        instant("last_viewed_at", "Last time the customer looked at it, vendor time."),
        text("last_viewed_by_contact_id", "Id of the contact person who looked at it last.", "person"),
        *STATUS,
        text("status_by_contact_id", "Id of the contact person who answered the estimate.", "person"),
        instant("last_paid_at", "Vendor time of the newest payment event."),
        text("last_payment_id", "Id of the newest payment; amount and method stand in `payment`."),
        GUID,
    ),
)

PAYMENT: Final = Entity(
    "payment",
    "A customer payment announced by QuickFile; up to three events describe one payment.",
    (
        money("amount", "Total of the payment in `currency_code`, from the literal text."),
        text("currency_code", "Currency of the amount; not checked against any list."),
        text("payment_method", "Online payment channel, the vendor's word; the list is not public."),
        flag("paid_online", "True if an online channel announced it; null is not known, never false."),
        text("invoice_id", "Id of the invoice the newest event names."),
        Field(
            "allocations", Kind.ALLOCATIONS, "All invoices ever named for this payment, sorted; no amounts."
        ),
    ),
)

SUPPLIER_INVOICE: Final = Entity(
    "supplier_invoice",
    "A Visma.net supplier (AP) invoice; only changes of its status are announced.",
    (
        text("number", "Reference number, the last part of the id.", identifier=True),
        text("document_type", "Type of document, the vendor's word, such as `Invoice`."),
        date("invoice_date", "Date of the document."),
        text("supplier_id", "Number of the supplier; equals the supplier's id in Visma."),
        text("supplier_reference", "The supplier's own invoice number."),
        text("payment_reference", "Reference to pay with."),
        text("post_period", "Financial period as text, such as `112019`: month, then year."),
        *STATUS,
        *_LINES,
        GUID,
    ),
)

PURCHASE_ORDER: Final = Entity(
    "purchase_order",
    "A Visma.net purchase order.",
    (
        text("number", "Order number, the last part of the id.", identifier=True),
        text("order_type", "Type of order, the vendor's word, such as `RegularOrder`."),
        date("order_date", "Date of the order as written."),
        text("supplier_id", "Number of the supplier; equals the supplier's id in Visma."),
        *STATUS,
        *_LINES,
        GUID,
    ),
)

SALES_ORDER: Final = Entity(
    "sales_order",
    "A sales order of Visma.net ERP or of Visma SalesOrderService: one key per source.",
    (
        text("number", "Order number, the last part of the id, such as `000123`.", identifier=True),
        text("order_type", "First part of an id such as `SO/000123`; null for one part.", identifier=True),
        *STATUS,
        GUID,
    ),
)

SHIPMENT: Final = Entity(
    "shipment",
    "A Visma.net shipment; its deletes are announced.",
    (text("number", "Shipment number, the same as `id`.", identifier=True), *STATUS, GUID),
)
