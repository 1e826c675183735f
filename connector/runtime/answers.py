"""What the door says: every answer is one line of JSON, made once where it can be."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec

from connector.errors import (
    NotAuthentic,
    NotDurable,
    NotJson,
    NotPost,
    Refused,
    TooLong,
    TooMany,
    UnknownEndpoint,
)
from connector.runtime import failpoints
from connector.runtime.receipts import Receipt

RETRY_AFTER_S: Final = 5

_REMEDIES: Final[dict[type[Refused], str]] = {
    NotAuthentic: "the proof of origin is missing or wrong: compare secret and header with the settings",
    UnknownEndpoint: "no such endpoint: callbacks go to POST /hooks/<source>/<endpoint>",
    NotPost: "callbacks are sent with POST",
    TooLong: "the body exceeds the limit: send fewer events at once",
    NotJson: "send JSON, without Content-Encoding",
    TooMany: f"too many requests: send the same bytes again after {RETRY_AFTER_S} s",
    NotDurable: f"not stored for certain: send the same bytes again after {RETRY_AFTER_S} s",
}
_EXTRA: Final[dict[type[Refused], tuple[tuple[bytes, bytes], ...]]] = {
    NotPost: ((b"allow", b"POST"),),
    TooMany: ((b"retry-after", b"%d" % RETRY_AFTER_S),),
    NotDurable: ((b"retry-after", b"%d" % RETRY_AFTER_S),),
}
_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_LENGTHS: Final = tuple(b"%d" % length for length in range(512))
_HEADS: Final = tuple(b"content-type: application/json\r\ncontent-length: %b\r\n" % one for one in _LENGTHS)
_STATUS_LINES: Final = {
    str(one.value): b"HTTP/1.1 %d %b\r\n" % (one.value, one.phrase.encode()) for one in HTTPStatus
}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer, to be sent as ASGI messages or written to a connection."""

    status: str
    """As a metric's label."""
    said: bytes
    more: tuple[tuple[bytes, bytes], ...] = ()
    """Headers besides type and length."""
    close: bool = False
    records: int = 0
    """How many became durable."""

    @property
    def start(self) -> dict[str, Any]:
        """The first of the two ASGI messages."""
        headers = [_JSON, (b"content-length", _LENGTHS[len(self.said)]), *self.more]
        if self.close:
            headers.append(_CLOSE)
        return {"type": "http.response.start", "status": int(self.status), "headers": headers}

    @property
    def body(self) -> dict[str, Any]:
        """The second ASGI message."""
        return {"type": "http.response.body", "body": self.said}

    def wire(self, defaults: bytes, *, close: bool) -> bytes:
        """Write the answer for HTTP/1.1; `defaults` are header lines of the server."""
        more = b"".join(b"%b: %b\r\n" % one for one in self.more) if self.more else b""
        end = b"connection: close\r\n\r\n" if close else b"\r\n"
        return b"".join((_STATUS_LINES[self.status], defaults, _HEADS[len(self.said)], more, end, self.said))


def _refusals(*, close: bool) -> dict[type[Refused], Answer]:
    return {
        kind: Answer(
            str(kind.status),
            b'{"error": "%s", "detail": "%s"}' % (kind.code.encode(), remedy.encode()),
            _EXTRA.get(kind, ()),
            close,
        )
        for kind, remedy in _REMEDIES.items()
    }


_STAYING: Final = _refusals(close=False)
_CLOSING: Final = _refusals(close=True)


def refusal(kind: type[Refused], *, close: bool) -> Answer:
    """Give the constant answer to a refused request."""
    return (_CLOSING if close else _STAYING)[kind]


def accepted(receipt: Receipt, *, close: bool) -> Answer:
    """Give the 202; nothing but a receipt earns one."""
    failpoints.at("door.acked")
    quarantined = f', "quarantined": {receipt.quarantined}' if receipt.quarantined else ""
    body = f'{{"id": "{receipt.delivery_id}", "accepted": {receipt.accepted}{quarantined}}}'.encode()
    return Answer("202", body, (), close, receipt.accepted + receipt.quarantined)


def raw(status: bytes, code: bytes, detail: bytes, *headers: bytes) -> bytes:
    """Write a whole HTTP answer for a connection that gets no further; it is closed behind it."""
    body = b'{"error": "%s", "detail": "%s"}' % (code, detail)
    lines = (
        b"HTTP/1.1 " + status,
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"connection: close",
        *headers,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
