"""Authentic callback -> raw records: tenant, key, redaction, and what the record says about itself.

What is authentic but unusable comes back as `Quarantined`: a part without touching its neighbours, or the
whole body where it cannot be cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from connector.core.authenticate import Authentic, company_digest
from connector.core.flat import Flat
from connector.core.privacy import Privacy
from connector.core.read import check
from connector.core.redact import MASK, redact
from connector.core.source import Address, Part, Source
from connector.core.tolerances import distinct
from connector.errors import OverLimits, Unreadable, Unusable
from connector.model import Callback, EntityKey, Quarantined, RawMeta, RawRecord

VENDOR_HEADERS: Final = "x-vwd-"
_PROOF: Final = "signature"
"""Beside its body a signature is all that is needed to send it again: it is not stored."""
_HEADER_CHARACTERS: Final = 256
_REDACTED: Final = MASK.decode()
KEY_CHARACTERS: Final = 1024
"""Longest record key: a longer one would be refused by Kafka, and the vendor told 503 for ever."""


def receive(
    authentic: Authentic, source: Source, privacy: Privacy, *, max_records: int = 1000
) -> list[RawRecord | Quarantined]:
    """Cut an authentic callback into raw records, credentials redacted.

    Args:
        authentic: The proved callback and the endpoint it came to.
        source: The vendor dialect of the endpoint.
        privacy: Keyed hashes.
        max_records: A body with more events is set aside whole.
    """
    callback = authentic.callback
    bound = authentic.endpoint
    if source.tuned:
        source = source.at(bound.id)
    return cut(callback, source, privacy, _meta(callback), bound.tenant_of, max_records, bound.digest_of)


TenantOf: TypeAlias = "Callable[[str | None], str]"
"""Company id inside the body -> tenant; refuses with ForeignTenant."""
DigestOf: TypeAlias = "Callable[[str], str]"
"""Company id inside the body -> its `company_digest`."""


def cut(
    callback: Callback,
    source: Source,
    privacy: Privacy,
    meta: RawMeta,
    tenant_of: TenantOf,
    max_records: int,
    digest_of: DigestOf = company_digest,
) -> list[RawRecord | Quarantined]:
    """Cut a body, proved now or when it was set aside, into raw records."""
    try:
        bounded = check(callback.body)
        parts = list(source.split(callback))
        if len(parts) > max_records:
            raise OverLimits("body", f"more than {max_records} records; send fewer per callback")
    except Unusable as refusal:
        return [set_aside(callback, source, privacy, callback.body, refusal, meta)]
    taken: list[RawRecord | Quarantined] = []
    known = (meta.index, meta.count, meta.event, meta.event_id, meta.flags)
    for index, part in enumerate(parts):
        own = meta
        if isinstance(part.read, Flat):
            part.read.bounded = bounded
        if (index, len(parts), part.event, part.event_id, part.flags) != known:
            own = msgspec.structs.replace(
                meta,
                index=index,
                count=len(parts),
                event=part.event,
                event_id=part.event_id,
                flags=part.flags,
            )
        taken.extend(place_part(callback, source, privacy, part, own, tenant_of, digest_of))
    return taken


def place_part(
    callback: Callback,
    source: Source,
    privacy: Privacy,
    part: Part,
    meta: RawMeta,
    tenant_of: TenantOf,
    digest_of: DigestOf = company_digest,
) -> Sequence[RawRecord | Quarantined]:
    """Give one part its key, tenant and redacted bytes."""
    try:
        if part.why:
            raise Unreadable(f"{source.name}[{meta.index}]", part.why)
        placed = []
        for address in source.address(part, callback):
            placed.append((address, _key(source, tenant_of(address.company), address)))  # noqa: PERF401  a comprehension is a call more
    except Unusable as refusal:
        return (set_aside(callback, source, privacy, part.body, refusal, meta),)
    body = part.body
    names: tuple[str, ...] = ()
    if source.credentials:
        body, names = redact(body, source.credentials, plain=isinstance(part.read, Flat))
    records = []
    for address, key in placed:
        hashed = _hash(privacy, source, callback, meta, address.company, digest_of)
        own = meta
        if names or hashed != meta.company_hash:
            own = msgspec.structs.replace(meta, redacted=names, company_hash=hashed)
        if address.flags:
            own = msgspec.structs.replace(own, flags=distinct(meta.flags, address.flags))
        records.append(RawRecord(key, body, own))
    return records


def _hash(
    privacy: Privacy,
    source: Source,
    callback: Callback,
    meta: RawMeta,
    company: str | None,
    digest_of: DigestOf,
) -> str:
    """Give what is kept of a company id that is redacted; where it was already, what was kept then."""
    if not source.company_credential or meta.company_hash or company is None or company == _REDACTED:
        return meta.company_hash
    return company_hash(privacy, callback.source, callback.endpoint, digest_of(company))


def company_hash(privacy: Privacy, source: str, endpoint: str, digest: str) -> str:
    """Hash a company id that is a credential; empty without a deployment key.

    It is made from the `company_digest`, which is all a configuration may hold, under the endpoint's name,
    which is known before the tenant is.
    """
    return privacy.digest(f"{source}/{endpoint}", digest) or ""


def _key(source: Source, tenant: str, address: Address) -> EntityKey:
    # Looked at before it is escaped, too: a megabyte of foreign letters would become three on the way.
    if len(address.id) <= KEY_CHARACTERS:
        key = EntityKey.of(source.name, tenant, address.entity, address.id)
        if len(key.text) <= KEY_CHARACTERS:
            return key
    raise OverLimits(f"{source.name}.id", f"its key would be longer than {KEY_CHARACTERS} characters")


def _meta(callback: Callback) -> RawMeta:
    """Say what all records of a callback share."""
    return RawMeta(
        delivery_id=callback.delivery_id,
        received_us=callback.received_us,
        endpoint=callback.endpoint,
        body_sha256=hashlib.sha256(callback.body).hexdigest(),
        headers=_vendors(callback.headers) if VENDOR_HEADERS in "\n".join(callback.headers) else {},
        traceparent=callback.headers.get("traceparent", "")[:_HEADER_CHARACTERS],
    )


def _vendors(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value[:_HEADER_CHARACTERS]
        for name, value in headers.items()
        if name.startswith(VENDOR_HEADERS) and _PROOF not in name
    }


def set_aside(
    callback: Callback, source: Source, privacy: Privacy, body: bytes, refusal: Unusable, meta: RawMeta
) -> Quarantined:
    """Make the quarantined record of a body or a part of it, credentials redacted."""
    redacted, names = redact(body, source.credentials)
    company = _company(body, source.company_credential) if source.company_credential else None
    hashed = _hash(privacy, source, callback, meta, company, company_digest)
    return Quarantined(
        key=f"{callback.source}/{callback.endpoint}",
        body=redacted,
        reason=refusal.code,
        where=f"receive {refusal.where}",
        why=refusal.why,
        meta=msgspec.structs.replace(meta, redacted=names, company_hash=hashed),
        source=source.name,
        error=type(refusal).__name__,
    )


def _company(body: bytes, field: str) -> str | None:
    """Find the one company id in bytes that need not be JSON; None where there is none, or several."""
    found = {one.strip().lower() for one in _company_field(field)(body)}
    return found.pop().decode("utf-8", "replace") if len(found) == 1 else None


@lru_cache(maxsize=8)
def _company_field(field: str) -> Callable[[bytes], list[bytes]]:
    name = re.escape(field).encode()
    return re.compile(rb'"%s"[ \t\r\n]*+:[ \t\r\n]*+"([^"\\]{1,200})"' % name, re.IGNORECASE).findall
