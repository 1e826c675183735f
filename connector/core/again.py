"""Quarantined bytes -> raw records, as today's code and configuration read them.

They were authentic when they came, so no proof is asked again. What must not change keeps its first value:
the time of receipt, or the clamp of vendor times would differ; delivery id and endpoint; and the hash of a
redacted company id, by which the tenant is found, since the id itself is gone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from connector.core.authenticate import Binding, company_digest
from connector.core.privacy import Privacy
from connector.core.receive import company_hash, cut, place_part
from connector.core.redact import MASK
from connector.core.source import Part, Source
from connector.errors import ForeignTenant
from connector.model import Callback, EntityKey, Quarantined, RawMeta, RawRecord

_REDACTED: Final = MASK.decode()


def again(
    record: Quarantined, source: Source, binding: Binding | None, privacy: Privacy, *, max_records: int = 1000
) -> list[RawRecord | Quarantined]:
    """Receive a quarantined record once more.

    Args:
        record: As read back; with a position if it was set aside by the worker, as a raw record.
        source: Its vendor dialect.
        binding: Whose data comes in at its endpoint today; None where the endpoint is no more.
        privacy: Keyed hashes, with the deployment key of then.
        max_records: As for `receive`.

    Returns:
        What can be used now, and what still cannot, with today's reason.
    """
    source = source.at(record.meta.endpoint)
    if record.position is not None:
        return _from_worker(record, source, privacy)
    if binding is None:
        return [_still(record, "its endpoint stands in no configuration any more; add it again")]
    callback, meta = _callback(record), _meta(record)

    def tenant_of(company: str | None) -> str:
        if source.company_credential and company == _REDACTED:
            return _tenant(binding, privacy, record)
        return binding.tenant_of(company)

    if meta.count > 1 or meta.event:
        return list(place_part(callback, source, privacy, _part(record), meta, tenant_of))
    return cut(callback, source, privacy, meta, tenant_of, max_records)


def _from_worker(record: Quarantined, source: Source, privacy: Privacy) -> list[RawRecord | Quarantined]:
    """Address a raw record anew; its tenant was settled when it came, and stands in its key."""
    try:
        key = EntityKey.parse(record.key)
    except ValueError:
        return [_still(record, "written to the raw topic by another program; nothing to retry")]
    if record.meta.origin in ("forward", "erase"):
        return [RawRecord(key, record.body, record.meta)]
    taken = list(
        place_part(_callback(record), source, privacy, _part(record), _meta(record), lambda _: key.tenant)
    )
    # An item that concerns two entities was set aside under one key; the other one has been used.
    return [one for one in taken if isinstance(one, RawRecord) and one.key == key] or taken


def _callback(record: Quarantined) -> Callback:
    meta = record.meta
    return Callback(
        record.source, meta.endpoint, meta.headers, record.body, meta.received_us, meta.delivery_id
    )


def _meta(record: Quarantined) -> RawMeta:
    """Keep what was said then; what is redacted is found again, for the bytes at hand may be a part."""
    return msgspec.structs.replace(record.meta, origin="quarantine", redacted=())


def _part(record: Quarantined) -> Part:
    meta = record.meta
    return Part(record.body, meta.event, meta.event_id, meta.flags)


def _tenant(binding: Binding, privacy: Privacy, record: Quarantined) -> str:
    """Find the tenant of a company of which only the hash is left."""
    known = binding.tenants or dict.fromkeys(binding.companies, binding.tenant or "")
    if not known:
        return binding.tenant or ""
    for company, tenant in known.items():
        digest = company if company.startswith("digest:") else company_digest(company)
        hashed = company_hash(privacy, binding.source, binding.id, digest)
        if hashed and hashed == record.meta.company_hash:
            return tenant
    raise ForeignTenant(f"{record.source}.company", "not one of the endpoint's; add it there if it is yours")


def _still(record: Quarantined, why: str) -> Quarantined:
    return msgspec.structs.replace(record, why=why)
