"""Duett's 15 events, and which of its fields feeds which column.

Names are printed as the vendor prints them: they are documentation too. They bind in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connector.core.convert import DROPPED, EXTRAS
from connector.core.events import EventTable, row
from connector.core.source import Shape
from connector.entities import ENTITIES

NAME: Final = "duett"

CREDENTIALS: Final = (
    "integrationKey",
    "clientKey",
    "ftpServer",
    "ftpUserName",
    "ftpPassword",
    "ftpDirectory",
    "ftpFileName",
    "ftpFileFormat",
)
"""Access to the vendor's API and to the customer's own server: redacted in raw, in no column."""

_CONTACTS: Final = {
    "contactInfo.phone1": "phone1",
    "contactInfo.phone2": "phone2",
    "contactInfo.phone3": "phone3",
    "contactInfo.mobile": "mobile",
    "contactInfo.email": "email",
    "contactInfo.homepage": "homepage",
    "contactPerson.name": "contact_name",
    "contactPerson.phone1": "contact_phone1",
    "contactPerson.phone2": "contact_phone2",
    "contactPerson.phone3": "contact_phone3",
    "contactPerson.mobile": "contact_mobile",
    "contactPerson.email": "contact_email",
}

MODELS: Final[Mapping[str, Mapping[str, str]]] = {
    "item": {
        "articleNumber": "number",
        "name": "name",
        "articleType": "item_type",
        "salesPrice": "sales_price",
        "invoiceStatus": "invoice_status",
        "metadata.description": "description",
        "metadata.ean": "ean",
        "metadata.netWeight": "net_weight",
        "metadata.grossWeight": "gross_weight",
        "metadata.netVolume": "net_volume",
        "metadata.grossVolume": "gross_volume",
        "metadata.supplierArticleNumber": "supplier_item_number",
        "metadata.supplierArticleName": "supplier_item_name",
        "unit": "unit",
        "showInApi": "visible_in_api",
        "active": "active",
    },
    "customer": {
        "customerNumber": "number",
        "name": "name",
        "externalId": "external_id",
        "vatNumber": "vat_number",
        "pidNumber": "national_id",
        "hourAttestationMobile": "hour_attestation_mobile",
        "show": "active",
        "ourSupplierNumber": "our_supplier_number",
        "contractEndDate": "contract_end_date",
        "budgetAmount": "budget_amount",
        "address.address1": "address_line1",
        "address.address2": "address_line2",
        "address.address3": "address_line3",
        "address.zipCodeKey": "postal_code",
        "address.zipCodeName": "city",
        "address.country": "country",
        **_CONTACTS,
        "paymentInfo.invoiceSendOption": "invoice_send_option",
        "paymentInfo.invoiceEmail": "invoice_email",
        "invoiceInfo.bankAccountNumber": "bank_account_number",
        "invoiceInfo.currencyCode": "currency_code",
        "invoiceInfo.payType": "pay_type",
        "invoiceInfo.payDays": "pay_days",
        "invoiceInfo.creditLimit": "credit_limit",
        "invoiceInfo.miscellaneousCustomer": "miscellaneous_customer",
        "invoiceInfo.collectiveInvoice": "collective_invoice",
        "invoiceInfo.notificationAutoPay": "notification_auto_pay",
        "invoiceInfo.useNoVATOnInvoice": "no_vat_on_invoice",
    },
    "project": {
        "Key": "number",
        "Name": "name",
        "StartDate": "start_date",
        "EndDate": "end_date",
        "ActualEndDate": "actual_end_date",
        "ContractSum": "contract_amount",
        "Description": "description",
        "CustomerId": "customer_id",
        "ProjectLeaderCarrierId": "leader_carrier_id",
        "CarrierId": "carrier_id",
    },
    "supplier": {
        "supplierNumber": "number",
        "name": "name",
        "externalId": "external_id",
        "ourCustomerNumber": "our_customer_number",
        "vatNumber": "vat_number",
        "pidNumber": "national_id",
        "show": "active",
        "ean": "ean",
        "bankAccountNumber": "bank_account_number",
        "agreementAmount": "agreement_amount",
        "agreementExpiresDate": "agreement_expires_date",
        "useForeignBank": "use_foreign_bank",
        "foreignBankInfo.iban": "iban",
        "foreignBankInfo.bicSwift": "bic_swift",
        "foreignBankInfo.bankCode": "foreign_bank_code",
        "foreignBankInfo.bankName": "foreign_bank_name",
        "foreignBankInfo.address": "foreign_bank_address_line1",
        "foreignBankInfo.address2": "foreign_bank_address_line2",
        "foreignBankInfo.abroadZipCode": "foreign_bank_postal_code",
        "foreignBankInfo.abroadZipCodeName": "foreign_bank_city",
        "foreignBankInfo.countryCode": "foreign_bank_country_code",
        "foreignBankInfo.payType": "foreign_pay_type",
        "foreignBankInfo.costCoverage": "foreign_cost_coverage",
        "address.address1": "address_line1",
        "address.address2": "address_line2",
        "address.address3": "address_line3",
        "address.isForeign": "address_is_foreign",
        "address.zipCodeKey": "postal_code",
        "address.zipCodeName": "city",
        "address.countryCode": "country_code",
        "address.abroadZipCode": "foreign_postal_code",
        "address.abroadZipCodeName": "foreign_city",
        **_CONTACTS,
    },
    "voucher_line": {
        "voucherNumber": "voucher_number",
        "voucherYear": "voucher_year",
        "lineNumber": "line_number",
        "accountNumber": "account_number",
        "accountName": "account_name",
        "accountType": "account_type",
        "voucherDate": "voucher_date",
        "lockVoucher": "locked",
        "carriers": "carriers",
        "refNumber": "ref_number",
        "description": "description",
        "name": "name",
        "taxCode": "tax_code",
        "dueDate": "due_date",
        "amountNetto": "amount_net",
        "amountGross": "amount_gross",
        "kid": "payment_reference",
        "accountingPeriod": "accounting_period",
        "restAmount": "rest_amount",
        "currencyGross": "currency_gross",
        "currencyCode": "currency_code",
        "currencyRate": "currency_rate",
        "currencyRestAmount": "currency_rest_amount",
        "ledgerState": "ledger_state",
        "reminderDate": "reminder_date",
        "reminderState": "reminder_state",
        "reminderStop": "reminder_stop",
        "payType": "pay_type",
        "quantity1": "quantity1",
        "quantity2": "quantity2",
        "voucherType.id": "voucher_type_id",
        "voucherType.key": "voucher_type_key",
        "voucherType.name": "voucher_type_name",
        "voucherType.type": "voucher_type",
        "voucherType.accountingType": "voucher_type_accounting",
        "voucherType.show": "voucher_type_active",
        "voucherCategory": "voucher_category",
        "debtCaseId": "debt_case_id",
        "invoiceFlowStatus": "invoice_flow_status",
        "payedFromBankAccount": "paid_from_bank_account",
        "bankAccount": "bank_account",
    },
}
"""Canonical entity -> the vendor's field -> column; an inner field as `metadata.ean`. The rest goes to
`extras`."""

_CARRIER: Final = {
    "carriers.id": "carriers.id",
    "carriers.name": "carriers.name",
    "carriers.key": "carriers.key",
    "carriers.carrierTypeId": "carriers.carrier_type_id",
    "carriers.carrierType.carrierTypeKind": "carriers.carrier_type_kind",
    "carriers.carrierType.name": "carriers.carrier_type_name",
    "carriers.carrierType.usedInAccounting": "carriers.used_in_accounting",
    "carriers.carrierType.usedInHour": "carriers.used_in_hour",
    "carriers.carrierType.usedInInvoice": "carriers.used_in_invoice",
    "carriers.carrierType.usedInLedger": "carriers.used_in_ledger",
    "carriers.carrierType.usedInSalary": "carriers.used_in_salary",
}
_SILENT: Final = {f"paymentInfo.{name}": DROPPED for name in CREDENTIALS[2:]}
"""Credentials stand nowhere."""
_HOMELESS: Final[Mapping[str, Mapping[str, str]]] = {
    "customer": {"paymentInfo.noEInvoice": EXTRAS, "invoiceInfo.noVatTaxUsage": EXTRAS},
    "supplier": {"customer": EXTRAS},
    "voucher_line": {"carriers.carrierType.id": EXTRAS},
}
"""Printed, and without a column."""


def _binding(entity: str) -> dict[str, str]:
    """Give the table that conversion works with; the id stands in the key."""
    inner = _CARRIER if entity == "voucher_line" else {}
    own = {"Id" if entity == "project" else "id": DROPPED, **_HOMELESS.get(entity, {})}
    return {**_SILENT, **dict.fromkeys(CREDENTIALS, DROPPED), **own, **MODELS[entity], **inner}


def _pascal(name: str) -> str:
    return ".".join(part[:1].upper() + part[1:] for part in name.split("."))


BINDINGS: Final = {entity: _binding(entity) for entity in MODELS}
"""Entity -> fields of its model as printed."""
DELETED: Final = {
    entity: {_pascal(name): column for name, column in table.items()} | table
    for entity, table in BINDINGS.items()
}
"""Entity -> fields of a delete, which is printed in PascalCase whatever the case of the model (D-37)."""


def _shape(entity: str) -> Shape:
    """Give the shape: one facet, since a model is always sent whole."""
    body = {column: name for name, column in MODELS[entity].items()}
    if entity == "voucher_line":
        body["voucher_ref"] = "voucherYear/voucherNumber"
    for field in ENTITIES[entity].fields:
        if field.name in body and field.pii in ("bank", "national_id"):
            body[f"{field.name}_hash"] = f"keyed hash of {body[field.name]}"
    return Shape("body", {"body": body})


SHAPES: Final[Mapping[str, Shape]] = {entity: _shape(entity) for entity in MODELS}

ROWS: Final = (
    row("DE-01", "Article Create", "item", "create"),
    row("DE-02", "Article Update", "item", "update"),
    row("DE-03", "Article Delete", "item", "delete"),
    row("DE-04", "Customer Create", "customer", "create"),
    row("DE-05", "Customer Update", "customer", "update"),
    row("DE-06", "Customer Delete", "customer", "delete"),
    row("DE-07", "Project Create", "project", "create"),
    row("DE-08", "Project Update", "project", "update"),
    row("DE-09", "Project Delete", "project", "delete"),
    row("DE-10", "Supplier Create", "supplier", "create"),
    row("DE-11", "Supplier Update", "supplier", "update"),
    row("DE-12", "Supplier Delete", "supplier", "delete"),
    row("DE-13", "Voucher Create", "voucher_line", "create"),
    row("DE-14", "Voucher Update", "voucher_line", "update"),
    row("DE-15", "Voucher Delete", "voucher_line", "delete"),
)
WORDS: Final = {
    "article": "item",
    "customer": "customer",
    "project": "project",
    "supplier": "supplier",
    "voucher": "voucher_line",
}
EVENTS: Final = EventTable(ROWS, WORDS, SHAPES)
