"""What the demo shows: the entities as they change, as a live table or, without a terminal, as lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from connector.cli.following import Kinds, Seen, changed, difference
from connector.cli.prediction import as_predicted
from connector.core.times import to_rfc3339

FRESH_S: Final = 2.0
"""How long a changed row stands out."""


class _Row:
    def __init__(self) -> None:
        self.records = 0
        self.op = ""
        self.version = 0
        self.value: dict[str, Any] | None = None
        self.told = ""
        self.at = 0.0


class Board:
    """Every key seen so far, against what it must end in."""

    def __init__(
        self, console: Console, expected: Mapping[str, dict[str, Any] | None], kinds: Mapping[str, Kinds]
    ) -> None:
        self._console = console
        self._expected = expected
        self._kinds = kinds
        self._rows: dict[str, _Row] = {}
        self.live = console.is_terminal
        self.status = ""
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self.live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        if self.live:
            self._live.stop()

    def take(self, seen: Seen) -> None:
        """Show one changelog record."""
        row = self._rows.setdefault(seen.key, _Row())
        told = (
            ""
            if seen.op != "UPSERT"
            else difference(changed(row.value, seen.value), self._kinds[seen.entity])
        )
        row.records += 1
        row.op, row.version, row.at = seen.op, seen.version, time.monotonic()
        if seen.op != "tombstone":
            row.told = told if seen.op == "UPSERT" else "deleted" + _successor(seen.value)
        row.value = seen.value
        if not self.live:
            line = f"{seen.op:9}  {seen.key}  {to_rfc3339(seen.version)}  {told}"
            self._console.print(line.rstrip(), soft_wrap=True, markup=False, highlight=False)

    @property
    def records(self) -> int:
        """How many changelog records there were."""
        return sum(row.records for row in self._rows.values())

    def missing(self) -> list[str]:
        """Name the keys that are not yet as they must end."""
        return [
            key
            for key, value in self._expected.items()
            if key not in self._rows
            or (self._rows[key].op == "DELETE")
            or not as_predicted(self._rows[key].value, value)
        ]

    def _table(self) -> Table:
        now = time.monotonic()
        table = Table(box=None, header_style="bold", caption=self.status, caption_justify="left", expand=True)
        table.add_column("entity", no_wrap=True)
        table.add_column("key", overflow="ellipsis", no_wrap=True, max_width=48)
        table.add_column("now", no_wrap=True)
        table.add_column("vendor time", no_wrap=True)
        table.add_column("records", justify="right", no_wrap=True)
        table.add_column("last change", overflow="ellipsis", no_wrap=True, ratio=1)
        missing = set(self.missing())
        for key in sorted({*self._rows, *self._expected}, key=_by_entity):
            table.add_row(*self._cells(key, self._rows.get(key), now, done=key not in missing))
        return table

    @staticmethod
    def _cells(key: str, row: _Row | None, now: float, *, done: bool) -> list[Text]:
        entity = key.split("/")[2]
        if row is None:
            return [Text(one, style="dim") for one in (entity, key, "", "", "", "")]
        fresh = now - row.at < FRESH_S
        gone = row.op != "UPSERT"
        style = "bold yellow" if fresh else ("red" if gone else ("green" if done else ""))
        cells = (
            entity,
            key,
            "gone" if gone else "there",
            to_rfc3339(row.version),
            str(row.records),
            row.told,
        )
        return [Text(one, style=style) for one in cells]


def _successor(value: Mapping[str, Any] | None) -> str:
    into = value and (value.get("replaced_by") or value.get("merged_into"))
    return f", now {into}" if into else ""


def _second(version: int) -> str:
    return to_rfc3339(version)[:19] + "Z"


def _by_entity(key: str) -> tuple[str, str]:
    return key.split("/")[2], key
