"""`connector tail`: changelogs as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from connector.cli.context import json_option, load_settings

if TYPE_CHECKING:
    from connector.cli.following import Kinds, Seen


@click.command()
@click.argument("entities", nargs=-1, metavar="ENTITY...")
@click.option(
    "--from",
    "start",
    type=click.Choice(["earliest", "latest"]),
    default="latest",
    show_default=True,
    help="From the beginning, or only what comes from now on.",
)
@click.option("--until-end", "--once", "until_end", is_flag=True, help="Stop where the topics end now.")
@click.option("--key", "prefix", default="", help="Only keys that begin so, such as duett/acme/.")
@json_option
@click.pass_context
def tail(
    ctx: click.Context, *, entities: tuple[str, ...], start: str, until_end: bool, prefix: str, as_json: bool
) -> None:
    """Follow the changelogs of some entities, or of all: operation, key, time, and what changed.

    Reads committed records only, joins no consumer group, and decodes by the schemas of this installation.
    """
    from connector.cli.following import Follower
    from connector.runtime.desk import topics_under
    from connector.runtime.registered import known_schemas

    settings = load_settings(ctx)
    topics = topics_under(settings.topics.prefix, settings.topics.versions).changelog
    if unknown := sorted(set(entities) - set(topics)):
        raise click.BadParameter(
            f"{unknown[0]}: no such entity; known are {', '.join(topics)}", param_hint="ENTITY"
        )
    chosen = {name: topics[name] for name in entities or topics}
    follower = Follower(settings.kafka, chosen, known_schemas(settings), earliest=start == "earliest")
    last: dict[str, dict[str, Any] | None] = {}
    try:
        while not (until_end and follower.caught_up):
            for seen in follower.read(0.5):
                if seen.key.startswith(prefix):
                    click.echo(
                        _json(seen)
                        if as_json
                        else _line(seen, last.get(seen.key), follower.kinds[seen.entity])
                    )
                    last[seen.key] = seen.value
    except KeyboardInterrupt:
        pass
    finally:
        follower.close()


def _line(seen: Seen, before: dict[str, Any] | None, kinds: Kinds) -> str:
    from connector.cli.following import changed, difference
    from connector.core.times import to_rfc3339

    color = {"UPSERT": "green", "DELETE": "red", "tombstone": "red"}.get(seen.op)
    told = "" if seen.op != "UPSERT" else difference(changed(before, seen.value), kinds)
    return f"{click.style(f'{seen.op:9}', fg=color)}  {seen.key}  {to_rfc3339(seen.version)}  {told}".rstrip()


def _json(seen: Seen) -> str:
    import json

    import msgspec

    return json.dumps(msgspec.to_builtins(seen, builtin_types=()), ensure_ascii=False, default=str)
