"""What the ingress counts: plain integers in the hot path, Prometheus only when somebody scrapes."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from connector.model import Quarantined, RawRecord

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


class Counts(Collector):
    """Counters of one ingress process; register it with a Prometheus registry."""

    def __init__(self) -> None:
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
        self.last: dict[str, float] = {}
        """Source -> monotonic seconds of its last authentic callback."""
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
        """Give the current values; called from the thread of the scrape."""
        yield _counter(
            "ingress_requests", "Answers by source and status.", ("source", "answer"), self.requests
        )
        yield _counter("ingress_records", "Raw records confirmed by Kafka.", ("source",), self.records)
        yield _counter(
            "ingress_quarantined", "Quarantined by reason.", ("source", "reason"), self.quarantined
        )
        yield _counter("ingress_empty", "Authentic callbacks without an event.", ("source",), self.empty)
        yield _counter("ingress_redacted", "Callbacks with a redacted credential.", ("field",), self.redacted)
        yield _counter("ingress_unacked", "Answers 503 by reason.", ("reason",), self.unacked)
        yield _counter("ingress_late", "Connections closed at a deadline.", ("part",), self.late)
        yield _counter(
            "auth_secret_used",
            "Callbacks by the place of the secret that proved them.",
            ("endpoint_hash", "slot"),
            self.secrets,
        )
        yield _counter(
            "auth_doubts",
            "Callbacks that a scheme in mode `warn` did not prove.",
            ("source", "scheme"),
            self.doubts,
        )
        yield GaugeMetricFamily(
            "connector_ingress_inflight", "Requests being worked on.", value=self.in_flight
        )
        yield GaugeMetricFamily(
            "connector_ingress_reading_bytes", "Bytes of bodies not yet complete.", value=self.reading
        )
        gap = GaugeMetricFamily(
            "connector_callback_gap_seconds",
            "Silence since the last authentic callback; a long one may be a dead subscription.",
            labels=("source",),
        )
        now = time.monotonic()
        for source, last in self.last.copy().items():
            gap.add_metric((source,), now - last)
        yield gap
        yield self._ack_seconds()

    def _ack_seconds(self) -> Metric:
        total, buckets = 0, []
        for bound, count in zip((*ACK_BOUNDS_S, "+Inf"), self._acks.copy(), strict=True):
            total += count
            buckets.append((str(bound), float(total)))
        return HistogramMetricFamily(
            "connector_ingress_ack_seconds",
            "From handing a callback's records to the producer until Kafka confirmed the last one.",
            buckets=buckets,
            sum_value=self._acks_sum_s,
        )


def _counter(
    name: str,
    doc: str,
    labels: tuple[str, ...],
    counts: Mapping[str, int] | Mapping[tuple[str, str], int],
) -> Metric:
    family = CounterMetricFamily(f"connector_{name}", doc, labels=labels)
    for key, count in dict(counts).items():  # a copy: the loop's thread may add keys meanwhile
        family.add_metric((key,) if isinstance(key, str) else key, count)
    return family
