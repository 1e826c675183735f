"""One explained event as data: what `connector explain --json` prints and its tables are made of."""

from __future__ import annotations

from typing import Any, TypeAlias

from connector.cli.why import explained, facets_of, known_of, time_of
from connector.core.avro import Codecs
from connector.core.history import UNGUARDED
from connector.core.keys import partition_of
from connector.core.source import Source
from connector.core.times import MIN_PLAUSIBLE, to_rfc3339
from connector.core.tolerances import CLOCK_SUSPECT, ZONE_ASSUMED
from connector.model import ChangeEvent, Known, Outcome, Quarantined, RawRecord
from connector.topics import Topics

Step: TypeAlias = "tuple[Known | None, Outcome | Quarantined]"
"""What was known of the key before, and what became of the event."""


def told(
    raw: RawRecord | Quarantined,
    steps: list[Step],
    source: Source,
    codecs: Codecs,
    topics: Topics,
    partitions: int,
) -> dict[str, Any]:
    """Tell one part of a callback and everything it caused."""
    head = {"source": source.name, "title": source.title}
    if isinstance(raw, Quarantined):
        return head | _set_aside(raw)
    first, *forwarded = steps
    part = head | {
        "tenant": raw.key.tenant,
        "key": raw.key.text,
        "partition": partition_of(raw.key.text, partitions),
        "raw_topic": topics.raw[raw.key.source],
        "redacted": list(raw.meta.redacted),
    }
    part |= _step(first, source, codecs, topics)
    part["forwards"] = [{"key": _key(step[1]), **_step(step, source, codecs, topics)} for step in forwarded]
    return part


def _key(outcome: Outcome | Quarantined) -> str:
    return outcome.key if isinstance(outcome, Quarantined) else outcome.event.key.text


def _set_aside(one: Quarantined) -> dict[str, Any]:
    return {
        "verdict": "quarantined",
        "because": f"{one.reason}: {one.where}: {one.why}",
        "reason": one.reason,
        "where": one.where,
        "why": one.why,
        "error": one.error,
        "flags": list(one.meta.flags),
    }


def _step(step: Step, source: Source, codecs: Codecs, topics: Topics) -> dict[str, Any]:
    old, outcome = step
    if isinstance(outcome, Quarantined):
        return _set_aside(outcome)
    event = outcome.event
    reading = event.reading
    because, reasons = explained(old, outcome, source)
    return {
        "event": reading.event_type,
        "event_id": reading.event_id,
        "operation": reading.operation,
        "version": event.version,
        "time": time_of(event.version),
        "clock_suspect": event.clock_suspect,
        "clock": _clock(event),
        "zone_assumed": reading.zone_assumed,
        "flags": _flags(event),
        UNGUARDED: outcome.unguarded,
        "warnings": list(reading.warnings),
        "unknown_fields": list(reading.unknown_fields),
        "unknown_event": reading.unknown_event,
        "deprecated_for": reading.deprecated_for,
        "facets": facets_of(event.state),
        "known": known_of(old),
        "verdict": outcome.verdict,
        "because": because,
        "reasons": reasons,
        "changelog": [
            {
                "topic": topics.changelog.get(record.key.entity, topics.identity),
                "op": record.op,
                "headers": {name: value.decode() for name, value in record.headers if name[:6] == "x-erp-"},
                "value": record.value and _filled(codecs.decode(record.value, record.key.entity)),
            }
            for record in outcome.records
        ],
    }


def _flags(event: ChangeEvent) -> list[str]:
    """List everything that was bent, also what has a column of its own."""
    flags = [*event.flags]
    flags += [ZONE_ASSUMED] if event.reading.zone_assumed else []
    return flags + ([CLOCK_SUSPECT] if event.clock_suspect else [])


def _clock(event: ChangeEvent) -> str:
    """Say why the vendor's time was not believed; empty where it was."""
    if not event.clock_suspect:
        return ""
    if event.meta.origin == "forward":
        return "as of the event behind it"
    occurred = event.reading.occurred
    if occurred is None:
        return "missing or unreadable: the time of receipt counts"
    if occurred < MIN_PLAUSIBLE:
        return "before 2000: the time of receipt counts"
    return f"{to_rfc3339(occurred)} is more than 10 minutes ahead of the receipt, which counts"


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if one is not None}
