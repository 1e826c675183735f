"""Who may send: proofs, and the buckets of those who give one and of those who do not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from connector.core.authenticate import Authentic, Endpoint, authenticate
from connector.errors import NotAuthentic, TooMany, UnknownEndpoint
from connector.model import Callback
from connector.runtime.buckets import Buckets
from connector.runtime.ingress_counts import Counts
from connector.runtime.settings import IngressSettings


class Flood(TooMany):
    """Too many requests that prove nothing; the connection is closed behind the answer."""


class Admission:
    """Knows the endpoints, and how much each sender and endpoint has asked for.

    Args:
        endpoints: (source, id) -> endpoint.
        settings: Rates.
        counts: Where proofs are counted.
        rates: Requests per second of the endpoints that have their own.
    """

    def __init__(
        self,
        endpoints: Mapping[tuple[str, str], Endpoint],
        settings: IngressSettings,
        counts: Counts,
        rates: Mapping[tuple[str, str], float],
    ) -> None:
        self._endpoints: Final = endpoints
        self._counts: Final = counts
        self._rates: Final = rates
        self._authentic: Final = Buckets(settings.rate_per_endpoint)
        self._unverified: Final = Buckets(settings.unverified_rate)

    def endpoint(self, path: tuple[str, str, str], sender: str) -> Endpoint | None:
        """Give the endpoint of a path; None where there is none, which only the proof may tell.

        Raises:
            Flood: There is none, and this sender has asked for too many of that kind.
        """
        endpoint = self._endpoints.get((path[0], path[1]))
        if endpoint is None and self._unverified.empty(sender, time.monotonic()):
            raise Flood
        return endpoint

    def prove(self, callback: Callback, endpoint: Endpoint | None, sender: str, now: float) -> Authentic:
        """Prove the callback; who proves nothing pays from its sender's and the endpoint's bucket.

        Those buckets never refuse a request before its proof was looked at: behind a gateway every sender
        has the same address, and a stranger's flood must not shut a vendor out.

        Raises:
            Refused: With the status to answer.
        """
        try:
            authentic = authenticate(callback, endpoint)
        except (NotAuthentic, UnknownEndpoint):
            known = endpoint is None or self._unverified.take((callback.source, callback.endpoint), now)
            if not self._unverified.take(sender, now) or not known:
                raise Flood from None
            raise
        key, counts = (callback.source, callback.endpoint), self._counts
        counts.last[key] = now
        counts.secrets[counts.hashes[key], str(authentic.slot)] += 1
        for scheme in authentic.doubts:
            counts.doubts[callback.source, scheme] += 1
        if not self._authentic.take(key, now, self._rates.get(key)):
            raise TooMany
        return authentic
