"""Who one trades and works with: customers, their contact persons, suppliers, employees."""

from __future__ import annotations

from typing import Final

from connector.entities.fields import Entity, date, flag, hash_of, money, text, whole
from connector.entities.shared import GUID, MERGED, contacts, rekeyed

CUSTOMER: Final = Entity(
    "customer",
    "A customer: Duett Customer, QuickFile client or Visma customer.",
    (
        text("number", "Customer number; in Visma the same as `id`.", identifier=True),
        text("name", "Name of the customer; a natural person for sole traders.", "person"),
        text("external_id", "Id of the customer in a foreign system, set by the integration."),
        text("vat_number", "VAT or organisation number; may end in `M`.", "person"),
        text("national_id", "National identity number of a person.", "national_id"),
        hash_of("national_id"),
        text("hour_attestation_mobile", "Mobile number for the approval of hours.", "contact"),
        flag("active", "False after a soft delete: hidden at the vendor, no tombstone follows."),
        text("our_supplier_number", "The number the customer knows us under."),
        date("contract_end_date", "Day the contract with the customer ends."),
        money("budget_amount", "Budgeted amount; the vendor sends no currency with it."),
        text("address_line1", "First line of the postal address.", "contact"),
        text("address_line2", "Second line of the postal address.", "contact"),
        text("address_line3", "Third line of the postal address.", "contact"),
        text("postal_code", "Postal code as text: leading zeros count.", "contact"),
        text("city", "Postal town.", "contact"),
        text("country", "Country as a name such as `Norway`, not a code.", "contact"),
        *contacts("customer"),
        text("invoice_send_option", "How invoices are sent, the vendor's word."),
        text("invoice_email", "Mail address invoices are sent to.", "contact"),
        text("bank_account_number", "Bank account of the customer.", "bank"),
        hash_of("bank_account_number"),
        text("currency_code", "Currency of the customer's invoices; not checked against any list."),
        text("pay_type", "Way of payment, the vendor's word."),
        whole("pay_days", "Days until an invoice is due."),
        money("credit_limit", "Credit limit; Duett sends it as text, without a currency."),
        flag("miscellaneous_customer", "Whether this is the catch-all customer."),
        flag("collective_invoice", "Whether several orders go on one invoice."),
        text("notification_auto_pay", "Notification for automatic payment, the vendor's word."),
        flag("no_vat_on_invoice", "Whether invoices carry no VAT."),
        *MERGED,
        *rekeyed(),
        GUID,
    ),
)

CUSTOMER_CONTACT: Final = Entity(
    "customer_contact",
    "A contact person of a QuickFile client; names are not delivered.",
    (text("customer_id", "Id of the customer this person belongs to.", identifier=True),),
)

SUPPLIER: Final = Entity(
    "supplier",
    "A supplier of Duett, QuickFile or Visma.",
    (
        text("number", "Supplier number; in Visma the same as `id`.", identifier=True),
        text("name", "Name of the supplier; a natural person for sole traders.", "person"),
        text("external_id", "Id of the supplier in a foreign system, set by the integration."),
        text("supplier_class", "Class of the supplier, the vendor's code."),
        text("our_customer_number", "The number the supplier knows us under."),
        text("vat_number", "VAT or organisation number.", "person"),
        text("national_id", "National identity number of a person.", "national_id"),
        hash_of("national_id"),
        flag("active", "False after a soft delete: hidden at the vendor, no tombstone follows."),
        text("ean", "Location number of the supplier, as typed."),
        text("bank_account_number", "Domestic bank account of the supplier.", "bank"),
        hash_of("bank_account_number"),
        money("agreement_amount", "Amount of the agreement; decimal by its name, no sample shows a value."),
        date("agreement_expires_date", "Day the agreement ends; date by its name, no sample shows a value."),
        flag("use_foreign_bank", "Whether payments go to the foreign bank below."),
        text("iban", "IBAN at the foreign bank.", "bank"),
        hash_of("iban"),
        text("bic_swift", "BIC of the foreign bank.", "bank"),
        hash_of("bic_swift"),
        text("foreign_bank_code", "National clearing code of the foreign bank.", "bank"),
        hash_of("foreign_bank_code"),
        text("foreign_bank_name", "Name of the foreign bank."),
        text("foreign_bank_address_line1", "First line of the foreign bank's address."),
        text("foreign_bank_address_line2", "Second line of the foreign bank's address."),
        text("foreign_bank_postal_code", "Postal code of the foreign bank, as text."),
        text("foreign_bank_city", "Town of the foreign bank."),
        text("foreign_bank_country_code", "Country of the foreign bank, the vendor's code."),
        text("foreign_pay_type", "Way of foreign payment, the vendor's word."),
        text("foreign_cost_coverage", "Who bears the costs of a foreign payment, the vendor's word."),
        text("address_line1", "First line of the postal address.", "contact"),
        text("address_line2", "Second line of the postal address.", "contact"),
        text("address_line3", "Third line of the postal address.", "contact"),
        flag("address_is_foreign", "Whether the foreign postal code and town below are the valid ones."),
        text("postal_code", "Domestic postal code as text: leading zeros count.", "contact"),
        text("city", "Domestic postal town.", "contact"),
        text("country_code", "Country as a code such as `NO`; the customer has a name instead.", "contact"),
        text("county_code", "County, the vendor's code.", "contact"),
        text("foreign_postal_code", "Postal code abroad, as text.", "contact"),
        text("foreign_city", "Postal town abroad.", "contact"),
        *contacts("supplier"),
        *MERGED,
        GUID,
    ),
)

EMPLOYEE: Final = Entity(
    "employee",
    "A Visma.net employee, announced as Employee and as EP Employee.",
    (
        text("number", "Employee number, the same as `id`.", "person", identifier=True),
        *rekeyed("person"),
        GUID,
    ),
)
