"""What is sold and worked on: items, projects and their tasks."""

from __future__ import annotations

from typing import Final

from connector.entities.fields import Entity, date, flag, money, quantity, text
from connector.entities.shared import GUID, rekeyed

ITEM: Final = Entity(
    "item",
    "A sold or bought article: Duett Article or Visma inventory item.",
    (
        text("number", "Item number; may hold `/` and `*`.", identifier=True),
        text("name", "Name of the item."),
        text("item_type", "Type of item, the vendor's word, such as `normal`."),
        quantity("sales_price", "Price of one unit; the vendor sends no currency with it."),
        text("invoice_status", "A property of the article, the vendor's word; not a status of a document."),
        text("description", "Free text."),
        text("ean", "Bar code number, as text."),
        quantity("net_weight", "Net weight; the vendor names no unit."),
        quantity("gross_weight", "Gross weight; the vendor names no unit."),
        quantity("net_volume", "Net volume; the vendor names no unit."),
        quantity("gross_volume", "Gross volume; the vendor names no unit."),
        text("supplier_item_number", "The supplier's number of the item."),
        text("supplier_item_name", "The supplier's name of the item."),
        text("unit", "Unit of measure, the vendor's code, such as `stk`."),
        flag("visible_in_api", "Whether the vendor shows it to integrations; a second flag beside `active`."),
        flag("active", "Whether the item is in use."),
        *rekeyed(),
        GUID,
    ),
)

PROJECT: Final = Entity(
    "project",
    "A project: Duett Project (also a carrier), or Visma Project and PM Project.",
    (
        text("number", "Project number; a leading comma as in `,300` belongs to it.", identifier=True),
        text("name", "Name of the project."),
        date("start_date", "Day it starts, as written."),
        date("end_date", "Day it is planned to end, as written."),
        date("actual_end_date", "Day it ended, as written."),
        money("contract_amount", "Amount of the contract; the vendor sends no currency with it."),
        text("description", "Free text."),
        text("customer_id", "Id of the customer it is done for."),
        text("leader_carrier_id", "Carrier id of its leader, an employee.", "person"),
        text("carrier_id", "Id of the project as a carrier of posted rows."),
        *rekeyed(),
        GUID,
    ),
)

PROJECT_TASK: Final = Entity(
    "project_task",
    "A task of a Visma.net project.",
    (
        text("number", "Task number, the last part of the id; may name only the project.", identifier=True),
        text("project_id", "First of two parts of the id; null for one part."),
        GUID,
    ),
)
