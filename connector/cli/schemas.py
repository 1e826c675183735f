"""`connector schemas`: are the committed schemas right, and what do they say."""

from __future__ import annotations

import click

from connector.cli.context import json_option, print_json, print_table


@click.group()
def schemas() -> None:
    """Check and show the Avro schemas of the topics."""


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
