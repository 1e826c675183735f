"""Erasure on demand: a raw record of an operator's under the key of the entity that is to go.

The key's one writer takes it as a delete, in the same transaction as everything else, so nothing can race
it. Its version lies as far behind its receipt as a vendor's clock may run ahead: every event received
until then is older and stays away, whether it comes late, by a replay or by a rebuild. Its records name
no identifier of the entity. What `erp.identity` knows of the entity's GUIDs is erased by forwards.
"""

from __future__ import annotations

from typing import Final

from connector.core import identity
from connector.core.join import REKEY
from connector.model import TICKS_PER_US, EntityKey, RawMeta, RawRecord, Reading, State

ORIGIN: Final = "erase"
AHEAD_TICKS: Final = 600 * 10_000_000
"""How far a vendor's clock may run ahead of ours: 10 minutes."""
_BODY: Final = b"{}"


def erasure(key: EntityKey, delivery_id: str, received_us: int, marker: str) -> RawRecord:
    """Make the raw record that erases a key.

    Args:
        key: Of an entity.
        delivery_id: As of a callback.
        received_us: Now.
        marker: Names the erasure in every record it leads to; nothing of the entity may be read from it.
    """
    meta = RawMeta(delivery_id, received_us, origin=ORIGIN, event=ORIGIN, event_id=marker)
    return RawRecord(key, _BODY, meta)


def version(meta: RawMeta) -> int:
    """Give the version of an erasure."""
    return meta.received_us * TICKS_PER_US + AHEAD_TICKS


def reading(meta: RawMeta) -> Reading:
    """Say what an erasure says."""
    return Reading(
        event_id=meta.event_id,
        event_type=meta.event,
        operation="delete",
        occurred=version(meta),
        deletes=True,
    )


def sightings(key: EntityKey, state: State, at: int) -> list[tuple[EntityKey, State]]:
    """Give the keys under which the GUIDs of a known state are remembered, and the delete of each."""
    guids = {name.removeprefix(REKEY) for name in state.facets if name.startswith(REKEY)}
    ids = state.facets.get("ids")
    if ids is not None and (guid := ids.fields.get("vendor_guid")):
        guids.add(str(guid))
    return [(identity.owner(key, guid), State(deleted=at)) for guid in sorted(guids)]
