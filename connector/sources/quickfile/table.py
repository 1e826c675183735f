"""QuickFile's 19 events, what is kept of each entity, and the fields its documents name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connector.core.events import EventTable, row
from connector.core.source import Shape

NAME: Final = "quickfile"
INVOICE: Final = "customer_invoice"
PAYMENT: Final = "payment"

_MERGED: Final = Shape("change", {"change": {}, "merge": {"merged_into": "TargetId"}}, sets=("merged_from",))
SHAPES: Final[Mapping[str, Shape]] = {
    "customer": _MERGED,
    "customer_contact": Shape("change", {"change": {"customer_id": "ClientId"}}),
    INVOICE: Shape(
        "change",
        {
            "change": {},
            "kind": {"invoice_type": "InvoiceType"},
            "origin": {"from_recurring": "FromRecurring", "recurring_parent_id": "RecurringParentId"},
            "party": {"customer_id": "ClientId"},
            "viewed": {"last_viewed_at": "TimeStamp", "last_viewed_by_contact_id": "ClientContactId"},
            "status": {
                "status": "Status",
                "status_at": "TimeStamp",
                "status_by_contact_id": "ClientContactId",
            },
            "paid": {"last_paid_at": "TimeStamp", "last_payment_id": "PaymentId"},
        },
    ),
    PAYMENT: Shape(
        "bound",
        {
            "amount": {"amount": "AmountPaid", "currency_code": "CurrencyCode"},
            "method": {"payment_method": "PaymentMethod", "paid_online": "true from InvoicesPaid"},
            "bound": {"invoice_id": "InvoiceId, Id in InvoicesPaid"},
        },
        sets=("allocations",),
    ),
    "supplier": _MERGED,
}

ROWS: Final = (
    row("QE-01", "InvoicesCreated", INVOICE, "create", "invoicecreated"),
    row("QE-02", "InvoicesUpdated", INVOICE, "update", "invoiceupdated"),
    row("QE-03", "InvoicesDeleted", INVOICE, "delete", "invoicedeleted"),
    row("QE-04", "InvoicesViewed", INVOICE, "patch", "invoiceviewed"),
    row("QE-05", "InvoicesPaid", INVOICE, "patch", "invoicepaid"),
    row("QE-06", "InvoicesPayment", PAYMENT, "update", "invoicepayment"),
    row("QE-07", "EstimatesStatusChange", INVOICE, "status", "estimatestatuschange"),
    row("QE-08", "ClientsCreated", "customer", "create", "clientcreated"),
    row("QE-09", "ClientsUpdated", "customer", "update", "clientupdated"),
    row("QE-10", "ClientsDeleted", "customer", "delete", "clientdeleted"),
    row("QE-11", "ClientContactsCreated", "customer_contact", "create", "clientcontactcreated"),
    row("QE-12", "ClientContactsUpdated", "customer_contact", "update", "clientcontactupdated"),
    row("QE-13", "ClientContactsDeleted", "customer_contact", "delete", "clientcontactdeleted"),
    row("QE-14", "ClientMerged", "customer", "merge", "clientsmerged"),
    row("QE-15", "SuppliersCreated", "supplier", "create", "suppliercreated"),
    row("QE-16", "SuppliersUpdated", "supplier", "update", "supplierupdated"),
    row("QE-17", "SuppliersDeleted", "supplier", "delete", "supplierdeleted"),
    row("QE-18", "SupplierMerged", "supplier", "merge", "suppliersmerged"),
    row("QE-19", "PaymentsCreated", PAYMENT, "update", "paymentcreated"),
)
WORDS: Final = {
    "estimate": INVOICE,
    "estimates": INVOICE,
    "payment": PAYMENT,
    "payments": PAYMENT,
}
EVENTS: Final = EventTable(ROWS, WORDS, SHAPES)

PAYING: Final = {"QE-05": ("id", "invoiceid"), "QE-06": ("invoiceid",), "QE-19": ("invoiceid",)}
"""Rows that speak of a payment and an invoice -> where the invoice's id stands."""
SOURCE_ID: Final = ("sourceid", "mergedid")
TARGET_ID: Final = ("targetid", "masterid")
BESIDE: Final = frozenset({"payload", "authentication", "timestamp", "signature", "hookid"})
"""Members of the envelope that are no event."""
PRINTED_BESIDE: Final = frozenset(
    {"PayLoad", "Authentication", "TimeStamp", "Timestamp", "Signature", "HookId", "Hookid"}
)
IDS: Final = frozenset(
    {
        "id",
        "invoiceid",
        "paymentid",
        "clientid",
        "clientcontactid",
        "recurringparentid",
        *SOURCE_ID,
        *TARGET_ID,
    }
)
NOTHING: Final[Mapping[str, str]] = {}
"""Binds no field. One object: conversion remembers every table it has seen."""
AMOUNT: Final = {"AmountPaid": "amount", "CurrencyCode": "currency_code"}
METHOD: Final = {"PaymentMethod": "payment_method"}
KIND: Final = {"InvoiceType": "invoice_type"}
ORIGIN: Final = {"FromRecurring": "from_recurring"}
STATE: Final = {"Status": "status"}
PRINTED: Final = frozenset(
    {
        "TimeStamp",
        "Id",
        "InvoiceId",
        "PaymentId",
        "ClientId",
        "ClientContactId",
        "RecurringParentId",
        "SourceId",
        "TargetId",
        "MergedId",
        "MasterId",
        "Deleted",
        *AMOUNT,
        *METHOD,
        *KIND,
        *ORIGIN,
        *STATE,
    }
)
"""Fields of items as the documents print them, and the two of public client models (A-47)."""
KNOWN: Final = frozenset(name.lower() for name in PRINTED)
"""Others are kept in `extras`."""
