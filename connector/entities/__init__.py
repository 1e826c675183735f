"""The 20 canonical entities, one changelog topic each.

Common to all records and therefore in no table: the `meta_*` fields and `id` before the columns,
`extras` after them.
"""

from __future__ import annotations

from typing import Final

from connector.entities import catalogue, ledger, parties, shared, trade
from connector.entities.fields import Array, Entity, Kind

ENTITIES: Final[dict[str, Entity]] = {
    entity.name: entity
    for entity in (
        ledger.ACCOUNT,
        parties.CUSTOMER,
        parties.CUSTOMER_CONTACT,
        trade.CUSTOMER_INVOICE,
        ledger.DIMENSION,
        parties.EMPLOYEE,
        catalogue.ITEM,
        ledger.JOURNAL_VOUCHER,
        ledger.JOURNAL_VOUCHER_DOCUMENT,
        trade.PAYMENT,
        catalogue.PROJECT,
        catalogue.PROJECT_TASK,
        trade.PURCHASE_ORDER,
        trade.SALES_ORDER,
        ledger.SEGMENT,
        ledger.SEGMENT_VALUE,
        trade.SHIPMENT,
        parties.SUPPLIER,
        trade.SUPPLIER_INVOICE,
        ledger.VOUCHER_LINE,
    )
}
"""Name -> entity, sorted by name."""

ARRAYS: Final[dict[Kind, Array]] = {
    Kind.CARRIERS: shared.CARRIER,
    Kind.LINES: shared.LINE,
    Kind.MERGED: shared.MERGED_FROM,
    Kind.ALLOCATIONS: shared.ALLOCATION,
}
"""Kind of an array column -> the record that stands in it."""
