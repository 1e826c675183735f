"""A quarantined record through today's receive, normalise and compact, to see what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from connector import flow
from connector.core.again import again
from connector.model import EntityKey, Known, Outcome, Quarantined, RawRecord
from connector.runtime.credentials import binding
from connector.runtime.quarantine import Held, Tried
from connector.sources import SOURCES

if TYPE_CHECKING:
    from connector.core.authenticate import Binding
    from connector.core.source import Source
    from connector.flow import Desk
    from connector.runtime.settings import Settings


def bindings(settings: Settings) -> dict[tuple[str, str], Binding]:
    """Say whose data comes in at which endpoint; secrets that prove senders are not read.

    Raises:
        Misconfigured: A company id is not where the settings say.
    """
    return {
        (one.source, one.id): binding(one, f"endpoints[{at}]") for at, one in enumerate(settings.endpoints)
    }


class _Nothing:
    """A view in which nothing is known: a retry may not look into the worker's state."""

    def get(self, key: EntityKey) -> Known | None:
        """Know nothing."""
        del key
        return None

    glance = get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember nothing."""


def retry(
    held: Held,
    bindings: Mapping[tuple[str, str], Binding],
    desk: Desk,
    *,
    max_records: int,
    sources: Mapping[str, Source] = SOURCES,
) -> Tried:
    """Say what a quarantined record is today: through receive, normalise and compact, writing nothing.

    A record that raises anything but a refusal would end the worker: it stays, and says so.
    """
    record = held.record
    source = sources.get(record.source)
    if source is None:
        return Tried(held, (), (msgspec.structs.replace(record, why="no such source"),))
    usable: list[RawRecord] = []
    left: list[Quarantined] = []
    try:
        binding = bindings.get((record.source, record.meta.endpoint))
        for one in again(record, source, binding, desk.privacy, max_records=max_records):
            if isinstance(one, RawRecord):
                (outcome,) = flow.carry([one], source, _Nothing(), desk)
                if isinstance(outcome, Outcome):
                    usable.append(one)
                else:
                    left.append(outcome)
            else:
                left.append(one)
    except Exception as bug:  # noqa: BLE001  whatever it is, it would end the worker
        why = f"a bug of this version, {type(bug).__name__}: it would end the worker"
        return Tried(held, (), (msgspec.structs.replace(record, why=why),))
    return Tried(held, tuple(usable), tuple(left))
