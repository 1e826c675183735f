"""The vendors, one line each. A new one is a module ending in `SOURCE` and a line here."""

from __future__ import annotations

from typing import Final

from connector.core.source import Source
from connector.sources import duett, quickfile, visma_journal, visma_net, visma_sales

SOURCES: Final[dict[str, Source]] = {
    source.name: source
    for source in (
        duett.SOURCE,
        quickfile.SOURCE,
        visma_net.SOURCE,
        visma_sales.SOURCE,
        visma_journal.SOURCE,
    )
}
"""Name in URLs and topics -> source."""
