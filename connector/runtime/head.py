"""What a request's head says, read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

_PARTS: Final = (4, 5)
"""`/hooks/<source>/<endpoint>` and the same with a token, cut at the slashes."""


def path_of(raw: bytes) -> tuple[str, str, str]:
    """Read source, endpoint and URL token, split before decoding; empty where there is none."""
    parts = raw.decode("latin-1").split("/")
    if len(parts) not in _PARTS or parts[1] != "hooks":
        return "", "", ""
    if b"%" in raw:
        parts = [unquote(part) for part in parts]
    return parts[2], parts[3], parts[4] if len(parts) == _PARTS[1] else ""


def headers_of(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Decode the headers once; the values of one that came twice are joined by a line feed."""
    headers: dict[str, str] = {}
    for name_, value_ in raw:
        name, value = name_.decode("latin-1"), value_.decode("latin-1")
        headers[name] = f"{headers[name]}\n{value}" if name in headers else value
    return headers
