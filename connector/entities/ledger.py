"""The general ledger: accounts, dimensions, posted rows, and vouchers on their way into it."""

from __future__ import annotations

from typing import Final

from connector.entities.fields import (
    Entity,
    Field,
    Kind,
    date,
    flag,
    hash_of,
    instant,
    money,
    quantity,
    text,
    whole,
)
from connector.entities.shared import GUID, PHASES, rekeyed

_STATUS_AT: Final = instant("status_at", "Vendor time of the event that brought the status.")
_ERROR: Final = text("error_text", "What the vendor says went wrong, free text; null on success.")

ACCOUNT: Final = Entity(
    "account",
    "A ledger account of a Visma.net chart of accounts.",
    (
        text("number", "Account number, the same as `id`; it can change.", identifier=True),
        *rekeyed(),
        GUID,
    ),
)

DIMENSION: Final = Entity(
    "dimension",
    "A Visma.net dimension: the structure of segmented codes.",
    (text("number", "Code of the dimension, the same as `id`.", identifier=True), GUID),
)

SEGMENT: Final = Entity(
    "segment",
    "A segment of a Visma.net dimension.",
    (
        text("number", "Segment id, the last part of the id.", identifier=True),
        text("dimension_id", "First of two parts of the id; null for one part."),
        GUID,
    ),
)

SEGMENT_VALUE: Final = Entity(
    "segment_value",
    "A value a segment can take.",
    (
        text("number", "The value, the last part of the id.", identifier=True),
        text("segment_id", "Id of the segment: the parts before the last, such as `DIM/1`."),
        text("dimension_id", "First of three parts of the id; null for fewer."),
        GUID,
    ),
)

VOUCHER_LINE: Final = Entity(
    "voucher_line",
    "One posted row of a Duett voucher; the key is the id of the row, not of the voucher.",
    (
        whole(
            "voucher_number", "Number of the voucher; unique only together with the year.", identifier=True
        ),
        text("voucher_year", "Financial year, text at the vendor.", identifier=True),
        text("voucher_ref", "Year and number as `2023/1`; null without a year.", identifier=True),
        whole("line_number", "Number of the row within the voucher.", identifier=True),
        text("account_number", "Ledger, customer or supplier number, by `account_type`.", identifier=True),
        text("account_name", "Name of the account; may be stale, its change triggers no event.", "person"),
        text("account_type", "What the account number means, the vendor's word; may be stale."),
        date("voucher_date", "Date of the voucher, local to the company."),
        flag("locked", "Whether the voucher is closed for changes."),
        Field(
            "carriers", Kind.CARRIERS, "Cost carriers in the vendor's order; details may be stale.", "person"
        ),
        text("ref_number", "Reference such as an invoice number."),
        text("description", "Free text of the row."),
        text("name", "Name on the row; may be stale, its change triggers no event.", "person"),
        whole("tax_code", "The vendor's VAT code."),
        date("due_date", "Day the amount is due."),
        money("amount_net", "Amount without VAT in the company's currency."),
        money("amount_gross", "Amount with VAT in the company's currency."),
        text("payment_reference", "Payment reference (KID), up to 25 digits: text."),
        whole("accounting_period", "Number of the period within the year."),
        money("rest_amount", "What is left open, in the company's currency."),
        money("currency_gross", "Amount with VAT in `currency_code`."),
        text("currency_code", "Currency of the row; not checked against any list."),
        quantity(
            "currency_rate", "Rate to the company's currency; the vendor's sample holds a date instead."
        ),
        money("currency_rest_amount", "What is left open, in `currency_code`."),
        text("ledger_state", "State in the sub-ledger, the vendor's word."),
        date("reminder_date", "Day of the last reminder."),
        text("reminder_state", "State of the reminders, the vendor's word."),
        date("reminder_stop", "Day until which no reminder is sent."),
        text("pay_type", "Way of payment, the vendor's word, spelling included."),
        quantity("quantity1", "First quantity; text at the vendor, unit not said."),
        quantity("quantity2", "Second quantity; text at the vendor, unit not said."),
        text("voucher_type_id", "Id of the voucher's type."),
        whole("voucher_type_key", "Number of the voucher's type as people see it."),
        text("voucher_type_name", "Name of the voucher's type."),
        text("voucher_type", "Kind of the voucher's type, the vendor's word."),
        text("voucher_type_accounting", "Which accounts the type touches, the vendor's word."),
        flag("voucher_type_active", "Whether the type is in use."),
        text("voucher_category", "Category of the voucher, the vendor's word."),
        text("debt_case_id", "Id of a debt collection case."),
        text("invoice_flow_status", "Status in the approval of invoices, the vendor's word."),
        text("paid_from_bank_account", "Bank account it was paid from, dots as typed.", "bank"),
        hash_of("paid_from_bank_account"),
        text("bank_account", "Bank account of the other party, dots as typed.", "bank"),
        hash_of("bank_account"),
    ),
)

JOURNAL_VOUCHER: Final = Entity(
    "journal_voucher",
    "A voucher on its way through Visma Journal Transaction: the state of its import.",
    (
        text(
            "status",
            "By the last event: received, import_started, import_failed, processed, processing_failed, "
            "sync_started, sync_failed or synchronized.",
        ),
        _STATUS_AT,
        text(
            "furthest_phase",
            "Greatest phase ever reached: receive, import, process, sync_started, synchronized; a failure "
            "counts the phase it failed in.",
        ),
        text("ref_number", "Reference number of a document, where an event of the voucher names one."),
        _ERROR,
    ),
    phases=PHASES,
)

JOURNAL_VOUCHER_DOCUMENT: Final = Entity(
    "journal_voucher_document",
    "One document (one reference number) of a journal voucher; the id is `<voucher id>/<reference number>`.",
    (
        text("voucher_id", "Id of the journal voucher, the first part of the id."),
        text("ref_number", "Reference number of the document, the second part of the id."),
        text("status", "By the last event: document_synchronized or document_sync_failed."),
        _STATUS_AT,
        _ERROR,
    ),
)
