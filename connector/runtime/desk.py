"""The pure stations, furnished: schemas from the lock, tables from the modules, the digest key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from connector.core.avro import Codecs
from connector.core.changelog import EntityChangelog
from connector.core.privacy import Privacy
from connector.entities import ARRAYS, ENTITIES
from connector.flow import DAY_TICKS, Desk
from connector.sources import SOURCES
from connector.topics import CHANGELOG_MAX_BYTES, Topics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.runtime.registry import Registry

_ROOM_BYTES = 16_384
"""Left for key, headers and batch overhead below a topic's `max.message.bytes`."""


def furnish(
    registry: Registry,
    digest_key: bytes | None,
    headers: Literal["full", "minimal"] = "full",
    max_event_age_days: int | None = None,
) -> tuple[Desk, Codecs]:
    """Build what `flow.carry` needs, and the codecs that read any locked schema."""
    codecs = registry.codecs()
    max_bytes = CHANGELOG_MAX_BYTES - _ROOM_BYTES
    changelogs = {
        (source.name, entity): EntityChangelog(
            source,
            ENTITIES[entity],
            ARRAYS,
            codecs.writer(entity),
            minimal_headers=headers == "minimal",
            max_bytes=max_bytes,
        )
        for source in SOURCES.values()
        for entity in source.shapes
    }
    privacy = Privacy(digest_key, ENTITIES)
    desk = Desk(
        privacy,
        changelogs,
        codecs.writer("event"),
        codecs.writer("identity"),
        max_bytes,
        None if max_event_age_days is None else max_event_age_days * DAY_TICKS,
    )
    return desk, codecs


def topics_under(prefix: str, versions: Mapping[str, int] | None = None) -> Topics:
    """Lay out the topics of all sources and entities; `versions` as in `topics.versions`."""
    return Topics(prefix, SOURCES, ENTITIES, versions)
