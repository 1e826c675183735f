"""What the worker counts; plain numbers on the way, metrics when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from connector.errors import REASONS
from connector.runtime.metrics import WORKER, Read, counter, gauge, histogram

VERDICTS = ("applied", "duplicate", "stale", "noted")
ENDS = ("committed", "aborted", "unknown")

EVENTS = counter(
    "events_total",
    "events",
    "Events by verdict; forwards and sightings included.",
    "source",
    "verdict",
    roles=WORKER,
)
QUARANTINED = counter(
    "quarantined_total", "records", "Records the worker set aside.", "source", "reason", roles=WORKER
)
CLOCK_SUSPECT = counter(
    "clock_suspect_events_total",
    "events",
    "Events whose vendor time was not believed: more than 10 minutes ahead, missing, or before 2000."
    " The receipt time took its place.",
    "source",
    roles=WORKER,
)
UNGUARDED = counter(
    "unguarded_events_total",
    "events",
    "Events of unknown keys, older than deletes are remembered: a forgotten delete may be newer.",
    "source",
    roles=WORKER,
)
TOLERANCES = counter(
    "tolerances_total",
    "uses",
    "Tolerances that were used to read an event; docs/tolerances.md lists them.",
    "source",
    "tolerance",
    roles=WORKER,
)
UNKNOWN_FIELDS = counter(
    "unknown_fields_total",
    "fields",
    "Fields that no document of the vendor names; kept.",
    "source",
    "entity",
    roles=WORKER,
)
UNKNOWN_EVENTS = counter(
    "unknown_events_total",
    "events",
    "Events whose name stands in no row of the vendor's table; each name is in the log once.",
    "source",
    roles=WORKER,
)
DEPRECATED = counter(
    "deprecated_events_total", "events", "Events whose end the vendor has announced.", "source", roles=WORKER
)
UNRESOLVED = counter(
    "identity_change_unresolved_total",
    "events",
    "New numbers whose old number was not known yet.",
    "source",
    roles=WORKER,
)
RESOLVED = counter(
    "identity_change_resolved_total",
    "events",
    "Old numbers learnt after their new one; both were told.",
    "source",
    roles=WORKER,
)
FORWARDS = counter("forwards_total", "records", "Effects sent to a second key.", "source", roles=WORKER)
TRANSACTIONS = counter(
    "transactions_total",
    "transactions",
    "Transactions by end. An aborted one is read again; of an unknown one the state is read again, too.",
    "end",
    roles=WORKER,
)
COMMIT_SECONDS = histogram(
    "transaction_seconds",
    "seconds",
    "From begin to commit of one cycle.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    roles=WORKER,
)
OPEN_SECONDS = gauge(
    "transaction_open_seconds",
    "seconds",
    "For how long the transaction under way has been open; 0 while there is none.",
    roles=WORKER,
)
CYCLE_RECORDS = histogram(
    "cycle_records",
    "records",
    "Raw records in one cycle.",
    (1, 10, 50, 100, 250, 500, 1000, 2000, 5000),
    roles=WORKER,
)
KEYS = gauge("state_keys", "keys", "Keys held, caches of released partitions included.", roles=WORKER)
PARTITIONS = gauge(
    "partitions",
    "partitions",
    "Raw partitions: of this worker's, those `owned` and those `live`, which are read; of the group, `all`."
    " Over all workers the sum of the live ones is `all` when every partition is read.",
    "standing",
    roles=WORKER,
)
REBUILD_SECONDS = gauge(
    "rebuild_seconds",
    "seconds",
    "For how long this worker has owned partitions that it does not read yet; 0 while it reads them all.",
    roles=WORKER,
)
REBUILT = Read(
    "rebuild_records_total",
    "records",
    "Changelog records read into the state, since the process began.",
    roles=WORKER,
)


def begin(sources: Iterable[str]) -> None:
    """Show what may happen before it has happened: Prometheus sees no increase in a series that is new."""
    for source in sources:
        for verdict in VERDICTS:
            EVENTS.labels(source, verdict)
        for reason in REASONS:
            QUARANTINED.labels(source, reason)
        for plain in (
            CLOCK_SUSPECT, UNGUARDED, UNKNOWN_EVENTS, DEPRECATED, UNRESOLVED, RESOLVED, FORWARDS,
        ):  # fmt: skip
            plain.labels(source)
    for end in ENDS:
        TRANSACTIONS.labels(end)
