"""Where each changelog stands: `connector rebuild` writes the next version, `topics.versions` chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.entities import ENTITIES
from connector.sources import SOURCES
from connector.topics import Topics

if TYPE_CHECKING:
    from connector.runtime.settings import Settings


def topics_of(settings: Settings, ahead: Mapping[str, int] | None = None) -> Topics:
    """Lay out the topics as the settings choose them; `ahead` overrules the versions of some entities."""
    versions = {**settings.topics.versions, **(ahead or {})}
    return Topics(settings.topics.prefix, SOURCES, ENTITIES, versions)
