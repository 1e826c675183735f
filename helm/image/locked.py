"""What of requirements.lock the program needs to run: the closure of its dependencies and some extras."""

# ruff: noqa: INP001  (found by path, as its neighbours)

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
TOOLS = Path(__file__).with_name("tools.lock")
EXTRAS = frozenset({"otel", "rocksdb"})
"""What the image can do beyond the least: traces, and the chart's `worker.disk`."""
INIT = "dumb-init"


@dataclass(frozen=True)
class Locked:
    """One package, at one version, whose file has one of these digests."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """sha256, in hex."""

    @property
    def line(self) -> str:
        """As pip reads it."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)])


def read(lock: Path, environment: Mapping[str, str]) -> dict[str, Locked]:
    """Read a lock, by canonical name; lines whose marker does not hold are left out."""
    found = {}
    text = lock.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        written, *_ = re.split(r"\s+--hash|\s+#|^#|^\s+#", line, maxsplit=1)
        if not written.strip():
            continue
        one = Requirement(written.strip())
        if one.marker is None or one.marker.evaluate(dict(environment)):
            (exact,) = one.specifier
            hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
            found[canonicalize_name(one.name)] = Locked(one.name, exact.version, hashes)
    return found


def target(python: str) -> dict[str, str]:
    """Give the environment of markers of a Linux with this Python, such as 3.11.2."""
    short = ".".join(python.split(".")[:2])
    return {**default_environment(), "python_full_version": python, "python_version": short, "extra": ""}


def needed(name: str, environment: Mapping[str, str]) -> dict[str, set[str]]:
    """Find what a package needs, directly and by others: name -> names, from what is installed here."""
    found: dict[str, set[str]] = {}
    waiting = [(canonicalize_name(name), EXTRAS)]
    seen = set(waiting)
    while waiting:
        package, extras = waiting.pop()
        found.setdefault(package, set())
        for one in _requirements(package, extras, environment):
            below = (canonicalize_name(one.name), frozenset(one.extras))
            found[package].add(below[0])
            if below not in seen:
                seen.add(below)
                waiting.append(below)
    return found


def _requirements(name: str, extras: frozenset[str], environment: Mapping[str, str]) -> Iterator[Requirement]:
    for written in requires(name) or ():
        one = Requirement(written)
        if one.marker is None or any(
            one.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
        ):
            yield one
