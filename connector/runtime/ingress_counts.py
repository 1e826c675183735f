"""What the ingress counts: plain integers in the hot path, Prometheus only when somebody scrapes."""

from __future__ import annotations

import hashlib
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from connector.core.authenticate import Endpoint, UrlToken
from connector.errors import REASONS
from connector.model import Quarantined, RawRecord
from connector.runtime import ingress_metrics as shown

NO_SOURCE: Final = "none"
"""Label of requests that name no configured endpoint."""

UNACKED: Final = (
    "ack_timeout",  # Kafka did not confirm within ingress.ack_timeout_ms
    "broken",  # the producer ended for good; the process ends too
    "bug",  # an exception nobody expected; its traceback is in the log
    "connections",  # over ingress.max_connections
    "in_flight",  # over ingress.max_in_flight
    "memory",  # bodies being read exceed ingress.queue_kbytes
    "queue_full",  # records not yet confirmed exceed ingress.queue_kbytes
    "refused",  # the broker said no, such as too few replicas
    "unreachable",  # no broker answered for some seconds
)
"""Why a 503 was answered; the closed list of labels."""

LATE: Final = ("head", "body")
"""What did not come in time before a connection was closed."""

ACK_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


ANSWERS: Final = ("202", "401", "404", "405", "413", "415", "429", "503")
"""Answers to requests that name a source; those shown before the first one was given."""


def hash_of(endpoint_id: str) -> str:
    """Name an endpoint without telling its id: `printf %s <id> | sha256sum | cut -c1-12`."""
    return hashlib.sha256(endpoint_id.encode()).hexdigest()[:12]


class Counts(Collector):
    """Counters of one ingress process; register it with a Prometheus registry.

    Args:
        endpoints: (source, id) -> endpoint: what may be called; shown before it happens.
    """

    def __init__(self, endpoints: Mapping[tuple[str, str], Endpoint] | None = None) -> None:
        self._endpoints: Final = endpoints or {}
        self.hashes: Final = {key: hash_of(key[1]) for key in self._endpoints}
        """(source, id) -> label."""
        self.named = False
        """Whether ids and tenants of endpoints may be shown: `operations.endpoint_labels`."""
        self._began = time.monotonic()
        self.in_flight = 0
        self.reading = 0
        """Bytes of bodies that come in pieces and are not complete."""
        self.requests: dict[tuple[str, str], int] = defaultdict(int)
        """(source, status) -> answers."""
        self.records: dict[str, int] = defaultdict(int)
        self.quarantined: dict[tuple[str, str], int] = defaultdict(int)
        """(source, reason) -> records."""
        self.empty: dict[str, int] = defaultdict(int)
        """Source -> authentic callbacks without any event."""
        self.redacted: dict[str, int] = defaultdict(int)
        self.unacked: dict[str, int] = dict.fromkeys(UNACKED, 0)
        self.late: dict[str, int] = dict.fromkeys(LATE, 0)
        self.secrets: dict[tuple[str, str], int] = defaultdict(int)
        """(hash of the endpoint's id, slot of the secret that matched) -> callbacks."""
        self.doubts: dict[tuple[str, str], int] = defaultdict(int)
        """(source, scheme that only warns) -> callbacks it did not prove."""
        self.last: dict[tuple[str, str], float] = {}
        """(source, id) -> monotonic seconds of its last authentic callback."""
        self._acks = [0] * (len(ACK_BOUNDS_S) + 1)
        self._acks_sum_s = 0.0

    def acked(self, seconds: float) -> None:
        """Count one callback that Kafka confirmed after so many seconds."""
        self._acks[bisect_left(ACK_BOUNDS_S, seconds)] += 1
        self._acks_sum_s += seconds

    def taken(
        self, source: str, taken: Sequence[RawRecord | Quarantined], credentials: frozenset[str]
    ) -> None:
        """Count what one confirmed callback became; `credentials` are the names of fields to count."""
        if not taken:
            self.empty[source] += 1
            return
        for one in taken:
            if isinstance(one, RawRecord):
                self.records[source] += 1
            else:
                self.quarantined[source, one.reason] += 1
        redacted: Iterable[str] = taken[0].meta.redacted
        if len(taken) > 1:  # a name counts once per callback
            redacted = {name for one in taken for name in one.meta.redacted}
        for name in redacted:
            if name in credentials:
                self.redacted[name] += 1

    def collect(self) -> Iterable[Metric]:
        """Give the current values; called from the thread of the scrape.

        What has not happened yet is told as 0: Prometheus sees no increase in a series that is new.
        """
        sources = sorted({source for source, _ in self._endpoints})
        requests = {(one, answer): 0 for one in sources for answer in ANSWERS}
        quarantined = {(one, reason): 0 for one in sources for reason in REASONS}
        slots = {
            (self.hashes[key], str(slot)): 0
            for key, one in list(self._endpoints.items())
            for slot in range(_secrets(one))
        }
        nothing = dict.fromkeys(sources, 0)
        # copies first: the loop's thread may add keys meanwhile
        yield shown.REQUESTS.family(requests | self.requests.copy())
        yield shown.RECORDS.family(nothing | self.records.copy())
        yield shown.QUARANTINED.family(quarantined | self.quarantined.copy())
        yield shown.EMPTY.family(nothing | self.empty.copy())
        yield shown.REDACTED.family(self.redacted.copy())
        yield shown.NOT_ACKED.family(self.unacked)
        yield shown.TOO_LATE.family(self.late)
        yield shown.SECRETS.family(slots | self.secrets.copy())
        yield shown.DOUBTS.family(self.doubts.copy())
        yield shown.IN_FLIGHT.family({(): self.in_flight})
        yield shown.READING.family({(): self.reading})
        yield from self._silences()
        if self.named:
            yield shown.ENDPOINT.family(
                {
                    (source, self.hashes[source, name], name, one.tenant or ",".join(one.tenants.values())): 1
                    for (source, name), one in list(self._endpoints.items())
                }
            )
        yield self._ack_seconds()

    def _silences(self) -> Iterable[Metric]:
        now, clock = time.monotonic(), time.time()
        last = self.last.copy()
        gaps: dict[str, float] = {}
        for (source, _), at in last.items():
            gaps[source] = min(now - at, gaps.get(source, now - at))
        yield shown.GAP.family(gaps)
        known = {(source, self.hashes[source, name]): (source, name) for source, name in self.hashes}
        yield shown.SILENCE.family({label: now - last.get(key, self._began) for label, key in known.items()})
        yield shown.LAST.family(
            {label: clock - (now - last[key]) if key in last else 0.0 for label, key in known.items()}
        )

    def _ack_seconds(self) -> Metric:
        total, buckets = 0, []
        for bound, count in zip((*ACK_BOUNDS_S, "+Inf"), self._acks.copy(), strict=True):
            total += count
            buckets.append((str(bound), float(total)))
        return HistogramMetricFamily(
            shown.ACK_SECONDS.name, shown.ACK_SECONDS.doc, buckets=buckets, sum_value=self._acks_sum_s
        )


def _secrets(endpoint: Endpoint) -> int:
    """Count the secrets of the scheme whose slots are counted, the first."""
    first = endpoint.schemes[0]
    return len(first.tokens if isinstance(first, UrlToken) else first.secrets)
