"""Time zones by their IANA name, from the package `tzdata` alone.

A host's own table, if it has one, may be older than its neighbour's: two workers would read one event
differently. The package is locked with the others.
"""

from __future__ import annotations

import difflib
from datetime import tzinfo
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """List every zone."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


def zone(name: str) -> tzinfo:
    """Read a zone; it is whole in memory afterwards.

    Raises:
        ValueError: No such zone; the text names close ones.
    """
    if name not in names():
        raise ValueError(f"no such time zone{_close(name)}; write an IANA name such as Europe/Oslo")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _close(name: str) -> str:
    known = {one.lower(): one for one in names()}
    wanted = name.lower().replace(" ", "_")
    found = difflib.get_close_matches(wanted, known, n=3)
    found += [one for one in sorted(known) if one.split("/")[-1] == wanted and one not in found]
    return f"; close are {', '.join(known[one] for one in found)}" if found else ""
