"""The metrics: one list, from which /metrics, docs/metrics.md and the tests of the chart are made.

Every metric is listed when its module is read, with its unit, its labels and the roles that show it. A label
holds a word of a closed list, or a hash; never a tenant, a key or the id of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

Kind = Literal["counter", "gauge", "histogram"]
Role = Literal["ingress", "worker"]
BOTH: Final[tuple[Role, ...]] = ("ingress", "worker")
WORKER: Final[tuple[Role, ...]] = ("worker",)
INGRESS: Final[tuple[Role, ...]] = ("ingress",)
Values = Mapping[Any, float]
"""Values of one metric by its labels: a tuple of texts, or one text for a single label."""

METRICS: Final = CollectorRegistry()
"""What /metrics shows."""
ProcessCollector(registry=METRICS)
PlatformCollector(registry=METRICS)
GCCollector(registry=METRICS)
disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter has a second series


class Listed(NamedTuple):
    """One metric as the documents name it."""

    name: str
    """As Prometheus stores it; of a histogram without `_bucket`, `_sum`, `_count`."""
    kind: Kind
    unit: str
    doc: str
    labels: tuple[str, ...]
    roles: tuple[Role, ...]

    def family(self, values: Values) -> Metric:
        """Lay out plain numbers as Prometheus wants them; called from the thread of the scrape."""
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(self.name, self.doc, labels=self.labels)
        for key, value in values.items():
            family.add_metric((key,) if isinstance(key, str) else key, value)
        return family


LIST: Final[dict[str, Listed]] = {}
"""Name -> metric; every module that shows one adds it."""


def listed(kind: Kind, name: str, unit: str, doc: str, *labels: str, roles: tuple[Role, ...]) -> Listed:
    """List the metric `connector_<name>`; whoever calls shows it."""
    one = Listed(f"connector_{name}", kind, unit, doc, labels, roles)
    return LIST.setdefault(one.name, one)


def counter(name: str, unit: str, doc: str, *labels: str, roles: tuple[Role, ...]) -> Counter:
    """List and show a counter; its name ends in `_total`."""
    one = listed("counter", name, unit, doc, *labels, roles=roles)
    return Counter(one.name, doc, labels, registry=METRICS)


def gauge(name: str, unit: str, doc: str, *labels: str, roles: tuple[Role, ...]) -> Gauge:
    """List and show a gauge."""
    one = listed("gauge", name, unit, doc, *labels, roles=roles)
    return Gauge(one.name, doc, labels, registry=METRICS)


def histogram(
    name: str, unit: str, doc: str, buckets: tuple[float, ...], *, roles: tuple[Role, ...]
) -> Histogram:
    """List and show a histogram without labels."""
    one = listed("histogram", name, unit, doc, roles=roles)
    return Histogram(one.name, doc, buckets=buckets, registry=METRICS)


class Read(Collector):
    """A counter that somebody else keeps as a plain number; it is read when it is asked for."""

    def __init__(self, name: str, unit: str, doc: str, *, roles: tuple[Role, ...]) -> None:
        """List and show it; 0 until `source` is set."""
        self._listed: Final = listed("counter", name, unit, doc, roles=roles)
        self.source: Callable[[], float] = lambda: 0.0
        METRICS.register(self)

    def collect(self) -> Iterable[Metric]:
        """Give the current value; called from the thread of the scrape."""
        yield self._listed.family({(): self.source()})
