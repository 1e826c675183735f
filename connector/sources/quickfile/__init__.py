"""QuickFile: 19 events about invoices, clients, suppliers and payments; ids, hardly any content.

One body holds several event names, each an array of items, the newest first. An item is one raw record,
or two where it speaks of an invoice and of a payment. The name of an item's event stands outside the
item, and so does the id of the POST, so both travel beside the bytes. Times have no zone (A-41).

    table     the vendor's events, what is kept of each entity, the fields its documents name
    reading   split, address, normalise, derive

Source: QuickFile "Webhook Schema Documentation"; the wrapper `PayLoad` is from public receivers (A-38).
"""

from __future__ import annotations

from connector.sources.quickfile.reading import SOURCE

__all__ = ["SOURCE"]
