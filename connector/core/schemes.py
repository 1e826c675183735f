"""Secrets, and the ways a sender proves to know one.

Everything compared is a digest of fixed length, every secret is always tried and in the same order,
and nothing a sender can write raises. Who proves what is decided in `connector.core.authenticate`.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from hmac import compare_digest
from typing import Any, Final, Literal, TypeAlias

import msgspec

from connector.core.read import check, decode
from connector.errors import Misconfigured, Unusable
from connector.model import Callback

MIN_BYTES: Final = 16
MIN_DISTINCT: Final = 8
SAMPLES: Final = frozenset(
    {
        b"basic ljjj79jlkjlknmvvnv&&&llll==",
        b"ljjj79jlkjlknmvvnv&&&llll==",
        b"159c6b25-2627-4f27-8197-ee097835e2ef",
        b"25508d90-7c58-49cd-8baf-7274a3a0420c",
        b"11111111-2222-4333-8444-555555555555",
        b"0123456789abcdef",
        b"0123456789abcdef0123456789abcdef",
        b"change-me-change-me",
    }
)
"""Values printed in vendors' documents and ours, in lower case (D-27)."""

_BLOCK: Final = 64
"""Bytes SHA-256 reads at a time; HMAC pads its key to that."""
_PLACES: Final = re.compile(r"\{(\w*)\}")
_KNOWN_PLACES: Final = ("account", "key", "secret", "hookid", "timestamp")
"""`key` and `secret` are the same."""


class Secret:
    """A secret that cannot be printed; only the schemes below look inside.

    Made by `Secret.of`. The states of HMAC's two hashes after the key are kept, so that a signature
    costs a copy of each instead of two more blocks.
    """

    __slots__ = ("_inner", "_outer", "_value", "digest")

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.digest: bytes = hashlib.sha256(value).digest()
        key = (hashlib.sha256(value).digest() if len(value) > _BLOCK else value).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    @classmethod
    def of(cls, value: bytes, field: str) -> Secret:
        """Take a secret from configuration; line ends behind it, as files have them, are cut off.

        Args:
            value: The secret as the vendor knows it, not decoded in any way.
            field: Name of the setting, for the error.

        Raises:
            Misconfigured: Fewer than 16 bytes, fewer than 8 different ones, or a printed sample.
        """
        value = value.rstrip(b"\r\n")
        if len(value) < MIN_BYTES or len(set(value)) < MIN_DISTINCT:
            fault = f"needs at least {MIN_BYTES} bytes, {MIN_DISTINCT} of them different"
        elif value.lower() in SAMPLES:
            fault = "is a printed sample"
        else:
            return cls(value)
        raise Misconfigured(f"{field} {fault}; make one with `openssl rand -hex 32`")

    def hmac(self, body: bytes) -> bytes:
        """HMAC-SHA256 of a body, 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not copied or stored")


def _slot(given: bytes, expected: list[bytes]) -> int | None:
    """Compare with every one, whichever matches, and give the first place."""
    slot: int | None = None
    for place, one in enumerate(expected):
        if compare_digest(given, one) and slot is None:
            slot = place
    return slot


def _slot_among(given: bytes, secrets: tuple[Secret, ...]) -> int | None:
    """Compare a digest with that of every secret, as `_slot` does; no list is made for each request."""
    slot: int | None = None
    for place, secret in enumerate(secrets):
        if compare_digest(given, secret.digest) and slot is None:
            slot = place
    return slot


def _bytes(text: str) -> bytes:
    """Give a header or path segment as it was on the wire; never raises."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _header(callback: Callback, names: tuple[str, ...]) -> str:
    """Give the first of the headers that is there; one that came twice counts as empty."""
    for name in names:
        value = callback.headers.get(name)
        if value is not None:
            return "" if "\n" in value else value
    return ""


class HeaderSecret(msgspec.Struct, frozen=True):
    """A header whose whole value is the secret (Duett, D-20).

    The value is opaque: the vendor's own sample is no valid Basic pair (D-27).
    """

    name: str
    secrets: tuple[Secret, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "name", self.name.lower())

    def proves(self, callback: Callback) -> int | None:
        """Give the place of the secret that matched."""
        value = callback.headers.get(self.name, "")
        given = hashlib.sha256(_bytes("" if "\n" in value else value)).digest()
        return _slot_among(given, self.secrets)


class Hmac(msgspec.Struct, frozen=True):
    """Base64 of HMAC-SHA256 over the raw body, in the first of `headers` that is there (A-05)."""

    headers: tuple[str, ...]
    secrets: tuple[Secret, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "headers", tuple(name.lower() for name in self.headers))

    def proves(self, callback: Callback) -> int | None:
        """Give the place of the secret that matched."""
        text = _bytes(_header(callback, self.headers))
        try:
            given = binascii.a2b_base64(text)
            canonical = binascii.b2a_base64(given, newline=False) == text
        except ValueError:
            given, canonical = b"", False
        slot = _slot(given, [secret.hmac(callback.body) for secret in self.secrets])
        return slot if canonical else None


class UrlToken(msgspec.Struct, frozen=True):
    """The last segment of the path is the secret (QuickFile, unsigned legacy Visma)."""

    tokens: tuple[Secret, ...]

    def proves(self, callback: Callback) -> int | None:
        """Give the place of the token that matched."""
        given = hashlib.sha256(_bytes(callback.url_token)).digest()
        return _slot_among(given, self.tokens)


class BodySignature(msgspec.Struct, frozen=True):
    """A digest inside the body over a recipe of values; binds no body, so it never stands alone (A-39).

    The recipe is not published: `mode` is `warn` until it was calibrated against a real callback.

    Raises:
        Misconfigured: The template has a place that is not known.
    """

    mode: Literal["off", "warn", "enforce"]
    template: str
    """Such as `{account}{key}{hookid}`; the key is a secret, the rest is not."""
    algorithm: Literal["md5", "sha1", "sha256"]
    secrets: tuple[Secret, ...]
    account: str = ""

    def __post_init__(self) -> None:
        for place in _PLACES.findall(self.template):
            if place not in _KNOWN_PLACES:
                raise Misconfigured(f"template: no place {{{place}}}; use {', '.join(_KNOWN_PLACES)}")

    def proves(self, callback: Callback) -> int | None:
        """Give the place of the key that matched. Reads the body: ask only after another proof."""
        told = _signature_in(callback.body)
        given = _bytes(told.get("signature", "").strip().lower())
        expected = [
            self._digest(secret, told.get("hookid", ""), told.get("timestamp", "")) for secret in self.secrets
        ]
        return _slot(given, [digest.encode() for digest in expected])

    def signature(self, hook_id: str, timestamp: str) -> str:
        """Sign with the first key, in lower-case hex."""
        return self._digest(self.secrets[0], hook_id, timestamp)

    def _digest(self, secret: Secret, hook_id: str, timestamp: str) -> str:
        known = {
            "account": _bytes(self.account),
            "key": secret._value,  # noqa: SLF001  secrets are opened in this module
            "secret": secret._value,  # noqa: SLF001  as above
            "hookid": _bytes(hook_id),
            "timestamp": _bytes(timestamp),
        }
        parts = _PLACES.split(self.template)
        text = b"".join(known[part] if place % 2 else _bytes(part) for place, part in enumerate(parts))
        return hashlib.new(self.algorithm, text, usedforsecurity=False).hexdigest()


def _signature_in(body: bytes) -> dict[str, str]:
    """Find Signature, HookId and TimeStamp: beside the events, or in an `Authentication` object."""
    try:
        check(body)
        outer = _lowered(decode(body, "body"))
    except Unusable:
        return {}
    inner = _lowered(outer.get("payload"))
    told: dict[str, str] = {}
    for one in (inner, outer):
        for name, value in (_lowered(one.get("authentication")) | one).items():
            if isinstance(value, str):
                told.setdefault(name, value)
    return told


def _lowered(value: Any) -> dict[str, Any]:
    return {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}


Scheme: TypeAlias = HeaderSecret | Hmac | UrlToken | BodySignature


def sign(scheme: Scheme, body: bytes) -> dict[str, str]:
    """Give the headers a sender with the first secret would send; for `connector send` and tests.

    A URL token travels in the path (`token_of`), a body signature in the body.
    """
    match scheme:
        case HeaderSecret():
            return {scheme.name: scheme.secrets[0]._value.decode("latin-1")}  # noqa: SLF001  as above
        case Hmac():
            signature = binascii.b2a_base64(scheme.secrets[0].hmac(body), newline=False)
            return {scheme.headers[0]: signature.decode()}
    return {}


def token_of(scheme: UrlToken) -> str:
    """Give the path segment a sender with the first token would use."""
    return scheme.tokens[0]._value.decode("latin-1")  # noqa: SLF001  as above
