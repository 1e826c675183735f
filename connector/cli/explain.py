"""`connector explain`: what a callback would become, without Kafka."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from connector.cli.context import (
    SourceName,
    json_option,
    load_settings,
    pairs,
    print_json,
    print_table,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.core.authenticate import Authentic
    from connector.core.avro import Codecs
    from connector.core.source import Source
    from connector.flow import Desk
    from connector.model import EntityKey, Known, Outcome, Quarantined, RawRecord
    from connector.topics import Topics


@click.command()
@click.option("--source", type=SourceName(), help="The vendor dialect.")
@click.option("--tenant", default="tenant", show_default=True, help="Tenant of the endpoint.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the callback.")
@click.option("--event", help="The event's name, where the body does not say it.")
@click.option("--sample", help="Explain one of the vendors' samples instead of FILE.")
@click.argument("file", required=False)
@json_option
@click.pass_context
def explain(  # noqa: PLR0913  one per option
    ctx: click.Context,
    *,
    source: str | None,
    tenant: str,
    headers: tuple[str, ...],
    event: str | None,
    sample: str | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Say what becomes of a callback's body (FILE, or - for standard input): key, topic, time, changelog.

    Nothing is verified, nothing is sent, and nothing is known of earlier callbacks.
    """
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish, topics_under
    from connector.runtime.registry import Registry, folder
    from connector.sources import SOURCES

    source, body, given = _chosen(source, sample, file)
    given |= pairs(headers, "--header")
    if event is not None:
        body, given = _named(source, event, body, given)
    settings = load_settings(ctx)
    topics = topics_under(settings.topics.prefix)
    desk, codecs = furnish(Registry.load(folder()), digest_key(settings), settings.worker.headers)
    vendor = SOURCES[source]
    authentic = vouched(vendor, tenant, body, given)
    parts = [
        _told(raw, outcomes, codecs, topics, settings.topics.partitions)
        for raw, outcomes in take(authentic, vendor, desk, Memory())
    ]
    if as_json:
        print_json(parts)
        return
    if not parts:
        click.echo("no events: answered with 202, nothing is stored")
    for at, part in enumerate(parts, start=1):
        _print(f"event {at} of {len(parts)}", part)


def _chosen(source: str | None, sample: str | None, file: str | None) -> tuple[str, bytes, dict[str, str]]:
    """Read FILE or a sample: source, body, and the headers that belong to it."""
    from connector.cli.samples import SAMPLES

    if sample is not None and sample not in SAMPLES:
        raise click.BadParameter(f"known are {', '.join(SAMPLES)}", param_hint="--sample")
    if (sample is None) == (file is None):
        raise click.UsageError("give FILE or --sample NAME, one of them")
    if sample is not None:
        return SAMPLES[sample].source, SAMPLES[sample].body, dict(SAMPLES[sample].headers)
    if source is None:
        raise click.UsageError("--source is needed with FILE")
    return source, read_body(str(file)), {}


def _named(source: str, event: str, body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Put an event's name where the vendor would: QuickFile around its items, Visma in a header."""
    if source == "quickfile":
        return b'{"PayLoad":{%b:%b}}' % (json.dumps(event).encode(), body), headers
    return body, {"x-vwd-event-id": event, **headers}


class Memory:
    """What is known of the keys met so far; at the beginning nothing."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key."""
        return self._known.get(key.text)

    glance = get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event changed."""
        if outcome.known is not None:
            self._known[key.text] = outcome.known


def vouched(source: Source, tenant: str, body: bytes, headers: dict[str, str]) -> Authentic:
    """Take a callback's proof for granted; it arrives now."""
    import time

    from connector.core.authenticate import Endpoint, HeaderSecret, Secret, vouch
    from connector.model import Callback

    scheme = HeaderSecret("authorization", (Secret(b"never asked for"),))
    endpoint = Endpoint(source=source.name, id="explain", tenant=tenant, schemes=(scheme,))
    callback = Callback(source.name, endpoint.id, headers, body, time.time_ns() // 1000, "explain")
    return vouch(callback, endpoint)


def take(
    authentic: Authentic, source: Source, desk: Desk, view: Memory
) -> Iterator[tuple[RawRecord | Quarantined, list[Outcome | Quarantined]]]:
    """Take one callback all the way; effects on other keys follow what caused them."""
    from connector import flow
    from connector.model import Quarantined, RawRecord

    for raw in flow.receive(authentic, source, desk.privacy):
        if isinstance(raw, Quarantined):
            yield raw, []
            continue
        waiting, outcomes = [raw], []
        while waiting:
            for one in flow.carry([waiting.pop(0)], source, view, desk):
                outcomes.append(one)
                if not isinstance(one, Quarantined):
                    waiting += [RawRecord(sent.key, sent.body, sent.meta) for sent in one.forwards]
        yield raw, outcomes


def _told(
    raw: RawRecord | Quarantined,
    outcomes: list[Outcome | Quarantined],
    codecs: Codecs,
    topics: Topics,
    partitions: int,
) -> dict[str, Any]:
    from connector.core.keys import partition_of
    from connector.model import Quarantined

    if isinstance(raw, Quarantined):
        return _set_aside(raw)
    first, *forwarded = outcomes
    told: dict[str, Any] = {
        "key": raw.key.text,
        "partition": partition_of(raw.key.text, partitions),
        "raw_topic": topics.raw[raw.key.source],
        "redacted": list(raw.meta.redacted),
        "flags": list(raw.meta.flags),
    }
    told |= _set_aside(first) if isinstance(first, Quarantined) else _outcome(first, codecs, topics)
    told["forwards"] = [
        _set_aside(one)
        if isinstance(one, Quarantined)
        else {"key": one.event.key.text, **_outcome(one, codecs, topics)}
        for one in forwarded
    ]
    return told


def _set_aside(one: Quarantined) -> dict[str, Any]:
    return {"verdict": "quarantined", "reason": one.reason, "where": one.where, "why": one.why}


def _outcome(outcome: Outcome, codecs: Codecs, topics: Topics) -> dict[str, Any]:
    from connector.core.times import to_rfc3339

    event = outcome.event
    return {
        "event": event.reading.event_type,
        "operation": event.reading.operation,
        "version": event.version,
        "time": to_rfc3339(event.version),
        "clock_suspect": event.clock_suspect,
        "zone_assumed": event.reading.zone_assumed,
        "facets": sorted(event.state.facets),
        "warnings": list(event.reading.warnings),
        "verdict": outcome.verdict,
        "changelog": [
            {
                "topic": topics.changelog.get(record.key.entity, topics.identity),
                "op": record.op,
                "headers": {name: value.decode() for name, value in record.headers if name[:6] == "x-erp-"},
                "value": record.value and _filled(codecs.decode(record.value)),
            }
            for record in outcome.records
        ],
    }


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if one is not None}


def _print(title: str, part: dict[str, Any]) -> None:
    """Print one event for people: what is empty or false is left out, and what every record has."""
    records, forwards = part.pop("changelog", []), part.pop("forwards", [])
    print_table(
        (title, ""),
        (
            (name, ", ".join(one) if isinstance(one, list) else one)
            for name, one in part.items()
            if one is not False and one != []
        ),
    )
    for record in records:
        value = record["value"]
        op = "tombstone" if value is None else record["op"]
        click.echo("\n" + click.style(f"-> {record['topic']}  {op}", bold=True))
        rows = {name: one for name, one in (value or {}).items() if not name.startswith("meta_")}
        rows |= {name: one for name, one in record["headers"].items() if name not in _EVERYWHERE}
        print_table(("field", "value"), ((f"  {name}", one) for name, one in rows.items()))
    click.echo()
    for at, one in enumerate(forwards, start=1):
        _print(f"forwarded {at} of {len(forwards)}", one)


_EVERYWHERE = ("x-erp-op", "x-erp-delivery-id")
