"""The command `connector`: one file per command; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from connector.cli import (
    config,
    demo,
    doctor,
    erase,
    explain,
    quarantine,
    rebuild,
    replay,
    schemas,
    send,
    serve,
    tail,
    topics,
    work,
)
from connector.cli.context import refusals


class _Commands(click.Group):
    """Turns every refusal into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        with refusals():
            return super().invoke(ctx)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CONNECTOR_CONFIG",
    help="YAML file with the settings; CONNECTOR_* variables win over it.",
)
@click.version_option(package_name="erp-connector", prog_name="connector")
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Accounting callbacks in, one compacted Kafka topic per entity out, exactly once.

    Start with: connector demo
    """
    ctx.obj = config


for _command in (
    demo.demo,
    serve.serve,
    work.work,
    topics.topics,
    doctor.doctor,
    config.config,
    schemas.schemas,
    explain.explain,
    send.send,
    tail.tail,
    quarantine.quarantine,
    replay.replay,
    rebuild.rebuild,
    erase.erase,
):
    main.add_command(_command)
