"""One explained event for people: the tables of `connector explain`."""

from __future__ import annotations

from typing import Any

import click

from connector.cli.context import print_table
from connector.cli.quarantine import tame

_EVERYWHERE = ("x-erp-op", "x-erp-delivery-id")


def print_event(title: str, part: dict[str, Any]) -> None:
    """Print one event for people: what is empty or false is left out, and what every record has."""
    records, forwards = part.pop("changelog", []), part.pop("forwards", [])
    reasons, known = part.pop("reasons", []), part.pop("known", None)
    facets = part.pop("facets", [])
    print_table(
        (title, ""),
        (
            (name, tame(", ".join(map(str, one)) if isinstance(one, list) else str(one)))
            for name, one in part.items()
            if one is not False and one not in (None, "", [])
        ),
    )
    _print_facets("facets of the event", facets)
    if known is not None:
        _print_facets("known before", known["facets"])
        if "deleted" in known:
            click.echo(
                f"\nknown before: deleted at {known['deleted']['version']} ({known['deleted']['time']})"
            )
    if len(reasons) > 1:
        click.echo()
        rows = ((one["part"], one["effect"], tame(one["why"])) for one in reasons)
        print_table(("part", "effect", "why"), rows)
    for record in records:
        value = record["value"]
        op = "tombstone" if value is None else record["op"]
        click.echo("\n" + click.style(f"-> {record['topic']}  {op}", bold=True))
        fields = {name: one for name, one in (value or {}).items() if not name.startswith("meta_")}
        fields |= {name: one for name, one in record["headers"].items() if name not in _EVERYWHERE}
        print_table(("field", "value"), ((f"  {name}", tame(str(one))) for name, one in fields.items()))
    click.echo()
    for at, one in enumerate(forwards, start=1):
        print_event(f"forwarded {at} of {len(forwards)}", one)


def _print_facets(title: str, facets: list[dict[str, Any]]) -> None:
    if facets:
        click.echo()
        print_table(
            (title, "version", "time", "rank", "columns"),
            (
                (one["facet"], one["version"], one["time"], one["rank_word"], ", ".join(one["columns"]))
                for one in facets
            ),
        )
