"""Every topic: its name, key, cleanup and limits. Docs, Helm and `topics plan` read this table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_MIB: Final = 1_048_576

RAW_RETENTION_MS: Final = 14 * _DAY_MS
GUARD_RETENTION_MS: Final = 15 * _DAY_MS
"""How long a tombstone, and so the memory of a delete, stays: longer than raw, so that a replay meets
every guard."""

_ALWAYS: Final = {
    "unclean.leader.election.enable": "false",
    "compression.type": "producer",
    "message.timestamp.type": "CreateTime",
}
_COMPACTED: Final = _ALWAYS | {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(_HOUR_MS),
    "max.compaction.lag.ms": str(_DAY_MS),
    "delete.retention.ms": str(GUARD_RETENTION_MS),
    "segment.ms": str(6 * _HOUR_MS),
    "segment.bytes": str(128 * _MIB),
    "min.cleanable.dirty.ratio": "0.3",
    "max.message.bytes": str(_MIB),
}


def _deleted(retention_ms: int, segment_bytes: int, max_message_bytes: int) -> dict[str, str]:
    return _ALWAYS | {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "segment.ms": str(_DAY_MS),
        "segment.bytes": str(segment_bytes),
        "max.message.bytes": str(max_message_bytes),
    }


RAW_MAX_BYTES: Final = 1_258_291
"""1.2 MiB: a body at its limit of 1 MiB plus its headers."""
QUARANTINE_MAX_BYTES: Final = 1_572_864
CHANGELOG_MAX_BYTES: Final = _MIB

CONFIGS: Final[Mapping[str, Mapping[str, str]]] = {
    "raw": _deleted(RAW_RETENTION_MS, 512 * _MIB, RAW_MAX_BYTES),
    "changelog": _COMPACTED,
    "events": _deleted(30 * _DAY_MS, 512 * _MIB, _MIB),
    "quarantine": _deleted(30 * _DAY_MS, 128 * _MIB, QUARANTINE_MAX_BYTES),
    "identity": _COMPACTED,
}

DOCS: Final[Mapping[str, str]] = {
    "raw": "Exact bytes of every event as received, credentials redacted. For operators.",
    "changelog": "The current state of every entity, and tombstones. For consumers.",
    "events": "One record per event with its verdict: applied, duplicate, stale or noted. For audit.",
    "quarantine": "Authentic bytes that could not be used, with the reason. For operators.",
    "identity": "The keys a vendor GUID was seen under. Written for re-keys.",
}


class Topic(msgspec.Struct, frozen=True):
    """One topic as it must be on the broker."""

    name: str
    kind: Literal["raw", "changelog", "events", "quarantine", "identity"]
    config: Mapping[str, str]
    doc: str


def changelog(prefix: str, entity: str, version: int) -> str:
    """Name the changelog topic of an entity; the first version has no suffix.

    Example:
        >>> changelog("erp", "customer", 2)
        'erp.changelog.customer.v2'
    """
    return f"{prefix}.changelog.{entity}" + (f".v{version}" if version > 1 else "")


class Topics:
    """Names under one prefix; strings are made once, not per record."""

    def __init__(
        self,
        prefix: str,
        sources: Iterable[str],
        entities: Iterable[str],
        versions: Mapping[str, int] | None = None,
    ) -> None:
        """Lay out the topics of `sources` (raw) and `entities` (changelog) under `prefix`.

        `versions` names entities whose changelog is not in its first topic any more.
        """
        versions = versions or {}
        self.prefix = prefix
        self.raw: Final[Mapping[str, str]] = {name: f"{prefix}.raw.{name}" for name in sources}
        self.changelog: Final[Mapping[str, str]] = {
            name: changelog(prefix, name, versions.get(name, 1)) for name in entities
        }
        self.events: Final = f"{prefix}.events"
        self.quarantine: Final = f"{prefix}.quarantine"
        self.identity: Final = f"{prefix}.identity"
        self.source_of: Final[Mapping[str, str]] = {topic: name for name, topic in self.raw.items()}

    def all(self) -> list[Topic]:
        """List every topic with its settings, in the order of the data's way."""
        return [
            *(self._topic(name, "raw") for name in self.raw.values()),
            *(self._topic(name, "changelog") for name in self.changelog.values()),
            self._topic(self.events, "events"),
            self._topic(self.quarantine, "quarantine"),
            self._topic(self.identity, "identity"),
        ]

    @staticmethod
    def _topic(name: str, kind: Literal["raw", "changelog", "events", "quarantine", "identity"]) -> Topic:
        return Topic(name, kind, CONFIGS[kind], DOCS[kind])
