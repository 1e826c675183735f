"""`connector doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import click

from connector.cli.context import json_option, load_settings, print_json, print_table


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Look at configuration, brokers, topics, group, lag and schemas; say what to do. Changes nothing.

    Exit code 0: nothing is bad, though there may be warnings. 1: something breaks a promise, stops a role,
    or no broker answers. No secret is printed.
    """
    import msgspec

    from connector.runtime import doctor as ward

    checks = ward.examine(load_settings(ctx))
    overall = ward.worst(checks)
    if as_json:
        print_json({"verdict": overall, "checks": msgspec.to_builtins(checks)})
    else:
        print_table(
            ("check", "verdict", "found", "remedy"),
            [
                (one.check, one.verdict, one.found, one.remedy)
                for verdict in ("bad", "warn", "ok")
                for one in checks
                if one.verdict == verdict
            ],
        )
        click.echo(f"\n{overall}: {_summary([one.verdict for one in checks])}")
    if overall == "bad":
        ctx.exit(1)


def _summary(verdicts: list[str]) -> str:
    return ", ".join(f"{verdicts.count(one)} {one}" for one in ("bad", "warn", "ok") if one in verdicts)
