"""Duett: articles, customers, projects, suppliers and posted voucher rows, as full models.

One body is one event. The model travels in `data` as JSON *text*, nulls left out, its names in camelCase
or PascalCase depending on the object; both are read. A delete carries keys only. There is no event id, so
one is made from what the vendor says about the event; a copy fetched later has the same.

The printed notification is no valid JSON (a comma is missing); a body with exactly such a fault is
mended for reading, kept as it came, and flagged `repaired`.

    table     the vendor's events, and which of its fields feeds which column
    reading   split, address, normalise, derive

Source: Duett "WebHook" guide. Missed events stay five days at /WebHook/v2/Notifications.
"""

from __future__ import annotations

from typing import Final

from connector.core.source import Source, tunable
from connector.sources.duett.reading import address, derive, normalise, split
from connector.sources.duett.table import CREDENTIALS, EVENTS, NAME, ROWS, SHAPES

SOURCE: Final = tunable(
    Source(
        name=NAME,
        title="Duett",
        split=split,
        address=address,
        normalise=normalise,
        derive=derive,
        shapes=SHAPES,
        events=ROWS,
        credentials=CREDENTIALS,
        company_credential="clientKey",
    ),
    EVENTS,
)
