"""What a request's head says, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from connector.errors import NotJson

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


def paths_of(endpoints: Iterable[tuple[str, str]]) -> Mapping[bytes, tuple[str, str, str]]:
    """Lay out what `path_of` says of the paths without a token of all endpoints, (source, id) each."""
    paths = [f"/hooks/{source}/{name}".encode("latin-1", "replace") for source, name in endpoints]
    return {raw: path_of(raw) for raw in paths}


_NOT_JSON: Final = ("multipart/", "image/", "audio/", "video/", "font/", "application/pdf", "application/zip")
"""Clearly no JSON; any other type is accepted, since a vendor's may be odd or missing."""


def check_kind(headers: Mapping[str, str]) -> None:
    """Look at what the head says of the body.

    Raises:
        NotJson: It is encoded, or clearly something else.
    """
    coding, kind = headers.get("content-encoding"), headers.get("content-type")
    if coding and coding.lower() != "identity":
        raise NotJson
    if kind and kind != "application/json" and kind.lower().startswith(_NOT_JSON):
        raise NotJson


def headers_of(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Decode the headers once; the values of one that came twice are joined by a line feed."""
    headers: dict[str, str] = {}
    for name_, value_ in raw:
        name, value = name_.decode("latin-1"), value_.decode("latin-1")
        headers[name] = f"{headers[name]}\n{value}" if name in headers else value
    return headers
