"""Bodies that come in pieces: counted while they are read, so that neither one nor all grow too large."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from connector.errors import NotDurable, TooLong
from connector.runtime.ingress_counts import Counts
from connector.runtime.settings import IngressSettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Gone(Exception):
    """The sender went away, or was sent away at the body's deadline: nobody to answer."""


async def body_of(receive: Receive, limits: IngressSettings, counts: Counts) -> bytes:
    """Read the body; the server's protocol watches its deadline and says so by a disconnect.

    Raises:
        TooLong: Over the limit.
        NotDurable: All bodies being read are over theirs.
        Gone: Nobody is there any more.
    """
    event = await receive()
    if event["type"] != "http.request":
        raise Gone
    body: bytes = event.get("body", b"")
    if event.get("more_body", False):
        return await _pieces(receive, body, limits, counts)
    return bounded(body, limits)


def bounded(body: bytes, limits: IngressSettings) -> bytes:
    """Give a body back that is not too long.

    Raises:
        TooLong: It is.
    """
    if len(body) > limits.max_body_bytes:
        raise TooLong
    return body


async def _pieces(receive: Receive, first: bytes, limits: IngressSettings, counts: Counts) -> bytes:
    pieces, size = [first], len(first)
    counts.reading += size
    try:
        while True:
            if size > limits.max_body_bytes:
                raise TooLong
            if counts.reading > limits.queue_kbytes * 1024:
                raise NotDurable("memory")
            event = await receive()
            if event["type"] != "http.request":
                raise Gone
            pieces.append(event.get("body", b""))
            size += len(pieces[-1])
            counts.reading += len(pieces[-1])
            if not event.get("more_body", False):
                break
    finally:
        counts.reading -= size
    return bounded(b"".join(pieces), limits)
