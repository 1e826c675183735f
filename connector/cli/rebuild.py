"""`connector rebuild`: tell changelogs anew with today's code, compare them, and switch to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.bar import bar
from connector.cli.context import json_option, load_settings, print_json, print_table

if TYPE_CHECKING:
    from connector.runtime.reading import Place, Reach, Reader
    from connector.runtime.reprocess import Reprocess
    from connector.runtime.settings import Settings
    from connector.runtime.writing import Writer

_raw_alone = click.option(
    "--raw-alone",
    is_flag=True,
    help="Keep nothing of the live topics: right only while raw still has every event there ever was.",
)
_entities = click.argument("entities", nargs=-1, metavar="ENTITY...")
_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")


@click.group()
def rebuild() -> None:
    """Tell changelogs anew from raw with today's code: plan, apply, then switch the workers to them.

    What raw tells is read by today's code; what is older than raw is kept from the live topics.
    """


@rebuild.command()
@_entities
@_raw_alone
@json_option
@click.pass_context
def plan(ctx: click.Context, *, entities: tuple[str, ...], raw_alone: bool, as_json: bool) -> None:
    """Fold some changelogs, or all, and compare them with the live ones; write nothing."""
    settings = load_settings(ctx)
    with _opened(settings, entities, raw_alone=raw_alone) as (reader, work):
        del reader
        reaches = work.reaches()
        _fold(work, reaches, dict.fromkeys(work.compared, ""), None)
        _print(work, reaches, raw_alone=raw_alone, as_json=as_json)


@rebuild.command()
@_entities
@_raw_alone
@click.option(
    "--file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to note what the switch must know.",
)
@json_option
@click.pass_context
def apply(
    ctx: click.Context, *, entities: tuple[str, ...], raw_alone: bool, file: Path, as_json: bool
) -> None:
    """Write the folded changelogs into topics of the next version; live ones and workers go on untouched."""
    from connector.runtime.switching import Mark, Rebuilt, make, save
    from connector.runtime.versions import topics_of
    from connector.runtime.writing import Writer

    settings = load_settings(ctx)
    if file.exists():
        raise click.ClickException(f"{file}: is there already; name another file, or delete it")
    with _opened(settings, entities, raw_alone=raw_alone) as (reader, work):
        reaches = work.reaches()
        live = {entity: settings.topics.versions.get(entity, 1) for entity in work.compared}
        ahead = {entity: version + 1 for entity, version in live.items()}
        topics = {entity: topics_of(settings, ahead).changelog[entity] for entity in ahead}
        make(settings, reader, topics.values())
        _fold(work, reaches, topics, Writer(settings, "rebuild"))
        ends = [Mark(*place, end) for place, (_, end) in sorted(reaches.items())]
        save(file, Rebuilt(settings.topics.prefix, live, ahead, ends))
        _print(work, reaches, raw_alone=raw_alone, as_json=as_json)
    if not as_json:
        named = ", ".join(f"{entity}: {version}" for entity, version in sorted(ahead.items()))
        click.echo(
            f"\nwritten. To switch: stop all workers, set topics.versions to {{{named}}}, run: "
            f"connector rebuild switch {file} --yes, start the workers"
        )


@rebuild.command()
@_file
@click.option(
    "--back", is_flag=True, help="To the topics that were live before; set topics.versions back first."
)
@click.option("--yes", is_flag=True, help="Set the offsets; without it nothing is changed.")
@json_option
@click.pass_context
def switch(ctx: click.Context, *, file: Path, back: bool, yes: bool, as_json: bool) -> None:
    """Let the workers read raw again from where the new topics end; they must be stopped.

    FILE is what `connector rebuild apply` noted. With topics.versions set, workers that start afterwards
    work on the new topics, and nothing is missed: what they read twice changes nothing.
    """
    from connector.runtime.reading import Reader
    from connector.runtime.switching import chosen, load, move, moves, positions, save

    settings = load_settings(ctx)
    rebuilt = load(file, settings.topics.prefix)
    if back and not rebuilt.left:
        raise click.ClickException(f"{file}: there was no switch yet; nothing to take back")
    chosen(settings, rebuilt.live if back else rebuilt.ahead)
    targets = rebuilt.left if back else rebuilt.ends
    with Reader(settings.kafka, "rebuild") as reader:
        moved = moves(settings, reader, targets)
    if yes:
        if not back:
            rebuilt.left = positions(settings, [(one.topic, one.partition) for one in targets])
            save(file, rebuilt)
        if moved:
            move(settings, moved)
    rows = [(*place, was, to, was - to) for place, (was, to) in sorted(moved.items())]
    columns = ("topic", "partition", "committed", "again from", "offsets")
    if as_json:
        print_json({"done": yes, "moved": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    if rows:
        print_table(columns, rows)
    else:
        click.echo("no offset must go back")
    click.echo("done: start the workers" if yes else "nothing was changed: add --yes")


@contextmanager
def _opened(
    settings: Settings, entities: tuple[str, ...], *, raw_alone: bool
) -> Iterator[tuple[Reader, Reprocess]]:
    from connector.entities import ENTITIES
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish
    from connector.runtime.reading import Reader
    from connector.runtime.registered import known_schemas
    from connector.runtime.reprocess import Reprocess
    from connector.runtime.versions import topics_of

    if unknown := sorted(set(entities) - set(ENTITIES)):
        raise click.BadParameter(
            f"{unknown[0]}: no such entity; known are {', '.join(ENTITIES)}", param_hint="ENTITY"
        )
    worker = settings.worker
    desk, codecs = furnish(
        known_schemas(settings), digest_key(settings), worker.headers, worker.max_event_age_days
    )
    with Reader(settings.kafka, "rebuild") as reader:
        yield (
            reader,
            Reprocess(
                settings,
                topics_of(settings),
                desk,
                codecs,
                reader,
                dict.fromkeys(entities) or ENTITIES,
                raw_alone=raw_alone,
            ),
        )


def _fold(
    work: Reprocess, reaches: dict[Place, Reach], topics: dict[str, str], writer: Writer | None
) -> None:
    """Fold partition after partition; with a writer, write what comes of it."""
    from connector.runtime.writing import AT_ONCE, AT_ONCE_BYTES

    with bar("folding", sum(end - start for start, end in reaches.values())) as folded:
        for number in range(work.partitions):
            batch, size = [], 0
            for record in work.partition(number, reaches, topics, folded):
                if writer is None:
                    continue
                batch.append(record)
                size += len(record.value or b"")
                if len(batch) >= AT_ONCE or size >= AT_ONCE_BYTES:
                    writer.write(batch)
                    batch, size = [], 0
            if writer is not None:
                writer.write(batch)


def _print(work: Reprocess, reaches: dict[Place, Reach], *, raw_alone: bool, as_json: bool) -> None:
    gone = sorted(f"{topic}/{number}" for (topic, number), (start, _) in reaches.items() if start)
    if as_json:
        print_json(_told(work, gone))
        return
    columns = ("entity", "same", "differs", "only new", "only live", "differs in")
    rows = [
        (entity, one.same, one.differs, one.only_new, one.only_live, _columns(one.columns))
        for entity, one in work.compared.items()
        if one.same or one.differs or one.only_new or one.only_live
    ]
    if rows:
        print_table(columns, rows)
    else:
        click.echo("nothing in raw, and nothing live")
    for line in _warnings(work, gone, raw_alone=raw_alone):
        click.echo(line, err=True)


def _columns(counted: dict[str, int]) -> str:
    most = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{column} ({count})" for column, count in most)


def _warnings(work: Reprocess, gone: list[str], *, raw_alone: bool) -> Iterator[str]:
    if gone and raw_alone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield f"warning: {gone[0]}{more}: raw does not begin at its beginning; leave --raw-alone out"
    if unguarded := sum(one.unguarded for one in work.compared.values()):
        yield (
            f"warning: {unguarded} keys that are only new are older than deletes are remembered: they may "
            "have been deleted; --json names some"
        )
    for why, count in sorted(work.left_out.items()):
        yield f"note: {count} raw records told nothing: {why}"


def _told(work: Reprocess, gone: list[str]) -> dict[str, Any]:
    return {
        "entities": {
            entity: {
                "same": one.same,
                "differs": one.differs,
                "only_new": one.only_new,
                "only_live": one.only_live,
                "unguarded": one.unguarded,
                "columns": dict(one.columns),
                "examples": one.examples,
            }
            for entity, one in work.compared.items()
        },
        "left_out": dict(work.left_out),
        "raw_begins_later": gone,
    }
