"""The vendors' printed samples, with made-up ids where a document masks them; for `send` and `demo`.

`duett-voucher-deleted` is printed without a comma after `clientKey`, which is no JSON, and is sent so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path(__file__).parent.parent / "samples"

DUETT_COMPANY: Final = "25508d90-7c58-49cd-8baf-7274a3a0420c"
"""`clientKey` in every Duett sample."""
VISMA_COMPANY: Final = "1262489"
"""`contextId` or `companyId` in every Visma.net sample."""
VISMA_TENANT: Final = "f6cd9a52-3b1e-4f7c-8d20-94c1e0a76183"
"""`x-vwd-tenant-id` of the samples whose body names no company."""


class Sample(msgspec.Struct, frozen=True):
    """One callback."""

    name: str
    """File name without `.json`."""
    source: str
    headers: dict[str, str] = {}
    """Vendor headers that are part of it: what Visma's unpublished bodies do not say stands there."""

    @property
    def body(self) -> bytes:
        """The exact bytes."""
        return (FOLDER / f"{self.name}.json").read_bytes()


def _dispatched(event: str, number: int, sent_ms: int) -> dict[str, str]:
    return {
        "x-vwd-event-id": event,
        "x-vwd-notification-id": f"cccccccc-0000-4000-8000-{number:012d}",
        "x-vwd-notification-timestamp": str(sent_ms),
        "x-vwd-tenant-id": VISMA_TENANT,
    }


SAMPLES: Final[dict[str, Sample]] = {
    sample.name: sample
    for sample in (
        Sample("duett-customer-created", "duett"),
        Sample("duett-customer-updated", "duett"),
        Sample("duett-item-created", "duett"),
        Sample("duett-project-created", "duett"),
        Sample("duett-supplier-updated", "duett"),
        Sample("duett-voucher-created", "duett"),
        Sample("duett-voucher-updated", "duett"),
        Sample("duett-voucher-mistaken", "duett"),
        Sample("duett-voucher-deleted", "duett"),
        Sample("visma-net-customer-changed", "visma-net"),
        Sample("visma-net-customer-updated", "visma-net"),
        Sample("visma-net-salesorder-legacy", "visma-net"),
        Sample("visma-net-grouped", "visma-net"),
        Sample("visma-net-account-created", "visma-net"),
        Sample("visma-net-account-renumbered", "visma-net"),
        Sample("visma-net-shipment-changed", "visma-net"),
        Sample("visma-net-shipment-deleted", "visma-net"),
        Sample("visma-net-invoice-status", "visma-net"),
        Sample(
            "visma-sales-order-created",
            "visma-sales",
            _dispatched("SALESORDER_CREATED", 1, 1_761_836_757_790),
        ),
        Sample(
            "visma-journal-received",
            "visma-journal",
            _dispatched("VOUCHER_RECEIVED", 2, 1_761_836_760_120),
        ),
        Sample(
            "visma-journal-document",
            "visma-journal",
            _dispatched("VOUCHER_DOCUMENT_SYNCHRONIZED", 3, 1_761_836_764_870),
        ),
        Sample("quickfile-invoices", "quickfile"),
        Sample("quickfile-clients", "quickfile"),
        Sample("quickfile-merge", "quickfile"),
        Sample("quickfile-payment", "quickfile"),
        Sample("quickfile-estimate-accepted", "quickfile"),
    )
}
