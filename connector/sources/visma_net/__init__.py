"""Visma.net ERP (publisher Visma Net Financial): 44 events in three envelopes.

An event announces that something changed and where it can be read; the entity itself is not sent. The
legacy and the Changed envelope have `contextId` and resource paths, the Created/Updated/Deleted one has
`companyId`, `entityId` (a GUID) and `entityLocation`. They are told apart by their fields, never by the
event's name, so one change that arrives as both ends in one state.

    table     the vendor's events, what is kept of each entity, the words entities go by
    reading   split, address, normalise, derive

Source: Visma "Webhooks" guide and "Supported events and entities".
"""

from __future__ import annotations

from connector.sources.visma_net.reading import SOURCE

__all__ = ["SOURCE"]
