"""`connector quarantine`: see what could not be used, and let today's code try again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from connector.cli.context import SourceName, json_option, load_settings, print_table
from connector.errors import REASONS

if TYPE_CHECKING:
    from connector.runtime.quarantine import Held, Place, Quarantine, Tried, Wanted
    from connector.runtime.settings import Settings

_SPAN = re.compile(r"(\d{1,6})([smhd])").fullmatch
_PLACE = re.compile(r"(\d{1,9})/(\d{1,18})").fullmatch
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HOSTILE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What a terminal would act on: control characters, and those that turn the direction of text."""


def tame(text: str) -> str:
    r"""Write what a terminal would act on as its escape.

    Example:
        >>> tame("a\x1b[2Jb\u202e")
        'a\\x1b[2Jb\\u202e'
    """
    return _HOSTILE.sub(lambda hit: hit[0].encode("unicode_escape").decode(), text)


class _Place(click.ParamType):
    name = "partition/offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        hit = _PLACE(str(value))
        if hit is None:
            self.fail("write PARTITION/OFFSET, such as 3/17", param, ctx)
        return int(hit[1]), int(hit[2])


class _Since(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        import time

        from connector.core.times import from_naive

        if hit := _SPAN(str(value)):
            return time.time_ns() // 1000 - int(hit[1]) * _SECONDS[hit[2]] * 1_000_000
        try:
            return from_naive(str(value))[0] // 10
        except ValueError:
            return self.fail(
                "write a span such as 90m, 12h, 7d, or a time such as 2025-11-01T12:00:00Z", param, ctx
            )


_reason = click.option("--reason", "reasons", multiple=True, type=click.Choice(REASONS), help="Only these.")
_source = click.option("--source", type=SourceName(), help="Only this vendor's.")
_since = click.option(
    "--since", type=_Since(), help="Only received at or after: 12h, 7d, or 2025-11-01T12:00:00Z."
)


@click.group()
def quarantine() -> None:
    """See authentic callbacks that could not be used, and try them again."""


@quarantine.command("list")
@_reason
@_source
@_since
@click.option("--all", "everything", is_flag=True, help="Also what a retry has made usable since.")
@json_option
@click.pass_context
def list_(
    ctx: click.Context,
    *,
    reasons: tuple[str, ...],
    source: str | None,
    since: int | None,
    everything: bool,
    as_json: bool,
) -> None:
    """List what stands in quarantine, without bodies."""
    from connector.runtime.quarantine import Wanted

    settings = load_settings(ctx)
    found = [
        _row(held) for held in _open(settings).held(Wanted(reasons, source, since or 0), released=everything)
    ]
    found.sort(key=lambda row: (row["received"], row["offset"]))
    if as_json:
        _print_json(found)
    elif not found:
        click.echo("nothing in quarantine")
    else:
        shown = ("offset", "received", "source", "reason", "where", "key", "bytes")
        print_table(shown, (tuple(tame(str(row[name])) for name in shown) for row in found))


@quarantine.command()
@click.argument("place", type=_Place(), metavar="PARTITION/OFFSET")
@click.option("--body", "only_body", is_flag=True, help="Write the exact bytes and nothing else, for a file.")
@json_option
@click.pass_context
def show(ctx: click.Context, *, place: Place, only_body: bool, as_json: bool) -> None:
    """Show one record: why it is there, what came with it, and its body, credentials redacted."""
    held = _open(load_settings(ctx)).one(place)
    body = held.record.body
    if only_body:
        click.get_binary_stream("stdout").write(body)
    elif as_json:
        import base64

        text = body.decode(errors="backslashreplace")
        _print_json({**_row(held), **_details(held), "body": text, "base64": base64.b64encode(body).decode()})
    else:
        rows = {**_row(held), **_details(held)}
        print_table(("field", "value"), ((name, tame(str(one))) for name, one in rows.items() if one != ""))
        click.echo("\n" + tame(body.decode(errors="backslashreplace")))


@quarantine.command()
@_reason
@_source
@_since
@click.option("--offset", "places", multiple=True, type=_Place(), help="Only this record; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def retry(  # noqa: PLR0913  one per option
    ctx: click.Context,
    *,
    reasons: tuple[str, ...],
    source: str | None,
    since: int | None,
    places: tuple[Place, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take records through today's code and configuration; what is usable goes to the raw topics.

    What still cannot be used stays. Running it twice does no harm: the merge absorbs repeats.
    """
    from connector.runtime.quarantine import Wanted

    if as_json and not (dry_run or yes):
        raise click.UsageError("--json does not ask: add --dry-run or --yes")
    settings = load_settings(ctx)
    topic = _open(settings)
    wanted = Wanted(reasons, source, since or 0, frozenset(places))
    rows: list[dict[str, str]] = []
    usable: set[Place] = set()
    for one in _tries(settings, topic, wanted, released=bool(places)):
        rows += _told(one)
        if one.usable:
            usable.add(one.held.place)
    rows.sort(key=lambda row: [int(part) for part in row["offset"].split("/")])
    _print_plan(rows, as_json=as_json)
    if dry_run or not usable:
        return
    if not yes:
        click.confirm(f"write {len(usable)} of them to the raw topics?", abort=True, err=True)
    again = _tries(settings, topic, Wanted(places=frozenset(usable)), released=True)
    released = topic.write(again)
    if not as_json:
        click.echo(f"{released} written to the raw topics")


def _print_json(told: object) -> None:
    import json

    text = json.dumps(told, indent=2, ensure_ascii=False)
    click.echo(_HOSTILE.sub(lambda hit: f"\\u{ord(hit[0]):04x}", text))


def _open(settings: Settings) -> Quarantine:
    from connector.runtime.desk import topics_under
    from connector.runtime.quarantine import Quarantine

    return Quarantine(settings, topics_under(settings.topics.prefix, settings.topics.versions))


def _tries(settings: Settings, topic: Quarantine, wanted: Wanted, *, released: bool) -> Iterator[Tried]:
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish
    from connector.runtime.registered import known_schemas
    from connector.runtime.retry import bindings, retry
    from connector.runtime.tuning import tuned

    desk, _ = furnish(known_schemas(settings), digest_key(settings))
    bound, most = bindings(settings), settings.ingress.max_records
    sources = tuned(settings.endpoints)
    return (
        retry(held, bound, desk, max_records=most, sources=sources)
        for held in topic.held(wanted, released=released)
    )


def _row(held: Held) -> dict[str, Any]:
    from connector.core.times import to_rfc3339

    one = held.record
    return {
        "offset": held.name,
        "received": to_rfc3339(one.meta.received_us * 10)[:19] + "Z",
        "source": one.source,
        "reason": one.reason,
        "where": one.where,
        "why": one.why,
        "key": one.key,
        "bytes": len(one.body),
    }


def _details(held: Held) -> dict[str, Any]:
    one, meta = held.record, held.record.meta
    at = one.position
    return {
        "delivery_id": meta.delivery_id,
        "endpoint": meta.endpoint,
        "part": f"{meta.index + 1} of {meta.count}",
        "event": meta.event,
        "event_id": meta.event_id,
        "origin": meta.origin,
        "flags": ", ".join(meta.flags),
        "redacted": ", ".join(meta.redacted),
        "raw": "" if at is None else f"{at.topic}/{at.partition}/{at.offset}",
        "body_sha256": meta.body_sha256,
        "error": one.error,
        "code_version": held.code_version,
        **{f"header {name}": text for name, text in meta.headers.items()},
    }


def _told(tried: Tried) -> Iterable[dict[str, str]]:
    name, was = tried.held.name, tried.held.record.reason
    for raw in tried.usable:
        yield {"offset": name, "was": was, "now": "usable", "key": raw.key.text, "why": ""}
    for one in tried.left:
        why = f"{one.where}: {one.why}" if one.where else one.why
        yield {"offset": name, "was": was, "now": one.reason, "key": one.key, "why": why}


def _print_plan(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        _print_json(rows)
    elif not rows:
        click.echo("nothing in quarantine that was asked for")
    else:
        print_table([*rows[0]], (tuple(tame(one) for one in row.values()) for row in rows))
