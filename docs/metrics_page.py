"""docs/metrics.md: the list of metrics. Written by docs/generate.py, never by hand."""

from __future__ import annotations

from collections.abc import Iterable

from pages import HEAD, table

from connector.core.facts import GUARDS
from connector.entities import ENTITIES
from connector.errors import REASONS
from connector.runtime import counts, guards, ingress_counts, ingress_metrics, lag, operations
from connector.runtime.desk import topics_under
from connector.runtime.metrics import LIST
from connector.sources import SOURCES

LISTS = (counts, guards, ingress_metrics, lag, operations)
"""The modules that list metrics; reading them fills the list."""

INTRO = """# Metrics

Both roles show them at `/metrics` of `operations.port`, for Prometheus. Names, types and labels are
stable: one is never renamed, and never means something else; a new one or a new label value may come
with any version. No label holds a tenant, a key, a company or the id of anything; an endpoint is named
by a hash of its id, and `operations.endpoint_labels` adds a metric that says whose it is. The alerts on
them, and what to do at each: [runbooks.md](runbooks.md).

What may happen is shown as 0 before it has happened, since Prometheus sees no increase in a series that
is new. Counters begin at 0 when a process does.
"""

LABELS = """
## Labels

Closed lists, but for hashes, versions and names of checks.

"""

PROCESS = """
## Of the process

Beside what every Prometheus client for Python shows:

"""

STANDARD = {
    "process_start_time_seconds": ("gauge", "When the process began, in seconds since 1970."),
    "process_resident_memory_bytes": ("gauge", "Resident memory."),
    "process_cpu_seconds_total": ("counter", "CPU time, user and system."),
    "process_open_fds": ("gauge", "Open file descriptors."),
}
"""Metrics of the client library that alerts and dashboard use."""

_ROLES = {"ingress": "`serve`", "worker": "`work`"}


def metrics() -> str:
    """Lay out docs/metrics.md."""
    parts = [HEAD, INTRO]
    for title, roles in (
        ("Of the ingress", ("ingress",)),
        ("Of the worker", ("worker",)),
        ("Of both roles", ("ingress", "worker")),
    ):
        rows = [
            (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.unit, one.doc)
            for one in LIST.values()
            if one.roles == roles
        ]
        shown = ", ".join(_ROLES[role] for role in roles)
        parts.append(f"\n## {title}\n\nShown by {shown}.\n\n")
        parts.append(table(("metric", "type", "labels", "unit", "meaning"), rows))
    parts.append(LABELS)
    parts.append(table(("label", "meaning", "values"), _labels()))
    parts.append(PROCESS)
    parts.append(
        table(("metric", "type", "meaning"), ((f"`{name}`", *told) for name, told in STANDARD.items()))
    )
    return "".join(parts).replace("\n\n\n", "\n\n")


def _labels() -> Iterable[tuple[str, str, str]]:
    kinds = {topic.kind for topic in topics_under("erp").all()}
    told: dict[str, tuple[str, Iterable[str]]] = {
        "answer": ("HTTP status", [*ingress_counts.ANSWERS, "400", "431"]),
        "check": ("name of a check of a probe; docs/operating.md lists them", ()),
        "end": ("how a transaction ended", counts.ENDS),
        "endpoint_hash": (
            "`printf %s <endpoint id> | sha256sum | cut -c1-12`; `connector_endpoint_info` says whose",
            (),
        ),
        "endpoint_id": ("id of an endpoint; only with `operations.endpoint_labels`", ()),
        "entity": ("entity", ENTITIES),
        "field": ("name of the redacted field", sorted({n for s in SOURCES.values() for n in s.credentials})),
        "guard": ("[guard](operating.md#guards)", GUARDS),
        "part": ("part of a request", ingress_counts.LATE),
        "probe": ("/livez or /readyz", ("live", "ready")),
        "reason": (
            "why a record went to [quarantine](errors.md#reasons-of-quarantine); of a 503, what was amiss",
            (*REASONS, *ingress_counts.UNACKED),
        ),
        "role": ("what the process is", _ROLES),
        "scheme": ("way of proof that only warns", ()),
        "slot": ("place of a secret in its endpoint's list, from 0", ()),
        "source": (f"vendor dialect; `{ingress_counts.NO_SOURCE}` where a request named none", SOURCES),
        "standing": ("of raw partitions", ("owned", "live", "all")),
        "tenant": ("tenant of an endpoint; only with `operations.endpoint_labels`", ()),
        "tolerance": ("[tolerance](tolerances.md#the-list)", ()),
        "topic_kind": ("kind of [topic](topics.md)", sorted(kinds)),
        "verdict": ("what became of an event", counts.VERDICTS),
        "version": ("version of the program", ()),
    }
    used = {label for one in LIST.values() for label in one.labels}
    if wrong := used ^ told.keys():
        raise SystemExit(f"docs/metrics_page.py: labels without a meaning, or without a metric: {wrong}")
    for label, (meaning, values) in told.items():
        yield f"`{label}`", meaning, ", ".join(f"`{value}`" for value in values)
