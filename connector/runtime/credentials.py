"""`env:NAME` and `file:/path` -> the secret itself; read anew at each call, so that files can be rotated."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from connector.core.authenticate import (
    Binding,
    BodySignature,
    Endpoint,
    HeaderSecret,
    Hmac,
    Scheme,
    Secret,
    UrlToken,
    company_digest,
)
from connector.errors import Misconfigured
from connector.runtime.endpoints import Authenticate, EndpointSettings, is_reference
from connector.runtime.settings import Settings

_SECRET_WORDS: Final = ("password", "secret", "key.pem", "jwks", "credential", "token", "assertion.private")


class Hidden(str):
    """A secret among plain texts: whatever prints it prints where it came from."""

    __slots__ = ("reference",)
    reference: str

    def __new__(cls, secret: str, reference: str) -> Self:
        """Keep the secret together with its reference."""
        hidden = super().__new__(cls, secret)
        hidden.reference = reference
        return hidden

    def __repr__(self) -> str:
        return f"<{self.reference}>"


def read_secret(reference: str, where: str) -> bytes:
    """Read what a reference names; one line end at the end of a file is not part of it.

    Args:
        reference: `env:NAME` or `file:/path`.
        where: Path of the setting, for the error.

    Raises:
        Misconfigured: The variable is not set, or the file cannot be read, or it is empty.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        secret = os.environ.get(name, "").encode(errors="surrogateescape")
        if not secret:
            raise Misconfigured(f"{where}: the variable {name} is not set; set it, or use file:/path")
        return secret
    try:
        secret = Path(name).read_bytes()
    except OSError as error:
        raise Misconfigured(f"{where}: {name}: {error.strerror}") from None
    secret = secret.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise Misconfigured(f"{where}: {name} is empty")
    return secret


def resolve_kafka(written: Mapping[str, str]) -> dict[str, str]:
    """Replace references among librdkafka properties by the secrets they name."""
    return {
        name: _resolved(text, f"kafka.{name}") if is_reference(text) else text
        for name, text in written.items()
    }


def _resolved(reference: str, where: str) -> Hidden:
    try:
        return Hidden(read_secret(reference, where).decode(), reference)
    except UnicodeDecodeError:
        raise Misconfigured(f"{where}: what {reference} holds is not UTF-8 text") from None


def shown(name: str, text: str) -> str:
    """Give a librdkafka property as it may be printed."""
    if isinstance(text, Hidden):
        return text.reference
    return "***" if any(word in name for word in _SECRET_WORDS) and not name.endswith(".location") else text


def forbid_core_dumps() -> None:
    """Keep secrets in memory from being written to disk when the process crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def digest_key(settings: Settings) -> bytes | None:
    """Read the key of the keyed hashes.

    Raises:
        Misconfigured: It is not where the settings say, or it is weak.
    """
    if settings.digest_key is None:
        return None
    key = read_secret(settings.digest_key, "digest_key")
    Secret.of(key, "digest_key")
    return key


def endpoints(settings: Settings, *, in_files: bool = False) -> dict[tuple[str, str], Endpoint]:
    """Make the endpoints with their secrets, by source and id.

    Args:
        settings: The settings.
        in_files: Only those with a secret in a file: nothing else can have changed since the start.

    Raises:
        Misconfigured: A secret is not where the settings say, or it is weak.
    """
    return {
        (one.source, one.id): endpoint(one, f"endpoints[{at}]")
        for at, one in enumerate(settings.endpoints)
        if not in_files or "'file:" in repr(one)
    }


def endpoint(written: EndpointSettings, where: str) -> Endpoint:
    """Make one endpoint; `where` is its path in the settings, for errors."""
    bound = binding(written, where)
    return Endpoint(
        source=bound.source,
        id=bound.id,
        tenant=bound.tenant,
        tenants=bound.tenants,
        companies=bound.companies,
        schemes=tuple(_schemes(written.authenticate, f"{where}.authenticate")),
    )


def binding(written: EndpointSettings, where: str) -> Binding:
    """Say whose data comes in at an endpoint; the secrets that prove senders are not read."""
    return Binding(
        source=written.source,
        id=written.id,
        tenant=written.tenant,
        tenants={
            _company(company, f"{where}.tenants"): tenant
            for company, tenant in (written.tenants or {}).items()
        },
        companies=frozenset(_company(company, f"{where}.companies") for company in written.companies),
    )


def _company(company: str, where: str) -> str:
    """Read a company id that is a credential, and keep only its digest."""
    return company_digest(read_secret(company, where).decode("latin-1")) if is_reference(company) else company


def _schemes(written: Authenticate, where: str) -> Iterator[Scheme]:
    if written.url_token is not None:
        yield UrlToken(_secrets(written.url_token, f"{where}.url_token"))
    if written.header is not None:
        yield HeaderSecret(written.header, _secrets(written.secrets, f"{where}.secrets"))
    if written.hmac is not None:
        yield Hmac(written.hmac, _secrets(written.secrets, f"{where}.secrets"))
    if (signed := written.body_signature) is not None:
        keys = _secrets(signed.secrets, f"{where}.body_signature.secrets")
        try:
            yield BodySignature(signed.mode, signed.template, signed.algorithm, keys, signed.account)
        except Misconfigured as refusal:
            raise Misconfigured(f"{where}.body_signature.{refusal}") from None


def _secrets(references: tuple[str, ...] | None, where: str) -> tuple[Secret, ...]:
    several = len(references or ()) > 1
    return tuple(
        Secret.of(read_secret(one, name), name)
        for at, one in enumerate(references or ())
        for name in [f"{where}[{at}]" if several else where]
    )
