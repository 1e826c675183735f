"""`connector erase`: the personal data of an entity goes, and does not come back."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from connector.cli.context import json_option, load_settings, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.model import EntityKey
    from connector.runtime.erasing import Found
    from connector.runtime.settings import Settings

REMAINS = (
    ("changelog", "max.compaction.lag.ms (24 h) and the next run of the log cleaner after it"),
    ("raw", "14 days from each callback, its topic's retention.ms, and up to a day for the segment"),
    ("events, quarantine", "30 days from each event, their topics' retention.ms, and up to a day"),
    ("the key itself", "15 days: the tombstone and the erasure name it; they keep late events away"),
    ("the vendor, consumers", "not reached from here: erase there first, or a new change brings it back"),
)
"""Where bytes of an erased entity stay, and how long."""


@click.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--yes", is_flag=True, help="Erase; without it nothing is changed.")
@json_option
@click.pass_context
def erase(ctx: click.Context, keys: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Erase entities by their keys: a tombstone takes the place of what is known, and keeps it away.

    KEY is written as in the topics: source/tenant/entity/id. Without --yes it says what is known of each
    key, under which other keys the same entity stands, and where its data stays until when. Whatever was
    received before the erasure changes nothing any more; a newer change of the vendor's does.
    """
    from connector.runtime.erasing import parse

    settings = load_settings(ctx)
    parsed = [parse(key) for key in dict.fromkeys(keys)]
    found, markers = _done(settings, parsed, yes=yes)
    if as_json:
        print_json(
            {
                "keys": [
                    {"key": one.key, "standing": one.standing, "others": one.others, "marker": marker}
                    for one, marker in zip_longest(found, markers)
                ],
                "remains": [{"where": where, "until": until} for where, until in REMAINS],
                "done": yes,
            }
        )
        return
    print_table(("key", "is", "other keys"), [(one.key, one.standing, " ".join(one.others)) for one in found])
    click.echo()
    print_table(("data stays in", "until"), REMAINS)
    click.echo()
    if yes:
        click.echo(f"done: {len(found)} erasure(s) written; the workers take them from there")
    else:
        click.echo("nothing was changed: add --yes")


def _done(settings: Settings, keys: Sequence[EntityKey], *, yes: bool) -> tuple[list[Found], list[str]]:
    from connector.runtime.credentials import digest_key
    from connector.runtime.desk import furnish
    from connector.runtime.erasing import Erasing
    from connector.runtime.reading import Reader
    from connector.runtime.registered import known_schemas
    from connector.runtime.versions import topics_of
    from connector.runtime.writing import Writer

    desk, codecs = furnish(known_schemas(settings), digest_key(settings))
    with Reader(settings.kafka, "erase") as reader:
        erasing = Erasing(settings, topics_of(settings), desk, codecs, reader)
        found = erasing.look(keys)
        return found, erasing.erase(keys, Writer(settings, "erase")) if yes else []
