"""`connector replay`: let the worker take raw records once more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.bar import bar
from connector.cli.context import SourceName, json_option, load_settings, print_json, print_table

if TYPE_CHECKING:
    from connector.core.selection import Selection, Span
    from connector.runtime.bookmark import Bookmark
    from connector.runtime.replay import Plan, Replay
    from connector.runtime.settings import Settings

_AGO = re.compile(r"(\d{1,6})([smhd])").fullmatch
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Time(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        import time

        from connector.core.times import from_naive

        if hit := _AGO(str(value)):
            return time.time_ns() // 1000 - int(hit[1]) * _SECONDS[hit[2]] * 1_000_000
        try:
            return from_naive(str(value))[0] // 10
        except ValueError:
            self.fail("write a span such as 90m, 12h, 7d, or a time such as 2025-11-01T12:00:00Z", param, ctx)


class _Span(click.ParamType):
    name = "topic/partition/offsets"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Span:
        from connector.core.selection import Span

        try:
            return Span.parse(str(value))
        except ValueError as error:
            self.fail(f"{error}; write TOPIC/PARTITION/FIRST-LAST, such as erp.raw.duett/7/10-20", param, ctx)


class _Entity(click.ParamType):
    name = "entity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from connector.entities import ENTITIES

        if value not in ENTITIES:
            self.fail(f"no such entity; known are {', '.join(ENTITIES)}", param, ctx)
        return str(value)


@click.command()
@click.option("--source", "sources", multiple=True, type=SourceName(), help="Only this vendor's.")
@click.option("--tenant", "tenants", multiple=True, help="Only this tenant's.")
@click.option("--entity", "entities", multiple=True, type=_Entity(), help="Only events of this entity.")
@click.option("--since", type=_Time(), help="Only received at or after: 12h, 7d, or 2025-11-01T12:00:00Z.")
@click.option("--until", type=_Time(), help="Only received before; written as --since.")
@click.option(
    "--offsets",
    "spans",
    multiple=True,
    type=_Span(),
    help="Only these records, as TOPIC/PARTITION/OFFSET or TOPIC/PARTITION/FIRST-LAST.",
)
@click.option("--copies", is_flag=True, help="Also what an earlier replay wrote.")
@click.option("--yes", is_flag=True, help="Write them; without it nothing is written.")
@click.option("--rate", type=click.IntRange(min=1), help="Records per second at most.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that notes how far it came; if it is there, go on from it. With --yes.",
)
@json_option
@click.pass_context
def replay(  # noqa: PLR0913  one per option
    ctx: click.Context,
    *,
    sources: tuple[str, ...],
    tenants: tuple[str, ...],
    entities: tuple[str, ...],
    since: int | None,
    until: int | None,
    spans: tuple[Span, ...],
    copies: bool,
    yes: bool,
    rate: int | None,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Write raw records to the raw topics again; the worker takes them as on the first day.

    Without --yes it only counts. What the state knows already changes nothing, so a replay may be repeated
    and interrupted, and workers and ingress go on meanwhile. The options narrow it down; all of them must
    hold, and of an option that is repeated one.
    """
    from connector.core.selection import Selection

    if not yes and (resume is not None or rate is not None):
        raise click.UsageError("--resume and --rate belong to writing: add --yes")
    if since is not None and until is not None and until <= since:
        raise click.BadParameter("is not after --since", param_hint="--until")
    asked = Selection(sources, tenants, entities, since or 0, until, spans, copies)
    settings = load_settings(ctx)
    bookmark = None if resume is None else _found(settings, asked, resume)
    with _opened(settings, asked if bookmark is None else bookmark.selection) as at_hand:
        bookmark = bookmark or _begun(settings, at_hand, asked, resume)
        before = bookmark.written
        with bar("reading", sum(one.end - one.next for one in bookmark.parts)) as read:
            plan = at_hand.plan(bookmark.parts, read)
        if not as_json:
            _print_plan(plan, before)
        if yes:
            _write(settings, at_hand, bookmark, plan, rate, resume)
        if as_json:
            print_json(_told(plan, bookmark.written if yes else None))
        elif yes:
            click.echo(
                f"{bookmark.written} records written to the raw topics; the workers take them from there"
            )


@contextmanager
def _opened(settings: Settings, selection: Selection) -> Iterator[Replay]:
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish
    from connector.runtime.reading import Reader
    from connector.runtime.registered import known_schemas
    from connector.runtime.replay import Replay
    from connector.runtime.versions import topics_of

    desk, _ = furnish(known_schemas(settings), digest_key(settings))
    with Reader(settings.kafka, "replay") as reader:
        yield Replay(settings, topics_of(settings), desk, reader, selection)


def _found(settings: Settings, asked: Selection, path: Path) -> Bookmark | None:
    from connector.runtime.bookmark import load

    return load(path, settings.topics.prefix, asked)


def _begun(settings: Settings, at_hand: Replay, asked: Selection, path: Path | None) -> Bookmark:
    from connector.runtime.bookmark import Bookmark, save

    begun = Bookmark(settings.topics.prefix, asked, at_hand.parts())
    if path is not None:
        save(path, begun)
    return begun


def _write(
    settings: Settings,
    at_hand: Replay,
    bookmark: Bookmark,
    plan: Plan,
    rate: int | None,
    path: Path | None,
) -> None:
    from connector.errors import ConnectorError
    from connector.runtime.bookmark import save
    from connector.runtime.writing import Writer

    again = (
        f"go on with the same command and --resume {path}" if path else "run it again: repeats are absorbed"
    )
    try:
        with bar("writing", plan.records) as wrote:

            def confirmed(records: int) -> None:
                if path is not None:
                    save(path, bookmark)
                wrote(records)

            at_hand.write(bookmark, plan, Writer(settings, "replay"), rate, confirmed)
    except (ConnectorError, KeyboardInterrupt) as stopped:
        why = "interrupted" if isinstance(stopped, KeyboardInterrupt) else str(stopped)
        raise click.ClickException(f"{why}; {bookmark.written} records are written; {again}") from None


def _told(plan: Plan, written: int | None) -> dict[str, Any]:
    rows = [
        dict(zip(("source", "tenant", "entity", "day", "records"), (*line, count), strict=True))
        for line, count in sorted(plan.counts.items())
    ]
    left_out = [{"why": why, "records": count} for why, count in sorted(plan.left_out.items())]
    return {"records": plan.records, "rows": rows, "left_out": left_out, "written": written}


def _print_plan(plan: Plan, before: int) -> None:
    if before:
        click.echo(f"{before} records were written before; what is left:")
    rows: dict[tuple[str, str, str], list[Any]] = {}
    for (*line, day), count in sorted(plan.counts.items()):
        row = rows.setdefault((line[0], line[1], line[2]), [0, day, day])
        row[0], row[2] = row[0] + count, day
    if rows:
        columns = ("source", "tenant", "entity", "records", "received from", "to")
        print_table(columns, ((*line, *row) for line, row in rows.items()))
    else:
        click.echo("nothing to replay")
    if plan.left_out:
        click.echo()
        print_table(("left out", "records"), sorted(plan.left_out.items()))
