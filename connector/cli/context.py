"""What the commands share: settings, refusals, tables, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from connector.errors import ConnectorError

if TYPE_CHECKING:
    from connector.runtime.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


@contextmanager
def refusals() -> Iterator[None]:
    """Tell a refusal in one line and exit with 1; anything else is a bug and keeps its traceback."""
    try:
        yield
    except ConnectorError as refusal:
        raise click.ClickException(" ".join(str(refusal).split())) from None


def load_settings(ctx: click.Context) -> Settings:
    """Read the settings the command line names."""
    from connector.runtime.configuration import load

    path: Path | None = ctx.find_root().obj
    return load(path)


def json_option(function: Function) -> Function:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(function)


def print_json(told: object) -> None:
    """Print one JSON document; what is no JSON comes out as text."""
    click.echo(json.dumps(told, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table for people; without a terminal it is as wide as it needs to be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(one if isinstance(one, Text) else Text(str(one)) for one in row))
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(width=200, file=StringIO())
    plain.print(table)
    text = cast("StringIO", plain.file).getvalue()
    click.echo("\n".join(line.rstrip() for line in text.splitlines()))


def read_body(file: str) -> bytes:
    """Read a file, or standard input for `-`."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None


def pairs(written: Iterable[str], option: str) -> dict[str, str]:
    """Read `name=value` options; names in lower case."""
    read: dict[str, str] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.BadParameter("write name=value", param_hint=option)
        read[name.strip().lower()] = value.strip()
    return read


class SourceName(click.ParamType):
    """Name of a vendor dialect; the vendors are loaded when one is given, not for `--help`."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a name of the table.

        Raises:
            click.BadParameter: No source of this name.
        """
        from connector.sources import SOURCES

        if value not in SOURCES:
            self.fail(f"no such source; known are {', '.join(SOURCES)}", param, ctx)
        return str(value)
