"""Refusals: the class answers for the machine, the instance for the human.

    ConnectorError
    ├── Refused            the request is not taken: an HTTP status, nothing stored
    │   ├── NotAuthentic       401   the proof is missing or wrong
    │   ├── UnknownEndpoint    404   no such source or endpoint
    │   ├── NotPost            405   another method than POST
    │   ├── TooLong            413   body over `ingress.max_body_bytes`
    │   ├── NotJson            415   Content-Encoding, or a type that is clearly not JSON
    │   ├── TooMany            429   the endpoint's own rate limit
    │   └── NotDurable         503   Kafka cannot confirm in time; the same bytes may succeed later
    ├── Unusable           authentic, yet unusable: 202 and quarantine, with one of REASONS
    │   ├── Unreadable         not JSON, or not of the vendor's shape
    │   ├── OverLimits         too deep, too many values, a number too long
    │   ├── AmbiguousKeys      two names in the envelope that differ in case only
    │   ├── NoEntityId         nothing in it names an entity
    │   ├── ForeignTenant      its company is not the endpoint's
    │   ├── NotEncodable       a value outside what its Avro column holds
    │   ├── TooLarge           the record would exceed its topic's size
    │   └── TooOld             older than `worker.max_event_age_days`
    └── Misconfigured      the operator must change something; exit code 1, one line, the remedy in it

A message names the field and the fault, never the value: bodies hold personal data and secrets.
"""

from __future__ import annotations

from typing import ClassVar, Final


class ConnectorError(Exception):
    """Base of every refusal; never raised itself."""

    code: ClassVar[str]
    """Metric label and log key."""


class Refused(ConnectorError):
    """A request that is not taken; nothing of it is stored."""

    status: ClassVar[int]
    retriable: ClassVar[bool] = False
    """Whether the same bytes may succeed later."""


class NotAuthentic(Refused):
    """The proof is missing or wrong; the answer never says which."""

    code, status = "not_authentic", 401


class UnknownEndpoint(Refused):
    """No such source or endpoint."""

    code, status = "unknown_endpoint", 404


class NotPost(Refused):
    """Another method than POST."""

    code, status = "not_post", 405


class TooLong(Refused):
    """The body is longer than the limit."""

    code, status = "too_long", 413


class NotJson(Refused):
    """Content-Encoding, or a content type that is clearly not JSON."""

    code, status = "not_json", 415


class TooMany(Refused):
    """Over the endpoint's own rate limit."""

    code, status, retriable = "too_many", 429, True


class NotDurable(Refused):
    """Kafka did not confirm every record in time; a retry's duplicates are absorbed."""

    code, status, retriable = "not_durable", 503, True


class Unusable(ConnectorError):
    """Authentic bytes that cannot be used: answered with 202 and quarantined.

    The vendor would only send the same bytes again, so it is never told to.
    """

    def __init__(self, where: str, why: str) -> None:
        """Say which field (`duett.data.id`) and what is wrong with it, never its value."""
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class Unreadable(Unusable):
    """Not JSON, or not of the vendor's shape."""

    code = "unreadable"


class OverLimits(Unusable):
    """Too deep, too many values, a number too long, too many records."""

    code = "limits"


class AmbiguousKeys(Unusable):
    """Two names of one envelope that fold to the same field."""

    code = "ambiguous_keys"


class NoEntityId(Unusable):
    """Nothing in it names an entity."""

    code = "no_entity_id"


class ForeignTenant(Unusable):
    """Its company is unknown, or not one of the endpoint's."""

    code = "foreign_tenant"


class NotEncodable(Unusable):
    """A value outside what its Avro column holds."""

    code = "not_encodable"


class TooLarge(Unusable):
    """The record would exceed its topic's size."""

    code = "too_large"


class TooOld(Unusable):
    """Older than `worker.max_event_age_days` allows."""

    code = "too_old"


REASONS: Final = (
    "unreadable",
    "limits",
    "ambiguous_keys",
    "no_entity_id",
    "foreign_tenant",
    "bad_time",
    "not_encodable",
    "too_large",
    "too_old",
    "by_operator",
)
"""The closed list of quarantine reasons; each is a metric label."""


class Misconfigured(ConnectorError):
    """The operator must change something; the message names the setting and the remedy."""

    code = "misconfigured"
