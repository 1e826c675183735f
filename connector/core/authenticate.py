"""Callback -> Authentic: the only place that makes the proof; without it no raw record can be made.

What is not proved is refused: there is no scheme that lets everybody in, and an endpoint without one
cannot be made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from connector.core.schemes import (
    BodySignature,
    HeaderSecret,
    Hmac,
    Scheme,
    Secret,
    UrlToken,
    sign,
    token_of,
)
from connector.errors import ForeignTenant, Misconfigured, NotAuthentic, UnknownEndpoint
from connector.model import Callback

__all__ = [
    "Authentic",
    "Binding",
    "BodySignature",
    "Endpoint",
    "HeaderSecret",
    "Hmac",
    "Scheme",
    "Secret",
    "UrlToken",
    "authenticate",
    "company_digest",
    "sign",
    "token_of",
    "vouch",
]


def company_digest(company: str) -> str:
    """Give what stands in the configuration instead of a company id that is a credential (D-30).

    Example:
        >>> company_digest(" ABC ") == company_digest("abc")
        True
    """
    return f"digest:{hashlib.sha256(_company(company).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _company(company: str) -> str:
    return company.strip().lower()  # GUIDs come in both cases (0.5)


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data comes in at one URL: its tenant, its companies.

    Raises:
        Misconfigured: Neither `tenant` nor `tenants`, or both.
    """

    source: str
    id: str
    tenant: str | None = None
    tenants: Mapping[str, str] = {}
    """Company id, or its `company_digest`, -> tenant."""
    companies: frozenset[str] = frozenset()
    """Company ids, or their digests, that belong to `tenant`; empty: the body's company is not asked."""
    digests: Mapping[str, str] = {}
    """Company id as configured -> its `company_digest`; made here, whatever is given."""

    def __post_init__(self) -> None:
        if (self.tenant is None) == (not self.tenants):
            raise Misconfigured(f"endpoint {self.source}: give it either `tenant` or `tenants`")
        folded = {_company(company): tenant for company, tenant in self.tenants.items()}
        msgspec.structs.force_setattr(self, "tenants", folded)
        msgspec.structs.force_setattr(self, "companies", frozenset(map(_company, self.companies)))
        clear = [one for one in (*self.tenants, *self.companies) if not one.startswith("digest:")]
        msgspec.structs.force_setattr(self, "digests", {one: company_digest(one) for one in clear})

    def tenant_of(self, company: str | None) -> str:
        """Give the tenant an event belongs to; none is ever made up from the body.

        Args:
            company: Company id inside the body; None where it has none.

        Raises:
            ForeignTenant: Not one of the endpoint's companies, or missing where it has some.
        """
        known = self.tenants or self.companies
        if not known:
            return self.tenant or ""
        where = f"{self.source}.company"
        if company is None:
            raise ForeignTenant(where, "missing, and the endpoint is bound to companies")
        name = _company(company)
        if name not in known and (name := company_digest(company)) not in known:
            raise ForeignTenant(where, "not one of the endpoint's; add it there if it is yours")
        return self.tenants[name] if self.tenants else self.tenant or ""

    def digest_of(self, company: str) -> str:
        """Give the `company_digest` of a company id inside the body.

        Only ids that stand in the configuration were made before: one that does not may be a credential
        of somebody else, and is not kept.
        """
        return self.digests.get(_company(company)) or company_digest(company)


class Endpoint(Binding, frozen=True, kw_only=True):
    """One URL: whose data comes in there, and the secrets that prove it.

    Raises:
        Misconfigured: No scheme, or only a body signature; a scheme without a secret; neither
            `tenant` nor `tenants`, or both.
    """

    schemes: tuple[Scheme, ...]
    """Every one must prove the callback."""

    def __post_init__(self) -> None:
        where = f"endpoint {self.source}"
        if all(isinstance(scheme, BodySignature) for scheme in self.schemes):
            raise Misconfigured(f"{where}: no proof of the sender; give it `authenticate`")
        if not all(_secrets(scheme) for scheme in self.schemes):
            raise Misconfigured(f"{where}: `authenticate` without a secret; name one by env: or file:")
        Binding.__post_init__(self)


def _secrets(scheme: Scheme) -> tuple[Secret, ...]:
    return scheme.tokens if isinstance(scheme, UrlToken) else scheme.secrets


class Authentic(msgspec.Struct, frozen=True):
    """A callback whose sender knows a secret of the endpoint; made in this module and nowhere else."""

    callback: Callback
    endpoint: Endpoint
    slot: int = 0
    """Place of the secret that matched; tells when an old one can go (`auth_secret_used`)."""
    doubts: tuple[str, ...] = ()
    """`body_signature` where one in mode `warn` did not match: to be counted, not refused."""


_STAND_IN: Final = Secret.of(hashlib.sha256(b"no endpoint").digest(), "stand-in")
_NOBODY: Final = (
    HeaderSecret("authorization", (_STAND_IN,)),
    Hmac(("x-vwd-signature-v1",), (_STAND_IN,)),
    UrlToken((_STAND_IN,)),
)


def authenticate(callback: Callback, endpoint: Endpoint | None) -> Authentic:
    """Prove who sent a callback, over its raw bytes and before anything else looks at them.

    Args:
        callback: As received.
        endpoint: The one its URL names; None where there is no such one. Then the same work is done
            with a secret nobody has.

    Raises:
        NotAuthentic: The proof is missing or wrong.
        UnknownEndpoint: No endpoint.
    """
    if endpoint is None:
        for scheme in _NOBODY:
            scheme.proves(callback)
        raise UnknownEndpoint("no such endpoint")
    slots: list[int | None] = []
    for one in endpoint.schemes:
        if not isinstance(one, BodySignature):
            slots.append(one.proves(callback))  # noqa: PERF401  for one scheme a comprehension is a call more
    if None in slots or slots[0] is None:
        raise NotAuthentic("the proof is missing or wrong")
    doubts: tuple[str, ...] = ()
    if len(slots) < len(endpoint.schemes):
        doubts = _doubts(callback, endpoint)
    return Authentic(callback, endpoint, slots[0], doubts)


def _doubts(callback: Callback, endpoint: Endpoint) -> tuple[str, ...]:
    """Look at the signatures in a body, which only now may be read.

    Raises:
        NotAuthentic: One that must match does not.
    """
    doubts: tuple[str, ...] = ()
    for one in endpoint.schemes:
        if isinstance(one, BodySignature) and one.mode != "off" and one.proves(callback) is None:
            if one.mode == "enforce":
                raise NotAuthentic("the proof is missing or wrong")
            doubts = ("body_signature",)
    return doubts


def vouch(callback: Callback, endpoint: Endpoint) -> Authentic:
    """Take a callback's proof for granted: for `connector explain` and tests, never behind a door."""
    return Authentic(callback, endpoint)
