"""A vendor's URL or path -> resource and id. Nothing here, or behind it, ever calls the URL.

Forms: `https://integration.visma.net/API/controller/api/v1/salesorder/1286`, the same on
`api.finance.visma.net/v1/...`, `v1/...`, `api/v1/...`, ids of several parts (`salesorder/SO/000123`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_host: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*").match
_rest: Final = re.compile(r"[?#]").search
_version: Final = re.compile(r"[Vv][0-9]+").fullmatch
_known: Final = re.compile(
    r"(?:https://[^/?#]+/(?:API/controller/api/)?|api/)?v[0-9]+(?:/[^/?#]+){2,}"
).fullmatch


def printed(location: str) -> bool:
    """Say whether a location has a form that the vendor's documents print, so that nothing was guessed."""
    return _known(location) is not None


def tail(location: str) -> tuple[str, str] | None:
    """Take resource and id from the end of a location (A-15, VE-03).

    The path is split before anything is decoded and each part is decoded once, so an escaped `/`
    stays inside its part. Query and fragment are ignored, and so are empty parts.

    Args:
        location: `resourceUri`, `relativeResourceUri` or `entityLocation`.

    Returns:
        The resource in lower case and the id, its parts joined with `/`. None without an id, where
        a part does not decode to UTF-8, or is `.` or `..`: that names another resource once it
        stands in a URL again.

    Example:
        >>> tail("https://api.finance.visma.net/v1/inventory/A%2F1*2")
        ('inventory', 'A/1*2')
        >>> tail("API/controller/api/v1/salesorder/SO/000123")
        ('salesorder', 'SO/000123')
    """
    path = location.strip()
    if cut := _rest(path):
        path = path[: cut.start()]
    if host := _host(path):
        path = path[host.end() :]
    parts = _without_prefix([part for part in path.split("/") if part])
    try:
        parts = [unquote(part, errors="strict") if "%" in part else part for part in parts]
    except UnicodeDecodeError:
        return None
    if len(parts) < 2 or "." in parts or ".." in parts:  # noqa: PLR2004  a resource and an id
        return None
    return parts[0].lower(), "/".join(parts[1:])


def _without_prefix(parts: list[str]) -> list[str]:
    """Drop `api/controller` or `controller`, then `api`, then `v<digits>`; each may be missing."""
    words = [part.lower() for part in parts[:4]]
    at = 0
    if words[:2] == ["api", "controller"]:
        at = 2
    elif words[:1] == ["controller"]:
        at = 1
    if words[at : at + 1] == ["api"]:
        at += 1
    if at < len(parts) and _version(parts[at]):
        at += 1
    return parts[at:]
