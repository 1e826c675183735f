"""What the changelogs must end in, by the pure functions alone: no Kafka, no order, no duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector.cli.explain import Memory, take, vouched
from connector.cli.samples import Sample
from connector.core.avro import Codecs
from connector.errors import Unusable
from connector.flow import Desk
from connector.model import Outcome, Quarantined
from connector.sources import SOURCES

IDENTITY = "identity"


def predict(
    samples: Iterable[Sample], tenants: Mapping[str, str], desk: Desk, codecs: Codecs
) -> dict[str, dict[str, Any] | None]:
    """Take every sample once and give the last record of every key; None is a tombstone.

    Args:
        samples: The callbacks.
        tenants: Source -> tenant of its endpoint.
        desk: Under the deployment's digest key.
        codecs: Every locked schema.

    Raises:
        Unusable: A sample went to quarantine; they are all meant to be usable.
    """
    view = Memory()
    ends: dict[str, dict[str, Any] | None] = {}
    for sample in samples:
        source = SOURCES[sample.source]
        authentic = vouched(source, tenants[source.name], sample.body, sample.headers)
        for raw, outcomes in take(authentic, source, desk, view):
            for outcome in (*outcomes, raw):
                if isinstance(outcome, Quarantined):
                    raise Unusable(f"{sample.name} {outcome.where}", outcome.why)
                for record in outcome.records if isinstance(outcome, Outcome) else ():
                    if record.key.entity != IDENTITY:
                        key, value = record.key, record.value
                        ends[key.text] = None if value is None else codecs.decode(value, key.entity)
    return ends


def as_predicted(value: Mapping[str, Any] | None, expected: Mapping[str, Any] | None) -> bool:
    """Compare the end of a key with its prediction; what only describes the last event may differ."""
    if value is None or expected is None:
        return value is expected
    return _state(value) == _state(expected)


_KEPT = ("meta_op", "meta_key", "meta_version", "meta_clocks")


def _state(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name in _KEPT or not name.startswith("meta_")}
