"""`connector schemas`: are the committed schemas right, what do they say, and does the registry have them."""

from __future__ import annotations

import click

from connector.cli.context import json_option, load_settings, print_json, print_table


@click.group()
def schemas() -> None:
    """Check, show and register the Avro schemas of the topics."""


@schemas.command()
@json_option
def check(*, as_json: bool) -> None:
    """Freshness, lint, every pair of released versions readable both ways, ids where they were."""
    from connector.runtime import registry
    from connector.runtime.schemas import check as find_faults

    folder = registry.folder()
    faults = find_faults(folder)
    count = len(registry.read_lock(folder))
    if as_json:
        print_json({"ok": not faults, "locked": count, "faults": faults})
    else:
        for fault in faults:
            click.echo(fault, err=True)
    if faults:
        raise click.ClickException(f"{len(faults)} fault(s) in {folder}")
    if not as_json:
        click.echo(f"ok: {count} locked schema(s)")


@schemas.command()
@click.option("--yes", is_flag=True, help="Register them; without it nothing is changed.")
@click.option(
    "--check", "checked", is_flag=True, help="Exit with 1 if something is missing; changes nothing."
)
@json_option
@click.pass_context
def register(ctx: click.Context, *, yes: bool, checked: bool, as_json: bool) -> None:
    """Register every schema at the registry of registry.url; without --yes only say what is missing there.

    The registry's own compatibility answer comes first; one refusal, and nothing is registered. A second run
    does nothing.
    """
    from connector.runtime.registering import Registering
    from connector.runtime.registry import COMPATIBILITY

    if yes and checked:
        raise click.UsageError("--check changes nothing: leave out --yes or --check")
    registering = Registering(load_settings(ctx))
    steps = registering.plan()
    left = [step for step in steps if not step.done]
    refused = [step for step in steps if step.action == "refuse"]
    if yes and not refused:
        registering.apply(steps)
    if as_json:
        print_json(
            [
                {
                    "subject": one.subject,
                    "version": one.version,
                    "id": one.id,
                    "action": one.action,
                    "level": one.level,
                    "why": one.why,
                }
                for one in steps
            ]
        )
    else:
        rows = [
            (one.subject, one.version, "" if one.id is None else one.id, one.action, one.level or "", one.why)
            for one in left
        ]
        if rows:
            print_table(("subject", "version", "id", "action", "level", "why"), rows)
        if not left:
            click.echo(f"all {len(steps)} schemas are registered, {COMPATIBILITY}")
        elif yes and not refused:
            click.echo(f"done: {len(left)} of {len(steps)} registered or set to {COMPATIBILITY}")
        elif not checked:
            click.echo(f"{len(left)} of {len(steps)} are missing or not {COMPATIBILITY}: add --yes")
    if refused:
        raise click.ClickException("the registry refuses; see action refuse. Nothing was registered")
    if checked and left:
        raise click.ClickException(f"{len(left)} schema(s) missing or not {COMPATIBILITY}")


@schemas.command()
@click.argument("name", required=False)
@json_option
def show(name: str | None, *, as_json: bool) -> None:
    """List the schemas, or the fields of one: an entity, event or identity."""
    from connector.runtime.registry import Registry, folder

    registry = Registry.load(folder())
    newest = {one.name: one for one in registry.locked}
    if name is None:
        rows = [(one.id, one.name, one.version, one.file) for one in newest.values()]
        if as_json:
            print_json([dict(zip(("id", "name", "version", "file"), row, strict=True)) for row in rows])
        else:
            print_table(("id", "name", "version", "file"), rows)
        return
    if name not in newest:
        raise click.BadParameter(f"no schema of this name; known are {', '.join(sorted(newest))}")
    schema_id, schema = registry.writer(name)
    if as_json:
        print_json({"id": schema_id, "schema": schema})
        return
    rows = [(one["name"], type_text(one["type"]), one.get("pii", ""), one["doc"]) for one in schema["fields"]]
    print_table(("field", "type", "pii", "meaning"), rows, title=f"{name}, id {schema_id}: {schema['doc']}")


def type_text(avro: object) -> str:
    """Write an Avro type in one or two words; a question mark says nullable.

    Example:
        >>> type_text(["null", {"type": "bytes", "logicalType": "decimal", "precision": 19, "scale": 4}])
        'decimal(19,4)?'
    """
    if isinstance(avro, list):
        return f"{type_text(avro[-1])}?"
    if not isinstance(avro, dict):
        return str(avro)
    if avro.get("logicalType") == "decimal":
        return f"decimal({avro['precision']},{avro['scale']})"
    if avro["type"] == "array":
        items = avro["items"]
        return f"array of {items['name'] if isinstance(items, dict) else items}"
    return str(avro.get("logicalType") or avro.get("name") or avro["type"])
