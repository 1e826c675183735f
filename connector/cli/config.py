"""`connector config`: is the configuration right, what is in force, what may be set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from connector.cli.context import json_option, load_settings, print_json

if TYPE_CHECKING:
    from connector.runtime.settings import Settings


@click.group()
def config() -> None:
    """Check, show and describe the configuration."""


@config.command()
@json_option
@click.pass_context
def check(ctx: click.Context, *, as_json: bool) -> None:
    """Read file, environment and every secret; warn about what is probably not meant."""
    from connector.runtime.configuration import warnings
    from connector.runtime.credentials import digest_key, endpoints

    settings = load_settings(ctx)
    count = len(endpoints(settings))
    digest_key(settings)
    told = list(warnings(settings))
    if as_json:
        print_json({"ok": True, "endpoints": count, "warnings": told})
        return
    for warning in told:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"ok: {count} endpoint(s), {len(told)} warning(s)")


@config.command()
@json_option
@click.pass_context
def show(ctx: click.Context, *, as_json: bool) -> None:
    """Print the settings in force, defaults included; never a secret."""
    import yaml

    told = redacted(load_settings(ctx))
    if as_json:
        print_json(told)
    else:
        click.echo(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from connector.runtime.configuration import json_schema

    print_json(json_schema())


def redacted(settings: Settings) -> dict[str, Any]:
    """Give the settings as they may be printed: references stay, secrets among Kafka's properties do not."""
    from connector.runtime.credentials import shown

    told = settings.model_dump(mode="json", exclude={"kafka", "endpoints"})
    return {
        "kafka": {name: shown(name, text) for name, text in settings.kafka.items()},
        **told,
        "endpoints": [one.model_dump(mode="json", exclude_none=True) for one in settings.endpoints],
    }
