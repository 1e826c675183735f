"""`connector explain`: what a callback would become and why, without Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.cli.context import (
    SourceName,
    json_option,
    load_settings,
    pairs,
    print_json,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connector.cli.telling import Step
    from connector.core.authenticate import Authentic, Binding
    from connector.core.source import Source
    from connector.flow import Desk
    from connector.model import EntityKey, Known, Outcome, Quarantined, RawRecord
    from connector.runtime.settings import Settings


@click.command()
@click.option("--source", type=SourceName(), help="The vendor dialect.")
@click.option(
    "--endpoint",
    "endpoint_id",
    metavar="ID",
    help="As at this endpoint of the configuration: its source, tenant, companies and reading options.",
)
@click.option("--tenant", help="Tenant of the keys; by default the endpoint's, else `tenant`.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the callback.")
@click.option("--event", help="The event's name, where the body does not say it.")
@click.option("--sample", help="Explain one of the vendors' samples instead of FILE.")
@click.option("--received", metavar="TIME", help="When it arrived, such as 2025-11-01T12:00:00Z; else now.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What is known beforehand: a file that --save-state wrote. Without it nothing is.",
)
@click.option(
    "--save-state",
    "save_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what is known afterwards, for the next --state. May be the same file.",
)
@click.argument("file", required=False)
@json_option
@click.pass_context
def explain(  # noqa: PLR0913  one per option
    ctx: click.Context,
    *,
    source: str | None,
    endpoint_id: str | None,
    tenant: str | None,
    headers: tuple[str, ...],
    event: str | None,
    sample: str | None,
    received: str | None,
    state_file: Path | None,
    save_file: Path | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Say what becomes of a callback's body (FILE, or - for standard input), and why.

    For every event in it: key, topic, time, facets, tolerances, its verdict against what is known, the reason
    of the verdict in words, and the changelog records. Nothing is verified and nothing is sent.

    \b
    A chain of callbacks, each against what the ones before it left:
      connector explain --source duett --save-state known.json create.json
      connector explain --source duett --state known.json --save-state known.json delete.json
      connector explain --source duett --state known.json late-update.json
    \b
    As an endpoint of the configuration reads it, with its zone, aliases and pointers:
      connector --config connector.yaml explain --endpoint 3f6c0e6e5d5b4d3c body.json
    """  # noqa: D301  click's mark for lines that stay as they are
    from connector.cli import known
    from connector.cli.showing import print_event
    from connector.cli.telling import told
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish, topics_under
    from connector.runtime.registry import Registry, folder
    from connector.runtime.tuning import tuned

    settings = load_settings(ctx)
    whose: str | Binding = tenant or "tenant"
    if endpoint_id is not None:
        bound = _bound(settings, endpoint_id, source)
        source, whose = bound.source, tenant or bound
    source, body, given = _chosen(source, sample, file)
    given |= pairs(headers, "--header")
    if event is not None:
        body, given = _named(source, event, body, given)
    received_us = None if received is None else _received_us(received)
    view = Memory(None if state_file is None else known.read(state_file))
    worker = settings.worker
    topics = topics_under(settings.topics.prefix, settings.topics.versions)
    desk, codecs = furnish(
        Registry.load(folder()), digest_key(settings), worker.headers, worker.max_event_age_days
    )
    vendor = tuned(settings.endpoints)[source].at(endpoint_id or "")
    authentic = vouched(vendor, whose, body, given, received_us)
    parts = [
        told(raw, steps, vendor, codecs, topics, settings.topics.partitions)
        for raw, steps in trace(authentic, vendor, desk, view)
    ]
    if save_file is not None:
        known.write(save_file, view.known)
    if as_json:
        print_json(parts)
        return
    if not parts:
        click.echo("no events: answered with 202, nothing is stored")
    for at, part in enumerate(parts, start=1):
        print_event(f"event {at} of {len(parts)}", part)


def _bound(settings: Settings, endpoint_id: str, source: str | None) -> Binding:
    """Find an endpoint of the configuration."""
    from connector.runtime.credentials import binding

    found = [
        (at, one)
        for at, one in enumerate(settings.endpoints)
        if one.id == endpoint_id and source in (None, one.source)
    ]
    if len(found) != 1:
        known = ", ".join(f"{one.source} {one.id}" for one in settings.endpoints) or "none"
        why = "several sources have one of this id; add --source" if found else f"no such one; known: {known}"
        raise click.BadParameter(why, param_hint="--endpoint")
    at, one = found[0]
    return binding(one, f"endpoints[{at}]")


def _received_us(text: str) -> int:
    from connector.core.times import from_iso

    try:
        return from_iso(text) // 10
    except ValueError:
        raise click.BadParameter(
            "write a time with its zone, such as 2025-11-01T12:00:00Z", param_hint="--received"
        ) from None


def _chosen(source: str | None, sample: str | None, file: str | None) -> tuple[str, bytes, dict[str, str]]:
    """Read FILE or a sample: source, body, and the headers that belong to it."""
    from connector.cli.samples import SAMPLES

    if sample is not None and sample not in SAMPLES:
        raise click.BadParameter(f"known are {', '.join(SAMPLES)}", param_hint="--sample")
    if (sample is None) == (file is None):
        raise click.UsageError("give FILE or --sample NAME, one of them")
    if sample is not None:
        if source not in (None, SAMPLES[sample].source):
            raise click.UsageError(f"{sample} is a callback of {SAMPLES[sample].source}, not of {source}")
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
    """What is known of the keys: what was given, and what the events met so far have changed."""

    def __init__(self, known: Mapping[str, Known] | None = None) -> None:
        self.known: dict[str, Known] = dict(known or {})

    def get(self, key: EntityKey) -> Known | None:
        """Give what is known of a key."""
        return self.known.get(key.text)

    glance = get

    def put(self, key: EntityKey, outcome: Outcome) -> None:
        """Remember what an applied event changed."""
        if outcome.known is not None:
            self.known[key.text] = outcome.known


def vouched(
    source: Source,
    whose: str | Binding,
    body: bytes,
    headers: dict[str, str],
    received_us: int | None = None,
) -> Authentic:
    """Take a callback's proof for granted; it arrives now unless a time is given.

    Args:
        source: The vendor dialect.
        whose: A tenant, or an endpoint of the configuration.
        body: Of the callback.
        headers: Of the callback, names in lower case.
        received_us: When it arrived.
    """
    import time

    from connector.core.authenticate import Binding, Endpoint, HeaderSecret, Secret, vouch
    from connector.model import Callback

    if received_us is None:
        received_us = time.time_ns() // 1000
    scheme = HeaderSecret("authorization", (Secret(b"never asked for"),))
    if isinstance(whose, str):
        whose = Binding(source=source.name, id="explain", tenant=whose)
    endpoint = Endpoint(
        source=whose.source,
        id=whose.id,
        tenant=whose.tenant,
        tenants=whose.tenants,
        companies=whose.companies,
        schemes=(scheme,),
    )
    return vouch(Callback(source.name, endpoint.id, headers, body, received_us, "explain"), endpoint)


def trace(
    authentic: Authentic, source: Source, desk: Desk, view: Memory
) -> Iterator[tuple[RawRecord | Quarantined, list[Step]]]:
    """Take one callback all the way; effects on other keys follow what caused them."""
    from connector import flow
    from connector.model import Quarantined, RawRecord

    for raw in flow.receive(authentic, source, desk.privacy):
        if isinstance(raw, Quarantined):
            yield raw, []
            continue
        waiting, steps = [raw], []
        while waiting:
            one = waiting.pop(0)
            old = view.get(one.key)
            (outcome,) = flow.carry([one], source, view, desk)
            steps.append((old, outcome))
            if not isinstance(outcome, Quarantined):
                waiting += [RawRecord(sent.key, sent.body, sent.meta) for sent in outcome.forwards]
        yield raw, steps


def take(
    authentic: Authentic, source: Source, desk: Desk, view: Memory
) -> Iterator[tuple[RawRecord | Quarantined, list[Outcome | Quarantined]]]:
    """Take one callback all the way; give what became of each event, without what was known before."""
    for raw, steps in trace(authentic, source, desk, view):
        yield raw, [outcome for _, outcome in steps]
