"""What the settings say of single endpoints' bodies -> the sources, tuned for them; checked before."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from connector.core.pointers import pointer
from connector.core.read import token
from connector.core.source import Given, Source
from connector.runtime.zones import zone
from connector.sources import SOURCES

if TYPE_CHECKING:
    from connector.runtime.endpoints import EndpointSettings, ReadingSettings

NOTHING: Final = Given()
_shown: Final = re.compile(r"[A-Za-z0-9 _.-]{1,60}").fullmatch


def tuned(endpoints: Iterable[EndpointSettings]) -> dict[str, Source]:
    """Give the sources by name, each with the endpoints whose bodies an operator has described.

    Both roles ask here, so both read an endpoint's bodies alike.
    """
    sources = dict(SOURCES)
    for one in endpoints:
        source = sources[one.source]
        said = NOTHING if one.reading is None else given(one.reading)
        if said != NOTHING and source.tune is not None:
            dialects = {**source.tuned, one.id: source.tune(said)}
            sources[one.source] = msgspec.structs.replace(source, tuned=dialects)
    return sources


def given(reading: ReadingSettings) -> Given:
    """Make what the pure part takes."""
    return Given(
        zone=None if reading.zone is None else zone(reading.zone),
        aliases=reading.aliases,
        pointers={field: tuple(map(pointer, ways)) for field, ways in reading.pointers.items()},
    )


def check(reading: ReadingSettings, source: Source) -> None:
    """Check what is said of an endpoint's bodies against what its source can take.

    Raises:
        ValueError: Which setting means nothing, and what would.
    """
    if source.tune is None:
        raise ValueError(f"reading: {source.name} takes no reading options; remove it")
    _check_aliases(reading.aliases, source)
    for field in reading.pointers:
        if not source.pointers:
            takers = ", ".join(name for name, one in SOURCES.items() if one.pointers)
            raise ValueError(
                f"reading.pointers: the bodies of {source.name} are documented, and read by their names;"
                f" only {takers} take pointers"
            )
        if field not in source.pointers:
            raise ValueError(
                f"reading.pointers.{_named(field)}: {source.name} takes none for it, only for"
                f" {', '.join(source.pointers)}"
            )


def _check_aliases(aliases: Mapping[str, str], source: Source) -> None:
    printed = {row.token: row.name for row in source.events}
    seen: dict[str, str] = {}
    for name, meant in aliases.items():
        where, sent = f"reading.aliases.{_named(name)}", token(name)
        if not sent:
            raise ValueError(f"{where}: holds no letter from a to z and no digit, so it names no event")
        if sent in printed:
            raise ValueError(f"{where}: {source.name} has an event of this name already; remove the alias")
        if sent in seen:
            raise ValueError(
                f"{where}: the same name as {_named(seen[sent])}, since only a-z and 0-9 count; keep one"
            )
        seen[sent] = name
        if token(meant) not in printed:
            found = difflib.get_close_matches(token(meant), printed, n=3, cutoff=0.4)
            close = f"; close are {', '.join(printed[one] for one in found)}" if found else ""
            raise ValueError(
                f"{where}: must be an event of {source.name}, as docs/requirements.md names them{close}"
            )


def _named(name: str) -> str:
    """Repeat a name only if it looks like one: a misplaced secret must not be printed."""
    return name if _shown(name) else "(a name)"
