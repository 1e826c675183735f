"""Personal data: what is masked before it leaves the worker, and keyed hashes that still join.

National ids keep their last 2 characters, bank data its last 4; the companion column
`<column>_hash` holds HMAC-SHA256 under a key derived per tenant. Pure functions of value and key, so
a replay stays byte-identical. Without a deployment key the hash is left out, never the clear value
put in.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from connector.entities.fields import Entity
from connector.model import Fields

_SHOWN: Final = {"national_id": 2, "bank": 4}
_DOT: Final = "*"
_NOTHING: Final[Mapping[str, int]] = {}


class Privacy:
    """The deployment's digest key and what it does; handed to the pure part as an argument."""

    def __init__(self, digest_key: bytes | None, entities: Mapping[str, Entity]) -> None:
        """Remember which columns of which entity are masked."""
        self._key = digest_key
        self._masked: Final[Mapping[str, Mapping[str, int]]] = {
            name: {field.name: _SHOWN[field.pii] for field in entity.fields if field.pii in _SHOWN}
            for name, entity in entities.items()
        }
        self._tenant_key = lru_cache(maxsize=4096)(self._derive)
        self._digest = lru_cache(maxsize=8192)(self._hash)

    def _derive(self, tenant: str) -> bytes:
        return hmac.digest(self._key or b"", tenant.encode(), "sha256")

    def digest(self, tenant: str, value: str) -> str | None:
        """Give the keyed hash of a value, hex; None without a deployment key."""
        return None if self._key is None else self._digest(tenant, value)

    def _hash(self, tenant: str, value: str) -> str:
        return hmac.digest(self._tenant_key(tenant), value.encode(), "sha256").hex()

    def mask(self, tenant: str, entity: str, fields: Fields) -> None:
        """Replace masked columns by their last characters and add their hashes, in place."""
        for name, shown in self._masked.get(entity, _NOTHING).items():
            value = fields.get(name)
            if type(value) is not str or not value:
                continue
            hidden = max(len(value) - shown, 0) or len(value)
            fields[name] = _DOT * hidden + value[hidden:]
            if (hashed := self.digest(tenant, value)) is not None:
                fields[f"{name}_hash"] = hashed
