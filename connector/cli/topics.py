"""`connector topics`: what the brokers have against what they must have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from connector.cli.context import json_option, load_settings, print_json, print_table

if TYPE_CHECKING:
    from connector.runtime.admin import Change


@click.group()
def topics() -> None:
    """Compare the topics on the brokers with the table, and make them so."""


@topics.command()
@json_option
@click.pass_context
def plan(ctx: click.Context, *, as_json: bool) -> None:
    """Show what `apply` would do; changes nothing."""
    from connector.runtime import admin

    changes = admin.plan(load_settings(ctx))
    _print(changes, as_json=as_json)
    if any(change.action == "refuse" for change in changes):
        raise click.ClickException("some topics differ in what is fixed for life; see action refuse")


@topics.command()
@json_option
@click.pass_context
def apply(ctx: click.Context, *, as_json: bool) -> None:
    """Create missing topics and set deviating settings; running it twice does nothing the second time."""
    from connector.runtime import admin

    settings = load_settings(ctx)
    changes = admin.plan(settings)
    admin.apply(settings, changes)
    _print(changes, as_json=as_json)


@topics.command()
@json_option
@click.pass_context
def accept(ctx: click.Context, *, as_json: bool) -> None:
    """Take topics that were deleted and made anew as they are; workers refuse to start before.

    What the old ones held is gone: restore it first, or let the group read raw again from the oldest offset.
    """
    from connector.runtime.remembered import accept as take

    taken = take(load_settings(ctx))
    if as_json:
        print_json([{"topic": topic, "was": was, "is": now} for topic, was, now in taken])
    elif not taken:
        click.echo("no topic was made anew")
    else:
        print_table(("topic", "was", "is"), taken)


def _print(changes: Sequence[Change], *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(changes))
    elif not changes:
        click.echo("all topics are as they must be")
    else:
        rows = [(one.action, one.topic, one.setting, one.has, one.wants) for one in changes]
        print_table(("action", "topic", "setting", "has", "must be"), rows)
